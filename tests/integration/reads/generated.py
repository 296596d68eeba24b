"""Rows of a busy ledger, made from a seed: what the reads are held against plain Python with."""

import random

from msgspec.structs import replace

from schemas.ids import event_id
from schemas.limits import DAY, MAX_TOKENS
from schemas.money import MAX_EVENT, PICO
from warehouse.memory import LedgerRow

NOW = 1_777_204_800_000  # 2026-04-26T12:00:00Z
AWKWARD = ["it's", 'a "quoted" one', "back\\slash", "naïve ☃ 🤖", "{agent:String}", "%(x)s", "-- $1", "tab\\tbed"]


def generated(seed: int, count: int = 600) -> list[LedgerRow]:
    """Rows of a busy ledger: two customers, all kinds, test rows, amounts up to the largest."""
    rng = random.Random(seed)
    rows: list[LedgerRow] = []
    for offset in range(count):
        kind = rng.choice(["event"] * 6 + ["registered", "closing", "closing", "rejected", "void"])
        outcome = rng.choice(["", "success", "failure", "pending"]) if kind == "event" else ""
        opens = kind == "registered" or outcome == "pending"
        recorded = NOW - 100 * DAY + offset * 100 * DAY // count
        row = LedgerRow(
            kind="rejected" if kind in ("closing", "void") else kind,
            event_id=event_id(3, offset, 0),
            customer_id=rng.choice(["acme", "other"]),
            api_key_id=rng.choice([1, 2, 3]),
            agent_id=rng.choice(["a1", "a2", *AWKWARD]),
            action=rng.choice(["chat", "completion", "outcome_charge"]),
            tokens=rng.choice([0, 7, rng.randrange(MAX_TOKENS), MAX_TOKENS]) if kind == "event" else 0,
            tokens_input=rng.choice([None, 5]),
            outcome=outcome,
            outcome_id=f"oc_{event_id(3, offset, 0)}" if opens else "",
            on_expiry=rng.choice(["", "success", "failure"]) if opens else "",
            base_cents=rng.randrange(PICO),
            total_cents=rng.choice([1, rng.randrange(10**15), MAX_EVENT]) if kind == "event" else 0,
            price_on_success=rng.randrange(10**18) if kind == "registered" else 0,
            price_bonus=rng.randrange(10**14),
            price_is_default=rng.random() < 0.5,
            model=rng.choice(["", "m1", "m2"]),
            idempotency_key=rng.choice(["", f"key-{offset}"]),
            metadata=rng.choice(["", '{"x": 1.00, "y": "ü\\n"}']),
            test=rng.random() < 0.2,
            expires_at=rng.choice([NOW - 1, NOW, NOW + 1]) if opens else None,
            event_time=recorded - rng.choice([0, 0, rng.randrange(3 * DAY)]),
            recorded_at=recorded,
            reason="no price" if kind == "rejected" else "",
            config_type=rng.choice(["", "resolve"]) if kind == "rejected" else "",
            entries_offset=2 * offset,
            import_id=_label(rng.random()) if kind in ("event", "rejected") else "",
        )
        rows.append(_later(kind, rows, row, rng))
    return rows


def _label(chance: float) -> str:
    return "" if chance < 0.4 else f"imp-{int(chance * 10)}"


def _later(kind: str, rows: list[LedgerRow], row: LedgerRow, rng: random.Random) -> LedgerRow:
    """The row itself, or what it becomes if it refers back to one that is there."""
    if kind == "closing":
        closed = {before.original for before in rows if before.verdict}
        open_ones = [
            before for before in rows if before.outcome_id and before.event_id not in closed and not before.verdict
        ]
        return _closing_of(rng.choice(open_ones), row, rng) if open_ones else row
    if kind == "void":
        voided = {before.original for before in rows if before.kind == "void"}
        charged = [before for before in rows if before.kind in ("event", "charge") and before.event_id not in voided]
        return _void_of(rng.choice(charged), row) if charged else row
    return row


def _closing_of(opened: LedgerRow, row: LedgerRow, rng: random.Random) -> LedgerRow:
    """What closes an outcome, with money or without; a late expiry does not show in what it cost."""
    same = (
        "customer_id",
        "agent_id",
        "action",
        "model",
        "test",
        "outcome_id",
        "expires_at",
        "price_bonus",
        "import_id",
    )
    charge = rng.choice([0, rng.randrange(1, 10**15), MAX_EVENT])
    return replace(
        row,
        kind="charge" if charge else "waived",
        original=opened.event_id,
        total_cents=charge,
        bonus_cents=charge,
        base_cents=0,
        verdict=rng.choice(["succeeded", "failed", "expired"]),
        detail=f'{{"outcome_id": "{opened.outcome_id}"}}',
        event_time=row.recorded_at,
        **{field: getattr(opened, field) for field in same},
    )


def _void_of(original: LedgerRow, row: LedgerRow) -> LedgerRow:
    """A void counts where the original did, and says whether that was a charge."""
    same = ("customer_id", "agent_id", "action", "tokens", "model", "test", "event_time", "outcome_id", "import_id")
    return replace(
        row,
        kind="void",
        original=original.event_id,
        total_cents=-original.total_cents,
        config_type="charge" if original.kind == "charge" else "",
        reason="goodwill",
        actor="admin",
        **{field: getattr(original, field) for field in same},
    )
