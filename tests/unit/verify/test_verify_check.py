"""The comparison: an honest ledger agrees, and every single lie is reported as exactly that."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tools.verify.check import Check, Totals
from tools.verify.compare import Difference
from tools.verify.memory import MemoryLedger, MemoryRawLog
from tools.verify.row_values import FLAGS, MONEY, Row
from tools.verify.sources import RawRecord, Selection

WINDOW = 35 * 86_400_000
T0 = 1_777_204_800_000
EVERYTHING = Selection()
RATES = {"base": "0.5", "token": "0.0003", "bonus": "0.25"}


def record(offset: int, key: str, **command: Any) -> RawRecord:
    return RawRecord(offset, T0 + offset * 10, key.encode(), json.dumps(command).encode())


def install(offset: int) -> RawRecord:
    return record(offset, "_price", command="price", number=1, id=1, action_type="chat", rates=RATES)


def meter(offset: int, *events: dict[str, Any], **more: Any) -> RawRecord:
    command = {"customer_id": "globex", "api_key_id": 1, "idempotency_window": WINDOW, "outcome_ttl": 1000, **more}
    made = [{"agent_id": "a", "action": "chat", **event} for event in events]
    return record(offset, command["customer_id"], command="meter", events=made, batch=len(events) > 1, **command)


def small_log() -> MemoryRawLog:
    """Four partitions: _config is at home in 0, hooli in 1, initech in 2, globex in 3."""
    seed = record(0, "_config", command="genesis", epoch="e", prices=[{"action_type": "chat", "rates": RATES}])
    made = record(1, "_config", command="key.create", customer_id="globex", hash="h", mask="m")
    many = {"tokens": 100, "idempotency_key": "k", "metadata": {"b": 1.5, "a": "x"}, "outcome": "success"}
    globex = [
        install(0),
        meter(1, {"tokens": 2400, "tokens_input": 2000, "tokens_output": 400, "outcome": "success", "model": "m"}),
        meter(2, many, {"outcome": "pending", "task_id": "t"}, {"event_time": T0 - 5, "trace_id": "r"}),
        meter(3, many),
        meter(4, {**many, "tokens": 101}, {}),
        meter(5, {"tokens": 7}, test=True),
    ]
    return MemoryRawLog(
        {
            0: [seed, made, install(2)],
            1: [install(0), meter(1, {"tokens": 1}, customer_id="hooli")],
            2: [install(0), meter(1, {"tokens": 3}, {"tokens": 4}, customer_id="initech")],
            3: globex,
        }
    )


def price(offset: int, tokens: int, outcome: str, total: str, **more: Any) -> Row:
    """An event's row, its money written by hand."""
    bonus = Decimal("0.25") if outcome == "success" else Decimal(0)
    rates = {"price_base": Decimal("0.5"), "price_token": Decimal("0.0003"), "price_bonus": Decimal("0.25")}
    parts = {"base_cents": Decimal("0.5"), "bonus_cents": bonus, "total_cents": Decimal(total)}
    token = Decimal(total) - Decimal("0.5") - bonus
    reference = {"price_id": 1, "price_action": "chat", "price_is_default": True, "price_offset": 0}
    kind = {"kind": "event", "action": "chat", "agent_id": "a", "tokens": tokens, "outcome": outcome}
    return {**base(offset, **more), **kind, **rates, **parts, "token_cents": token, **reference, **_own(more)}


def base(offset: int, *, partition: int = 3, index: int = 0, **more: Any) -> Row:
    at = T0 + offset * 10
    address = {"raw_partition": partition, "raw_offset": offset, "raw_index": index, "entries_offset": offset}
    number = offset * 65536 + partition * 1024 + index
    return {
        **address,
        "event_id": number,
        "customer_id": "globex",
        "api_key_id": 1,
        "event_time": at,
        "recorded_at": at,
    }


def _own(more: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in more.items() if name not in ("partition", "index")}


def honest_rows() -> list[Row]:
    """What the ledger must hold of `small_log`, written by hand."""
    other = {"agent_id": "a", "action": "chat", "kind": "rejected", "reason": "conflict"}
    config = {"customer_id": "_config", "api_key_id": 0, "kind": "config", "actor": "genesis"}
    rates = '"base_rate_cents":0.5,"token_rate_cents":0.0003,"outcome_bonus_cents":0.25'
    seeded = f'{{"id":1,"customer_id":null,"action_type":"chat",{rates},"is_active":true,"more":1}}'
    keyed = {"idempotency_key": "k", "metadata": '{"b": 1.5, "a": "x"}'}
    return [
        price(1, 1, "", "0.5003", partition=1, customer_id="hooli"),
        {**base(0, partition=0), **config, "config_type": "pricing.updated", "detail": seeded},
        {**base(1, partition=0), **config, "config_type": "key.created", "actor": "admin",
         "detail": '{"id":1,"customer_id":"globex","is_active":true}'},
        price(1, 3, "", "0.5009", partition=2, customer_id="initech"),
        price(1, 4, "", "0.5012", partition=2, index=1, customer_id="initech"),
        price(1, 2400, "success", "1.47", tokens_input=2000, tokens_output=400, model="m"),
        price(2, 100, "success", "0.78", body_hash="h", **keyed),
        price(2, 0, "pending", "0.5", index=1, task_id="t", outcome_id=f"oc_{2 * 65536 + 3 * 1024 + 1}",
              expires_at=T0 + 20 + 1000),
        price(2, 0, "", "0.5", index=2, event_time=T0 - 5, trace_id="r"),
        {**base(4), **other, **keyed, "tokens": 101, "outcome": "success"},
        {**base(4, index=1), **other},
        price(5, 7, "", "0.5021", test=True),
    ]  # fmt: skip


