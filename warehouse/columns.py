"""The columns of rev.entries and their values from a staged record (sql/stage.sql, sql/insert.sql). Pure.

`entry`, `event` and `price` are the entry, its meter event and the price that it was priced with.
"""

from schemas.labels import LABELS
from schemas.outcome_terms import COLUMN_TYPES, LEDGER_TERMS
from warehouse.sqltext import read

WRITTEN: dict[str, str] = {
    "kind": "`entry.kind`",
    "event_id": "bitOr(bitOr(bitShiftLeft(raw_offset, 16), bitShiftLeft(toUInt64(raw_partition), 10)),"
    " toUInt64(`entry.index`))",
    "customer_id": "customer_id",
    "api_key_id": "api_key_id",
    "agent_id": "`event.agent_id`",
    "action": "`event.action`",
    "tokens_input": "`event.tokens_input`",
    "tokens_output": "`event.tokens_output`",
    "tokens": "`event.tokens`",
    "quantities": "`event.quantities`",
    "outcome": "`event.outcome`",
    "base_cents": "`entry.base`",
    "token_cents": "`entry.token`",
    "bonus_cents": "`entry.bonus`",
    "quantity_cents": "`entry.quantity`",
    "total_cents": "`entry.total`",
    "lines": "`entry.lines`",
    "credit_cents": "`entry.credit`",
    "draws": "`entry.draws`",
    "budgets_exceeded": "`entry.exceeded`",
    "price_id": "`price.id`",
    "price_action": "`price.action_type`",
    "price_model": "`price.model`",
    "price_provider": "`price.provider`",
    "price_base": "tupleElement(`price.rates`, 'base')",
    "price_token": "tupleElement(`price.rates`, 'token')",
    "price_bonus": "tupleElement(`price.rates`, 'bonus')",
    "price_rates": "tupleElement(`price.rates`, 'quantities')",
    "price_ignore_unknown": "tupleElement(`price.rates`, 'ignore_unknown')",
    "price_is_default": "`price.is_default`",
    "price_offset": "`price.offset`",
    **{name: f"`event.{name}`" for name in LABELS},
    "outcome_id": "`entry.outcome_id`",
    "on_expiry": "`event.on_expiry`",
    **{term.name: f"`entry.{term.in_entry or term.name}`" for term in LEDGER_TERMS},
    "verdict": "`entry.verdict`",
    "idempotency_key": "`event.idempotency_key`",
    "body_hash": "`entry.body_hash`",
    "test": "test",
    "metadata": "`event.metadata`",
    "expires_at": "fromUnixTimestamp64Milli(coalesce(`entry.expires_at`, `event.expires_at`), 'UTC')",
    "event_time": "fromUnixTimestamp64Milli(coalesce(`event.event_time`, recorded_ms), 'UTC')",
    "recorded_at": "fromUnixTimestamp64Milli(recorded_ms, 'UTC')",
    "reason": "`entry.reason`",
    "original": "`entry.original`",
    "config_type": "`entry.type`",
    "actor": "`entry.actor`",
    "detail": "`entry.detail`",
    "raw_partition": "raw_partition",
    "raw_offset": "raw_offset",
    "raw_index": "`entry.index`",
    "entries_offset": "entries_offset",
    "import_id": "import_id",
}
"""For each column, its expression over the staged record."""


def stage_sql() -> str:
    """Return the CREATE statement of a stage; ``{stage}`` stands for its name."""
    terms = ",\n        ".join(f"{term.in_entry or term.name} {COLUMN_TYPES[term.kind]}" for term in LEDGER_TERMS)
    labels = ",\n            ".join(f"{name} String" for name in LABELS)
    return read("stage").replace("{labels}", labels).replace("{terms}", terms)


def insert_sql() -> str:
    """Return the INSERT from stages into rev.entries; sql/insert.sql explains its placeholders."""
    values = ",\n    ".join(f"{expression} AS {name}" for name, expression in WRITTEN.items())
    return read("insert").replace("{columns}", ", ".join(WRITTEN)).replace("{values}", values)
