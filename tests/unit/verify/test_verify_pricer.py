"""The real pricer's ledger, on random logs, agrees with the model that knows nothing of it."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.verify.check import Check
from ledger.verify.compare import Difference
from ledger.verify.memory import MemoryLedger, MemoryLog
from ledger.verify.rows import Row
from ledger.verify.sources import RawRecord, Selection
from pricer import memory
from schemas import commands, entries
from schemas.commands import (
    CreateKey,
    DeletePrice,
    Expire,
    Genesis,
    Meter,
    MeterEvent,
    PriceRef,
    Rates,
    ReadOutcome,
    Register,
    Resolve,
    RevokeKey,
    SeedPrice,
    SetPrice,
    Void,
)
from schemas.commands import UpdateCustomer as Update

CUSTOMERS = ("acme", "globex", "hooli")
ACTIONS = ("chat", "search", "*", "none")
AMOUNT = st.sampled_from(["0", "0.5", "0.000000000001", "999999999.999999999999", "1000000000", "0.0003"])
RATES = st.builds(Rates, AMOUNT, AMOUNT, AMOUNT)
METADATA = st.sampled_from([b'{"a":1,"b":1.50}', b'{ "b":1.50,"a":1}', b'{"a":1.0}', '{"ü":[null]}'.encode()])
EVENT = st.builds(
    MeterEvent,
    st.just("agent"),
    st.sampled_from([*ACTIONS, "outcome_charge"]),
    st.sampled_from([0, 1, 2400, 10**12]),
    outcome=st.sampled_from([None, "success", "failure", "pending"]),
    expires_at=st.sampled_from([None, 500, 1500]),
    metadata=st.one_of(st.just(commands.EMPTY), METADATA.map(msgspec.Raw)),
    idempotency_key=st.sampled_from([None, "k1", "k2", "k3"]),
    event_time=st.sampled_from([None, 7]),
    model=st.sampled_from([None, "m"]),
)
METER = st.builds(
    lambda customer, events, test, window: Meter(customer, 1, events, window, 50, len(events) > 1, test),
    st.sampled_from(CUSTOMERS),
    st.lists(EVENT, min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from([100, 100_000]),
)
CONFIGURE = st.one_of(
    st.builds(
        SetPrice, st.sampled_from([*ACTIONS, "outcome_charge"]), RATES, st.sampled_from([None, *CUSTOMERS, "_x"])
    ),
    st.builds(DeletePrice, st.integers(1, 6)),
    st.builds(CreateKey, st.sampled_from([*CUSTOMERS, "*", "_x"]), st.just("h"), st.just("m")),
    st.builds(RevokeKey, st.integers(1, 4)),
    st.builds(Update, st.sampled_from(CUSTOMERS), st.sampled_from([None, "n"]), test=st.sampled_from([None, True])),
    st.builds(Genesis, st.just("e"), st.lists(st.builds(SeedPrice, st.sampled_from(ACTIONS), RATES), max_size=3)),
)
CUSTOMER, KEY = st.sampled_from(CUSTOMERS[:2]), st.sampled_from([None, None, "k1", "k2", "k3"])
TASK = st.sampled_from(["t1", "t2", "t3", "oc_7"])
REGISTER = st.builds(
    Register,
    CUSTOMER,
    st.just(2),
    TASK,
    st.just("agent"),
    AMOUNT,
    st.sampled_from([90, 500, 1500]),
    st.sampled_from([100, 100_000]),
    price_on_failure=AMOUNT,
    on_expiry=st.sampled_from(["failure", "success"]),
    success_criteria=st.one_of(st.just(commands.EMPTY), METADATA.map(msgspec.Raw)),
    idempotency_key=KEY,
    test=st.booleans(),
)
PENDING = st.builds(
    lambda customer, tokens, key, on_expiry, at: Meter(
        customer,
        1,
        [MeterEvent("agent", "chat", tokens, None, None, "pending", at, on_expiry, idempotency_key=key, model="m")],
        1000,
        200,
    ),
    CUSTOMER,
    st.sampled_from([0, 7]),
    KEY,
    st.sampled_from([None, "failure", "success"]),
    st.sampled_from([None, 500]),
)
RESOLVE = st.builds(
    lambda target, customer, *rest: Resolve(customer, 3, target, *rest),
    TASK,
    CUSTOMER,
    st.booleans(),
    st.sampled_from([100, 100_000]),
    st.one_of(st.just(commands.EMPTY), METADATA.map(msgspec.Raw)),
    KEY,
)
TARGETED = st.one_of(RESOLVE, RESOLVE, st.builds(Expire, CUSTOMER, TASK), st.builds(ReadOutcome, CUSTOMER, TASK))


class Aimed(NamedTuple):
    """A command about an outcome that was opened before, as its customer or as another one sends it."""

    command: Resolve | Expire | ReadOutcome
    opened: int
    foreign: bool


class TakeBack(NamedTuple):
    """A void of a row that is in the ledger, as the gateway writes it, or with something wrong
    that the shard can know."""

    row: int
    wrong: str | None


OUTCOME = st.one_of(
    REGISTER,
    PENDING,
    TARGETED,
    st.builds(Aimed, TARGETED, st.integers(0, 20), st.sampled_from([False] * 9 + [True])),
    st.builds(Aimed, RESOLVE, st.integers(0, 20), st.just(False)),
    st.builds(TakeBack, st.integers(0, 60), st.sampled_from([None] * 6 + ["total", "customer", "charge", "id"])),
)
Step = commands.Command | Aimed | TakeBack
STEPS = st.lists(
    st.tuples(st.one_of(METER, CONFIGURE, OUTCOME, OUTCOME), st.sampled_from([0, 0, 1, 90, 400])), max_size=40
)


def rows_of(log: memory.MemoryLog) -> Iterator[Row]:
    """What the ledger makes of rev.entries (ledger/sql/insert.sql)."""
    for partition, records in enumerate(log.entries):
        for record in records:
            yield from _rows(partition, record.offset, entries.decode(record.value))


def _rows(partition: int, entries_offset: int, written: entries.EntryRecord) -> Iterator[Row]:
    for entry in written.entries:
        event: dict[str, Any] = {} if entry.event is None else msgspec.structs.asdict(entry.event)
        row = {name: value for name, value in event.items() if value is not None}
        row |= {
            "kind": entry.kind,
            "event_id": written.raw_offset << 16 | partition << 10 | entry.index,
            "customer_id": written.customer_id,
            "api_key_id": written.api_key_id,
            "test": written.test,
            "metadata": bytes(event.get("metadata", b"")).decode(),
            "base_cents": Decimal(entry.base),
            "token_cents": Decimal(entry.token),
            "bonus_cents": Decimal(entry.bonus),
            "total_cents": Decimal(entry.total),
            "outcome_id": entry.outcome_id or "",
            "price_on_success": Decimal(entry.on_success or "0"),
            "price_on_failure": Decimal(entry.on_failure or "0"),
            "verdict": entry.verdict or "",
            "original": entry.original,
            "body_hash": entry.body_hash or "",
            "reason": entry.reason or "",
            "config_type": entry.type or "",
            "actor": entry.actor or "",
            "detail": bytes(entry.detail).decode(),
            "expires_at": entry.expires_at if entry.expires_at is not None else event.get("expires_at"),
            "event_time": event["event_time"] if event.get("event_time") is not None else written.recorded_at,
            "recorded_at": written.recorded_at,
            "raw_partition": partition,
            "raw_offset": written.raw_offset,
            "raw_index": entry.index,
            "entries_offset": entries_offset,
        }
        if entry.price >= 0:
            row |= _price(written.prices[entry.price])
        yield row


def _price(price: entries.PriceRef) -> Row:
    return {
        "price_id": price.id,
        "price_action": price.action_type,
        "price_base": Decimal(price.rates.base),
        "price_token": Decimal(price.rates.token),
        "price_bonus": Decimal(price.rates.bonus),
        "price_is_default": price.is_default,
        "price_offset": price.offset,
    }


async def differences(log: memory.MemoryLog, rows: list[Row], firsts: dict[int, int] | None = None) -> list[Difference]:
    raw = {p: [RawRecord(r.offset, r.at, r.key, r.value) for r in shard] for p, shard in enumerate(log.raw)}
    found: list[Difference] = []
    await Check(MemoryLog(raw, firsts), MemoryLedger(rows), Selection(), found.append, patience=0, chunk=7).run()
    return found


@settings(deadline=None, max_examples=150)
@given(STEPS)
async def test_the_pricer_and_the_model_agree_on_any_log(steps: list[tuple[Step, int]]) -> None:
    """Every row, amount, id, refusal and audit entry of a random log is what the model says."""
    log = _written(steps)
    assert await differences(log, list(rows_of(log))) == []


@settings(deadline=None, max_examples=150)
@given(STEPS, st.integers(0, 30))
async def test_they_agree_when_retention_has_taken_the_beginning(steps: list[tuple[Step, int]], gone: int) -> None:
    """What the model takes from the ledger instead is enough, wherever the log now begins."""
    log = _written(steps)
    firsts = {partition: min(gone, len(shard)) for partition, shard in enumerate(log.raw)}
    assert await differences(log, list(rows_of(log)), firsts) == []


def _written(steps: list[tuple[Step, int]]) -> memory.MemoryLog:
    log = memory.MemoryLog()
    first = SetPrice("chat", Rates("0.5", "0.0003", "0.25"))
    for step, later in [(first, 1), *steps]:
        log.now += later
        command = _command(step, log)
        if command is not None:
            key = getattr(command, "customer_id", "") if isinstance(command, BY_CUSTOMER) else "_config"
            log.append(key.encode(), command)
    return log


BY_CUSTOMER = (Meter, Register, Resolve, Expire, ReadOutcome, Void)


def _command(step: Step, log: memory.MemoryLog) -> commands.Command | None:
    """A step as the command that it is for this log; None when there is nothing yet to aim at."""
    if isinstance(step, Aimed):
        opened = [row for row in rows_of(log) if row.get("outcome_id") and row["kind"] in ("event", "registered")]
        if not opened:
            return None
        row = opened[step.opened % len(opened)]
        customer = "hooli" if step.foreign else row["customer_id"]
        names = {"customer_id": customer}
        names["outcome_id" if isinstance(step.command, Expire) else "target"] = row["outcome_id"]
        return msgspec.structs.replace(step.command, **names)
    if isinstance(step, TakeBack):
        rows = [row for row in rows_of(log) if row["kind"] in ("event", "registered", "charge", "waived")]
        return _void(rows[step.row % len(rows)], step.wrong) if rows else None
    return step


def _void(row: Row, wrong: str | None) -> Void:
    event = MeterEvent(
        row.get("agent_id", "?"),
        row.get("action", "?"),
        row.get("tokens", 0),
        event_time=row["event_time"],
        idempotency_key=row.get("idempotency_key"),
        model=row.get("model"),
        task_id=row.get("task_id"),
    )
    price = None
    if row.get("price_id"):
        rates = Rates(_text(row["price_base"]), _text(row["price_token"]), _text(row["price_bonus"]))
        price = PriceRef(row["price_id"], row["price_action"], rates, row["price_offset"], row["price_is_default"])
    closing = row["kind"] in ("charge", "waived")
    return Void(
        customer_id="hooli" if wrong == "customer" and closing else row["customer_id"],
        event_id=row["event_id"] + (1 << 40 if wrong == "id" else 0),
        event=event,
        base=_text(row["base_cents"]),
        token=_text(row["token_cents"]),
        bonus=_text(row["bonus_cents"]),
        total=_text(row["total_cents"] + (1 if wrong == "total" else 0)),
        reason="mistake",
        price=price,
        outcome_id=row.get("outcome_id") or None,
        charge=closing != (wrong == "charge"),
        test=row["test"],
    )


def _text(amount: Decimal) -> str:
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def test_the_model_shares_nothing_with_the_pricer() -> None:
    """No module of verify imports the pricer, or the money or price code of schemas."""
    from pathlib import Path

    import ledger.verify

    for path in Path(str(ledger.verify.__file__)).parent.glob("*.py"):
        text = path.read_text()
        for name in ("pricer", "schemas.money", "schemas.prices", "schemas.entries", "schemas.commands", "msgspec"):
            assert f"from {name}" not in text and f"import {name}" not in text, json.dumps([path.name, name])
