-- Budgets and prepaid credit: what an amount exceeded, what credit paid of an amount, and out of which grants. What is due is total_cents - credit_cents.
ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS credit_cents Nullable(Decimal(38, 12))
    COMMENT 'cents that prepaid credit paid; NULL for a customer without any grant until then' AFTER lines;
ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS draws Array(Tuple(grant UInt64, cents Decimal(38, 12)))
    COMMENT 'cents drawn from each grant, by the event_id of its entry; negative where a void gives back'
    AFTER credit_cents;
ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS budgets_exceeded Array(UInt64)
    COMMENT 'budgets whose limit the amount exceeded, by the event_id of their entry' AFTER draws;