async def check(
    log: MemoryRawLog, ledger: MemoryLedger, selection: Selection = EVERYTHING, chunk: int = 20_000
) -> tuple[list[Difference], Totals]:
    found: list[Difference] = []

    async def pause(seconds: float) -> None:
        """Time passes at once."""

    totals = await Check(log, ledger, selection, found.append, patience=1.0, pause=pause, chunk=chunk).run()
    assert totals.differences == len(found)
    return found, totals


@pytest.mark.parametrize("chunk", [1, 3, 20_000])
async def test_an_honest_ledger_agrees(chunk: int) -> None:
    """Counts and the exact sum are what was added up by hand, whatever the size of a chunk."""
    found, totals = await check(small_log(), MemoryLedger(honest_rows()), chunk=chunk)
    assert found == []
    assert (totals.commands, totals.events, totals.rows) == (13, 11, 12)
    assert totals.cents == Decimal("5.2545")


def _flipped(column: str, value: Any) -> Any:
    if column in MONEY:
        return (value or Decimal(0)) + Decimal("0.000000000001")
    if column in FLAGS:
        return not value
    if isinstance(value, int):
        return value + 1
    return 1 if value is None else value + "x"


COMPARED = [
    "kind", "event_id", "customer_id", "api_key_id", "agent_id", "action", "tokens_input", "tokens_output", "tokens",
    "outcome", *MONEY, "price_id", "price_action", "price_is_default", "price_offset", "model", "provider", "trace_id",
    "task_id", "outcome_id", "idempotency_key", "test", "metadata", "expires_at", "event_time", "recorded_at",
    "original", "config_type",
]  # fmt: skip


@pytest.mark.parametrize("column", COMPARED)
async def test_one_flipped_value_is_reported_as_exactly_that(column: str) -> None:
    """Any column of any row: one difference, of that row and column, with the ledger's value."""
    for at in range(len(honest_rows())):
        rows = MemoryLedger(honest_rows()).all
        rows[at][column] = _flipped(column, rows[at][column])
        (difference,), _ = await check(small_log(), MemoryLedger(rows))
        assert (difference.what, difference.column) == ("value", column)
        assert difference.event_id == honest_rows()[at]["event_id"]
        assert difference.ledger == rows[at][column]


@pytest.mark.parametrize("at", range(12))
async def test_a_missing_row_is_reported(at: int) -> None:
    """A row that is not there is one difference."""
    rows = honest_rows()
    gone = rows.pop(at)
    (difference,), _ = await check(small_log(), MemoryLedger(rows))
    assert (difference.what, difference.event_id) == ("missing", gone["event_id"])


@pytest.mark.parametrize("at", range(12))
async def test_a_doubled_row_is_reported(at: int) -> None:
    """A row that is there twice is one difference."""
    rows = honest_rows()
    (difference,), _ = await check(small_log(), MemoryLedger([*rows, rows[at]]))
    assert (difference.what, difference.event_id) == ("doubled", rows[at]["event_id"])


@pytest.mark.parametrize(("partition", "offset"), [(3, 3), (3, 0), (3, 6), (3, 10**6), (0, 900), (7, 1)])
async def test_an_extra_row_is_reported(partition: int, offset: int) -> None:
    """For a replay, for a price record, beyond the end of the log, in no partition of it."""
    extra = price(offset, 1, "", "0.5003", partition=partition)
    (difference,), _ = await check(small_log(), MemoryLedger([*honest_rows(), extra]))
    assert (difference.what, difference.partition, difference.offset) == ("extra", partition, offset)


@pytest.mark.parametrize(
    ("at", "column", "text"),
    [
        (1, "detail.base_rate_cents", ("0.5,", "0.6,")),
        (1, "detail.is_active", ("true", "false")),
        (2, "detail.id", ('"id":1', '"id":2')),
    ],
)
async def test_a_wrong_configuration_object_is_reported(at: int, column: str, text: tuple[str, str]) -> None:
    """The audit trail must show the object that was decided."""
    rows = honest_rows()
    rows[at]["detail"] = rows[at]["detail"].replace(*text)
    (difference,), _ = await check(small_log(), MemoryLedger(rows))
    assert (difference.what, difference.column) == ("value", column)


