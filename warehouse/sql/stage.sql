-- The writer's own staging table of one partition: mirrors schemas.entries.EntryRecord. In memory,
-- since what is in it is in Kafka too. It holds the last INSERT and nothing else: each one makes the rows
-- before it give way (more than one row is too many), so that no block pays for reading the ones before.
CREATE TABLE {stage}
(
    entries_offset UInt64,
    customer_id String,
    raw_offset Nullable(UInt64),
    recorded_at Nullable(Int64),
    api_key_id UInt64,
    test Bool,
    import_id String,
    prices Array(Tuple(
        id UInt64,
        action_type String,
        rates Tuple(
            base Decimal(38, 12),
            token Decimal(38, 12),
            bonus Decimal(38, 12),
            quantities Array(Tuple(String, Decimal(38, 12), UInt64)),
            ignore_unknown Bool),
        offset UInt64,
        is_default Bool,
        model String,
        provider String)),
    entries Array(Tuple(
        kind Enum8('' = 0, 'event' = 1, 'charge' = 2, 'void' = 3, 'rejected' = 4, 'config' = 5,
            'registered' = 6, 'waived' = 7),
        index UInt16,
        event Tuple(
            agent_id String,
            action String,
            tokens UInt64,
            tokens_input Nullable(UInt64),
            tokens_output Nullable(UInt64),
            outcome String,
            expires_at Nullable(Int64),
            on_expiry String,
            metadata String,
            idempotency_key String,
            event_time Nullable(Int64),
            quantities Map(String, Decimal(38, 6)),
            {labels}),
        price Nullable(Int32),
        base Decimal(38, 12),
        token Decimal(38, 12),
        bonus Decimal(38, 12),
        quantity Decimal(38, 12),
        total Decimal(38, 12),
        lines Array(Tuple(
            component String,
            quantity Decimal(38, 6),
            rate Decimal(38, 12),
            per UInt64,
            cents Decimal(38, 12))),
        outcome_id String,
        expires_at Nullable(Int64),
        original Nullable(UInt64),
        body_hash String,
        reason String,
        type String,
        actor String,
        detail String,
        {terms},
        verdict Enum8('' = 0, 'succeeded' = 1, 'failed' = 2, 'expired' = 3)))
)
ENGINE = Memory
SETTINGS min_rows_to_keep = 0, max_rows_to_keep = 1
