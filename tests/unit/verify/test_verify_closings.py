"""Outcomes under comparison: single lies, selections, and what retention leaves to the ledger's own word."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pricer import memory
from schemas.commands import Expire, Meter, MeterEvent, Rates, Register, Resolve, SetPrice
from schemas.topics import partition_of
from tests.unit.verify.pricer_ledger import check, rows_of, void_of
from tools.verify.row_values import EMPTY, Row
from tools.verify.sources import Selection

PARTITION = partition_of(b"acme", 4)
WINDOW = 1_000_000


def written() -> memory.MemoryShard:
    """Four outcomes of acme and two voids, one command a millisecond from 1000 on."""
    log = memory.MemoryShard()
    log.append(b"_config", SetPrice("email.sent", Rates("1", "0.5", "500")))
    log.now = 999

    def put(command: Any) -> Row:
        log.now += 1
        log.append(b"acme", command)
        return list(rows_of_acme(log))[-1]

    def register(task: str) -> Row:
        return put(
            Register(
                "acme",
                1,
                task,
                "a",
                2000,
                WINDOW,
                "success",
                f"r-{task}",
                price_on_success="4900",
                price_on_failure="3",
            )
        )

    register("won")
    expiring = register("expiring")
    event = MeterEvent("a", "email.sent", 4, outcome="pending", expires_at=2000, on_expiry="success")
    sent = put(Meter("acme", 1, [event], WINDOW, 10))
    other = put(Meter("acme", 1, [event], WINDOW, 10))
    won = put(Resolve("acme", 2, "won", True, WINDOW, idempotency_key="s-won"))
    put(void_of(sent))
    put(Resolve("acme", 2, sent["outcome_id"], True, WINDOW))
    put(void_of(won))
    log.now = 1999
    put(Expire("acme", expiring["outcome_id"]))
    put(Expire("acme", other["outcome_id"]))
    return log


def rows_of_acme(log: memory.MemoryShard) -> list[Row]:
    return [row for row in rows_of(log) if row["customer_id"] == "acme"]


def honest() -> tuple[memory.MemoryShard, list[Row]]:
    """The log and every row of it; acme's are the last ten."""
    log = written()
    rows = [{**EMPTY, **row} for row in rows_of(log)]
    return log, [row for row in rows if row["customer_id"] != "acme"] + [r for r in rows if r["customer_id"] == "acme"]


KINDS = ["registered", "registered", "event", "event", "charge", "void", "waived", "void", "charge", "charge"]


async def test_the_rows_that_these_tests_lie_in() -> None:
    """Openings, closings of all verdicts and both voids; the honest ledger agrees."""
    log, rows = honest()
    assert [row["kind"] for row in rows[-10:]] == KINDS
    assert [row["verdict"] for row in rows if row["verdict"]] == ["succeeded", "succeeded", "expired", "expired"]
    assert (await check(log, rows))[0] == []


FLIPS: list[tuple[str, Callable[[Any], Any]]] = [
    ("total_cents", lambda cents: cents + Decimal("0.000000000001")),
    ("bonus_cents", lambda cents: cents + 1),
    ("price_on_success", lambda cents: cents + 1),
    ("price_on_failure", lambda cents: cents + 1),
    ("price_bonus", lambda cents: cents + 1),
    ("price_offset", lambda offset: offset + 1),
    ("verdict", lambda verdict: "failed"),
    ("kind", lambda kind: "config"),
    ("original", lambda original: (original or 0) + (1 << 50)),
    ("outcome_id", lambda id: id + "0"),
    ("config_type", lambda type: "" if type else "charge"),
    ("on_expiry", lambda on_expiry: "failure"),
    ("expires_at", lambda at: (at or 0) + 1),
    ("event_time", lambda at: at + 1),
    ("task_id", lambda task: task + "x"),
    ("test", lambda test: not test),
    ("reason", lambda reason: reason + "x"),
    ("body_hash", lambda hashed: "" if hashed else "x"),
]


@pytest.mark.parametrize(("column", "flip"), FLIPS)
async def test_one_flipped_value_is_reported(column: str, flip: Callable[[Any], Any]) -> None:
    """Any column of any row of an outcome: a difference of that row and column; no other row is
    blamed but a void, which must be the opposite of what it takes back."""
    for at in range(-10, 0):
        log, rows = honest()
        rows[at][column] = flip(rows[at][column])
        if rows[at][column] == honest()[1][at][column]:
            continue
        found, _ = await check(log, rows)
        assert (rows[at]["event_id"], column) in {(d.event_id, d.column) for d in found}
        blamed = {d.event_id for d in found} - {rows[at]["event_id"]}
        assert blamed <= {row["event_id"] for row in rows if row["kind"] == "void"}


@pytest.mark.parametrize(
    ("column", "text", "other"),
    [
        ("detail.charge_cents", '"charge_cents":4900', '"charge_cents":4901'),
        ("detail.status", '"status":"succeeded"', '"status":"failed"'),
        ("detail.success", '"success":true', '"success":null'),
        ("detail.on_expiry", '"on_expiry":"success"', '"on_expiry":"failure"'),
        ("detail.evidence", '"evidence":null', '"evidence":{}'),
        ("detail.resolved_at", '"resolved_at":"1970-01-01T00:00:01.004Z"', '"resolved_at":"1970-01-01T00:00:01.005Z"'),
    ],
)
async def test_a_wrong_object_in_the_detail_is_reported(column: str, text: str, other: str) -> None:
    """What the API shows of an outcome must follow from the log too."""
    log, rows = honest()
    assert text in rows[-6]["detail"]
    rows[-6]["detail"] = rows[-6]["detail"].replace(text, other)
    (difference,), _ = await check(log, rows)
    assert (difference.event_id, difference.column) == (rows[-6]["event_id"], column)