@pytest.mark.parametrize(("at", "column", "value"), [(6, "body_hash", ""), (5, "body_hash", "h"), (9, "reason", "")])
async def test_a_hash_or_reason_that_is_not_there_is_reported(at: int, column: str, value: str) -> None:
    """An event with a key has a hash, a rejected one a reason."""
    rows = honest_rows()
    rows[at][column] = value
    (difference,), _ = await check(small_log(), MemoryLedger(rows))
    assert (difference.what, difference.column) == ("value", column)


async def test_a_forged_price_record_is_reported() -> None:
    """A price that no configuration command decided is told even if the ledger agrees with it."""
    log = small_log()
    rates = {**RATES, "base": "0"}
    log.partitions[1] = [
        record(0, "_price", command="price", number=1, id=1, action_type="chat", rates=rates),
        log.partitions[1][1],
    ]
    rows = honest_rows()
    rows[0] |= {"price_base": Decimal(0), "base_cents": Decimal(0), "total_cents": Decimal("0.0003")}
    (difference,), _ = await check(log, MemoryLedger(rows))
    assert (difference.what, difference.partition, difference.offset) == ("log", 1, 0)


async def test_it_waits_for_a_ledger_that_lags() -> None:
    """Rows that arrive while it waits are no difference; rows that never do are missing."""
    rows = honest_rows()
    assert (await check(small_log(), MemoryLedger(rows[:7], late=rows[7:])))[0] == []
    found, _ = await check(small_log(), MemoryLedger(rows[:7]))
    assert [difference.what for difference in found] == ["missing"] * 5


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        (Selection(customer="globex"), 7),
        (Selection(customer="initech"), 2),
        (Selection(customer="nobody"), 0),
        (Selection(start=T0 + 20, end=T0 + 50), 5),
        (Selection(start=T0 + 20, customer="globex"), 6),
    ],
)
async def test_a_selection_compares_its_rows_alone(selection: Selection, count: int) -> None:
    """--customer, --from and --to: what is outside is neither missing nor compared."""
    found, totals = await check(small_log(), MemoryLedger(honest_rows()), selection)
    assert (found, totals.rows) == ([], count)
    rows = honest_rows()
    rows[0]["tokens"] += 1  # hooli's, at T0 + 10
    assert (await check(small_log(), MemoryLedger(rows), selection))[0] == []


async def test_rows_older_than_the_log_are_derived_from_themselves() -> None:
    """Retention has taken globex's first records: prices, keys and times come from the ledger."""
    log = small_log()
    log.firsts = {3: 3}
    found, totals = await check(log, MemoryLedger(honest_rows()))
    assert (found, totals.derived, totals.rows) == ([], 4, 12)


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("token_cents", Decimal("0.73"), {"token_cents"}),
        ("tokens", 2401, {"tokens", "token_cents", "total_cents"}),
        ("total_cents", Decimal("1.46"), {"total_cents"}),
        ("outcome", "failure", {"bonus_cents", "total_cents"}),
        ("event_id", 5, {"event_id"}),
        ("outcome_id", "oc_5", {"outcome_id"}),
    ],
)
async def test_an_old_row_that_contradicts_itself_is_reported(column: str, value: Any, named: set[str]) -> None:
    """Without its command a row must still follow from its own quantities and rates."""
    log = small_log()
    log.firsts = {3: 3}
    rows = honest_rows()
    rows[5][column] = value
    found, _ = await check(log, MemoryLedger(rows))
    assert {difference.column for difference in found} == named


async def test_a_key_older_than_the_log_may_be_replayed_or_refused() -> None:
    """What body an old key had is unknown, so no row and a refusal are both right, a charge is not."""
    log = small_log()
    log.firsts = {3: 3}
    charged = price(3, 100, "success", "0.78", body_hash="h", idempotency_key="k", metadata='{"b":1.5,"a":"x"}')
    refused = {
        **base(3), "kind": "rejected", "reason": "conflict", "agent_id": "a", "action": "chat", "tokens": 100,
        "outcome": "success", "idempotency_key": "k", "metadata": '{"b":1.5,"a":"x"}',
    }  # fmt: skip
    assert (await check(log, MemoryLedger([*honest_rows(), refused])))[0] == []
    (difference,), _ = await check(log, MemoryLedger([*honest_rows(), charged]))
    assert (difference.what, difference.offset) == ("extra", 3)


async def test_two_prices_in_force_at_once_before_the_log_are_reported() -> None:
    """Rows of one action that name different old prices cannot both be right."""
    log = small_log()
    log.firsts = {3: 3}
    log.partitions[3] = [*log.partitions[3], meter(6, {"tokens": 7})]
    rows = [*honest_rows(), price(6, 7, "", "0.5021", price_id=2, price_offset=1)]
    found, _ = await check(log, MemoryLedger(rows))
    assert "log" in {difference.what for difference in found}
