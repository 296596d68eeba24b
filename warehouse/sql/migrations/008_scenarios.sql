-- Scenarios of replays that the owner saved. They are no part of the log: a ledger that is written again has none.
CREATE TABLE IF NOT EXISTS rev._scenarios
(
    name String,
    customer String COMMENT 'whose events are replayed, empty for all',
    changes String COMMENT 'price rows as POST /api/admin/pricing takes them, JSON text',
    saved_at DateTime64(3, 'UTC'),
    deleted Bool
)
ENGINE = ReplacingMergeTree(saved_at)
ORDER BY name;
