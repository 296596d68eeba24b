"""The model of unpriced events of rev verify against the real pricer, over tests/unit/pricer/test_unpriced_events."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
from hypothesis import settings

from pricer.memory import MemoryShard
from schemas.commands import GrantCredit, MeterEvent, Rates
from schemas.quantities import QuantityRate
from schemas.tiers import Step, Tiers
from tests.unit.pricer.test_unpriced_events import Unpriced, charge, id_of, priced, send, shard, void, waiting
from tests.unit.verify.pricer_ledger import check, rows_of
from tests.unit.verify.test_verify_months import changed


class VerifiedUnpriced(Unpriced):
    """After every run of the machine, verify finds nothing."""

    def teardown(self) -> None:
        found, totals = asyncio.run(check(self.log, list(rows_of(self.log))))
        assert found == []
        assert totals.differences == 0


TestVerifiedUnpriced = VerifiedUnpriced.TestCase
TestVerifiedUnpriced.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def charged() -> MemoryShard:
    """A log with events before their price: charged by tokens, by steps, under a cap, out of credit, and voided."""
    log = shard()
    log.append(b"acme", GrantCredit("acme", "6", "promised"))
    said = msgspec.Raw(b'{"a":1}')
    plain = MeterEvent("bot", "chat", 40, model="m", event_time=log.now - 7, idempotency_key="k", metadata=said)
    send(log, plain, *[MeterEvent("bot", "chat", 10)] * 2)
    send(log, *[MeterEvent("bot", "image", quantities={"images": "1.5"})] * 3, customer="globex")
    gone = send(log, MeterEvent("bot", "chat"))
    void(log, gone)
    log.now += 5
    priced(log, Rates("0", "0.1", "0", tiers=(Tiers("event", (Step("2", "5"), Step(None, "1"))),)))
    priced(log, Rates("4", "0", "0", (QuantityRate("images", "2"),), cap="10"), "*", customer_id="globex")
    ids = waiting(log)
    charge(log, *ids)
    charge(log, *ids, customer="globex")
    void(log, gone)
    charge(log, *ids, id_of(gone))
    return log


def test_nothing_differs() -> None:
    log = charged()
    rows = list(rows_of(log))
    totals = [row["total_cents"] for row in rows if row["kind"] == "adjustment"]
    assert totals == [Decimal(one) for one in ("9", "6", "2", "7", "3", "0")]
    found, _ = asyncio.run(check(log, rows))
    assert found == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("total_cents", Decimal("3.5")),
        ("lines", ()),
        ("event_time", 5),
        ("original", 7),
        ("price_id", 0),
        ("credit_cents", Decimal(1)),
        ("tokens", 10),
    ],
)
def test_a_wrong_charge_is_found(column: str, value: object) -> None:
    log = charged()
    found, _ = asyncio.run(check(log, changed(list(rows_of(log)), "adjustment", column, value)))
    assert column in {difference.column for difference in found}


def test_a_missing_and_a_doubled_charge_are_found() -> None:
    log = charged()
    rows = list(rows_of(log))
    last = next(row for row in rows if row["kind"] == "adjustment")
    found, _ = asyncio.run(check(log, [row for row in rows if row is not last]))
    assert [difference.what for difference in found] == ["missing"]
    found, _ = asyncio.run(check(log, [*rows, last]))
    assert "doubled" in {difference.what for difference in found}


def test_a_refused_event_that_was_to_be_recorded_is_found() -> None:
    log = charged()
    rows = list(rows_of(log))
    rows[1] = {**rows[1], "kind": "rejected", "reason": "no price"}
    found, _ = asyncio.run(check(log, rows))
    assert ("kind", "event", "rejected") in {(one.column, one.expected, one.ledger) for one in found}


@pytest.mark.parametrize("first", range(1, 9))
def test_a_log_that_begins_later_checks_what_it_can(first: int) -> None:
    """Of events that are older than the log, it is not known whether they wait."""
    log = charged()
    found, _ = asyncio.run(check(log, list(rows_of(log)), {0: first}))
    assert [one for one in found if one.column not in ("credit_cents", "draws")] == []
