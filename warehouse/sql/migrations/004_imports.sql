-- What an import charged is found by its label, and an event by its idempotency key, however old it is. The
-- indexes are of the parts that are written from now on, and of older ones once they are merged
-- (docs/decisions/0028).
ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS import_id LowCardinality(String)
    COMMENT 'label of the import that the event came with; the same of its charge and of voids';
ALTER TABLE rev.entries ADD INDEX IF NOT EXISTS by_import_id import_id TYPE set(16) GRANULARITY 1;
ALTER TABLE rev.entries ADD INDEX IF NOT EXISTS by_key_range idempotency_key TYPE minmax GRANULARITY 1;
ALTER TABLE rev.entries ADD INDEX IF NOT EXISTS by_key idempotency_key TYPE bloom_filter(0.0001) GRANULARITY 1;