@pytest.mark.parametrize("at", range(-10, 0))
async def test_a_missing_and_a_doubled_row_are_reported(at: int) -> None:
    """An outcome's row that is not there, or there twice."""
    log, rows = honest()
    found, _ = await check(log, [*rows, rows[at]])
    assert ("doubled", rows[at]["event_id"]) in {(d.what, d.event_id) for d in found}
    gone = rows.pop(at)
    found, _ = await check(log, rows)
    assert [d.event_id for d in found if d.what == "missing"] == [gone["event_id"]]


async def test_a_void_that_is_not_the_opposite_of_its_original_is_reported() -> None:
    """Log and void agree on an amount that the original does not have: the gateway read wrongly."""
    log = memory.MemoryShard()
    log.append(b"_config", SetPrice("email.sent", Rates("1", "0.5", "500")))
    log.append(b"acme", Meter("acme", 1, [MeterEvent("a", "email.sent", 4)], WINDOW, 10))
    (event,) = rows_of_acme(log)
    log.append(b"acme", void_of({**event, "base_cents": Decimal(2), "total_cents": Decimal(4)}))
    found, _ = await check(log, list(rows_of(log)))
    assert {(d.column, d.expected, d.ledger) for d in found} == {
        ("base_cents", -1, -2),
        ("total_cents", -3, -4),
    }


@pytest.mark.parametrize(
    ("selection", "kinds"),
    [
        (Selection("acme", 1004, 1005), ["charge"]),
        (Selection("acme", 1005, 1006), ["void"]),
        (Selection(None, 1007, 3000), ["void", "charge", "charge"]),
        (Selection("nobody"), []),
    ],
)
async def test_a_closing_is_selected_without_its_opening(selection: Selection, kinds: list[str]) -> None:
    """One customer or a time range: what opened it before is read but not compared; lies in it are found."""
    log, rows = honest()
    found, totals = await check(log, rows, selection=selection)
    assert (found, totals.rows) == ([], len(kinds))
    wrong = [row for row in rows if selection.holds(row)]
    for row in wrong:
        row["total_cents"] += 1
    found, _ = await check(log, rows, selection=selection)
    assert {d.event_id for d in found} == {row["event_id"] for row in wrong}


@pytest.mark.parametrize("gone", range(1, 12))
async def test_openings_older_than_the_log_give_their_terms(gone: int) -> None:
    """Wherever the log begins: closings and voids are held against the rows of their openings, and counted."""
    log, rows = honest()
    firsts = {PARTITION: gone}
    found, totals = await check(log, rows, firsts)
    assert found == []
    begins = log.raw[PARTITION][gone].offset if gone < len(log.raw[PARTITION]) else 1 << 40
    later = [row for row in rows[-10:] if row["raw_offset"] >= begins and row["original"] is not None]
    assert totals.borrowed == sum(row["original"] >> 16 < begins for row in later)
    for row in later:
        row["total_cents"] += 1
    found, _ = await check(log, rows, firsts)
    assert {d.event_id for d in found if d.column == "total_cents"} >= {row["event_id"] for row in later}


LIES: list[tuple[int, dict[str, Any], str]] = [
    (-6, {"bonus_cents": Decimal(4901), "total_cents": Decimal(4901)}, "total_cents"),
    (-6, {"kind": "waived"}, "kind"),
    (-6, {"recorded_at": 2000}, "verdict"),
    (-6, {"original": 7 << 16}, "original"),
    (-6, {"expires_at": 2001}, "expires_at"),
    (-6, {"price_on_failure": Decimal(4)}, "price_on_failure"),
    (-2, {"recorded_at": 1999}, "verdict"),
    (-4, {"bonus_cents": Decimal(500), "total_cents": Decimal(500), "kind": "charge"}, "total_cents"),
    (-5, {"token_cents": Decimal(-1), "total_cents": Decimal(-2)}, "token_cents"),
    (-3, {"original": 7 << 16}, "original"),
    (-3, {"original": None}, "original"),
    (-3, {"agent_id": "b"}, "agent_id"),
    (-10, {"outcome_id": "oc_1"}, "outcome_id"),
]


@pytest.mark.parametrize(("at", "lie", "column"), LIES)
async def test_old_rows_that_contradict_each_other_are_reported(at: int, lie: dict[str, Any], column: str) -> None:
    """Without any command left a closing must still follow from its opening, and a void from its original."""
    log, rows = honest()
    rows[at].update(lie)
    found, totals = await check(log, rows, {PARTITION: len(log.raw[PARTITION])})
    assert (rows[at]["event_id"], column) in {(d.event_id, d.column) for d in found}
    assert totals.derived == sum(row["raw_partition"] == PARTITION for row in rows)


async def test_an_old_outcome_that_closed_twice_is_reported() -> None:
    """So is an entry that was voided twice."""
    log, rows = honest()
    again = {**rows[-6], "raw_offset": 11, "event_id": 11 << 16 | PARTITION << 10, "verdict": "failed"}
    voided = {**rows[-5], "raw_offset": 12, "event_id": 12 << 16 | PARTITION << 10}
    log.raw[PARTITION] += [log.raw[PARTITION][-1]._replace(offset=offset) for offset in (11, 12, 13)]
    found, _ = await check(log, [*rows, again, voided], {PARTITION: 13})
    assert {(d.event_id, d.column) for d in found} >= {
        (again["event_id"], "original"),
        (voided["event_id"], "original"),
    }
