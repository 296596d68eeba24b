"""Usage over Stripe's meter event stream: sessions, requests of 100 events, and what Stripe drops after its answer."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY
from stripe.params.v2.billing import MeterEventStreamCreateParams, MeterEventStreamCreateParamsEvent

from collector.stripe.client import OfficialClient
from collector.stripe.meter_apis import LIFE, EventStream
from collector.stripe.meter_lines import identifier, make_events
from schemas.limits import DAY, HOUR
from schemas.meters import MeterLine
from tests.stripe_stand_in import FAULTS, KEY, Fault
from tests.unit.collector.test_invoices_http import World as InvoiceWorld
from tests.unit.collector.test_invoices_http import gateway, settings, world
from tests.unit.collector.test_stripe_http import Paying, paying_world
from tests.unit.collector.test_stripe_meters import World
from tests.unit.statements.random_ledger import START

__all__ = ["gateway", "settings", "world"]
DROPPED = "rev_collector_dropped_meter_events_total"
MODE = {"REV_STRIPE": "meter", "REV_STRIPE_METER_API": "stream", "REV_STRIPE_METERS": "calls=events"}
NOTHING: list[Fault] = [""] * 9
SESSION = "POST /v2/billing/meter_event_session"


@pytest.fixture
async def usage() -> AsyncIterator[World]:
    one = World(3, streams=True)
    await one.start()
    yield one
    await one.stop()


def sessions(world: World) -> int:
    return sum(body.startswith(SESSION) for body in world.stripe.bodies)


def test_events_have_the_members_of_the_official_package() -> None:
    """What Stripe publishes for its mock has nothing of API v2; its Python package has the names of what is sent."""
    line = MeterLine("acme", START, "calls=events", 0, 1, START, START + HOUR)
    request = make_events([(line, "cus_1")], "token", START)
    (sent,) = msgspec.to_builtins(request.params)["events"]
    assert request.params.keys() == MeterEventStreamCreateParams.__annotations__.keys()
    assert sent.keys() == MeterEventStreamCreateParamsEvent.__annotations__.keys()
    texts = [*sent.pop("payload").values(), *sent.values()]
    assert len(texts) == 5 and all(isinstance(text, str) for text in texts)


async def begun(until: int, faults: Sequence[Fault] = (), deaths: Sequence[str] = ()) -> World:
    """An interval is begun whose customers are known in Stripe; what goes wrong begins after that."""
    one = World(3, count=40, streams=True)
    await one.start()
    await one.push(START + 5 * DAY)
    one.now = until + 5_000
    assert await one.pusher.step(one.book) and one.position.as_of == until
    one.stripe.fail(*faults)
    one.deaths = [*deaths]
    return one


async def test_a_request_has_up_to_100_events() -> None:
    """Under one session for all of them, and the next one after a quarter of an hour."""
    world = World(4, count=600, streams=True)
    await world.start()
    try:
        await world.push(START + 60 * DAY)
        assert len(world.stripe.events) > 250 and sum(world.stripe.batches) == len(world.stripe.events)
        assert max(world.stripe.batches) == 100 and len(world.stripe.batches) < 10
        assert sessions(world) == 1
        assert sum(world.held().values()) == sum(world.wanted(START + 60 * DAY).values())
        await world.push(START + 65 * DAY)
        assert sessions(world) == 2
    finally:
        await world.stop()


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault])
async def test_whatever_fails_at_any_request_counts_once(fault: Fault) -> None:
    """That of the session or of the events; also when a day passes before the next attempt."""
    until = START + 9 * DAY
    for at in range(2):
        for a_day_later in (False, True):
            world = await begun(until, [*NOTHING[:at], fault])
            try:
                await world.pusher.step(world.book)
                if a_day_later:
                    world.stripe.forget_keys()
                    world.now += 2 * DAY
                await world.push(until)
                world.stripe.fail()
                assert world.stripe.asked[fault] == 1
                assert world.held() == world.wanted(world.position.since)
                assert not world.book.refused_lines and await world.differences("2026-11") == []
            finally:
                await world.stop()


@pytest.mark.parametrize("death", ["before", "after"])
async def test_a_kill_between_any_two_steps_counts_once(death: str) -> None:
    """Before or after each record of what was sent; a session dies with its owner."""
    until, kills = START + 9 * DAY, 0
    for at in range(6):
        world = await begun(until, deaths=[death, *[""] * at])
        try:
            await world.push(until)
            kills += not world.deaths
            assert world.held() == world.wanted(world.position.since)
            assert not world.book.refused_lines and await world.differences("2026-11") == []
        finally:
            await world.stop()
    assert kills >= 3


async def test_a_session_that_stripe_ends_early_is_replaced(usage: World) -> None:
    await usage.push(START + 5 * DAY)
    assert sessions(usage) == 1
    usage.now = START + 9 * DAY + 5_000
    assert await usage.pusher.step(usage.book)
    stream = usage.pusher._api
    assert isinstance(stream, EventStream)
    stream._until = usage.now + LIFE
    usage.stripe.sessions.clear()
    await usage.push(START + 9 * DAY)
    assert sessions(usage) == 2 and usage.held() == usage.wanted(START + 9 * DAY) and not usage.book.refused_lines


async def test_sessions_that_are_never_good_refuse_no_line(usage: World) -> None:
    """Nor does a key that may not make any: usage waits."""
    until = START + 9 * DAY
    usage.now = until + 5_000
    usage.stripe.sessions = Ended()
    for _ in range(3):
        await usage.pusher.step(usage.book)
    assert usage.position.error == "Stripe answers 401: The session has expired" and not usage.book.refused_lines
    assert not usage.stripe.events and sessions(usage) == 2
    usage.stripe.sessions = {}
    wrong = OfficialClient("sk_test_wrong", usage.stripe.url)
    right, usage.client = usage.client, wrong
    usage.pusher = usage.new_owner()
    usage.now = usage.position.due
    await usage.pusher.step(usage.book)
    assert "401: Invalid API Key" in usage.position.error and not usage.book.refused_lines
    await wrong.close()
    usage.client = right
    usage.pusher = usage.new_owner()
    await usage.push(until)
    assert usage.held() == usage.wanted(usage.position.since)


class Ended(dict[str, int]):
    """Sessions of which none is good."""

    def get(self, token: str, default: int = -1) -> int:  # type: ignore[override]
        return -1


async def test_one_event_that_is_refused_stops_no_other_of_its_request(usage: World) -> None:
    """Stripe refuses a request as a whole, so it is sent in parts until it is known which event it is."""
    usage.now = START + 9 * DAY + 5_000
    assert await usage.pusher.step(usage.book) and await usage.pusher.step(usage.book)
    lines = await usage.pusher._lines(usage.position)
    usage.stripe.refused_batch = identifier(lines[7])
    await usage.push(START + 9 * DAY)
    assert [one.error for one in usage.book.refused_lines.values()] == ["Stripe answers 400: An event is invalid"]
    assert sum(usage.held().values()) == sum(usage.wanted(START + 9 * DAY).values()) - lines[7].value
    usage.stripe.refused_batch = ""
    await usage.push(START + 9 * DAY + HOUR)
    assert usage.held() == usage.wanted(START + 9 * DAY + HOUR) and not usage.book.refused_lines


async def test_what_stripe_drops_later_is_a_difference(usage: World) -> None:
    """Its customer was deleted: the stream takes the event and counts nothing."""
    await usage.push(START + 9 * DAY)
    gone = usage.stripe.customers.pop("cus_1")
    await usage.push(START + 20 * DAY)
    assert {one["error"] for one in usage.stripe.dropped} == {"There is no such customer"}
    usage.stripe.customers["cus_1"] = gone
    found = await usage.differences("2026-11")
    assert {one.number for one in found} == {gone["metadata"]["rev_customer_id"]}


@pytest.fixture
async def metering(world: InvoiceWorld) -> AsyncIterator[Paying]:
    async for one in paying_world(world, {**MODE, "REV_STRIPE_KEY": KEY}):
        yield one


def dropped() -> float:
    return REGISTRY.get_sample_value(DROPPED) or 0.0


@pytest.mark.parametrize(
    ("type", "meter"),
    [("v1.billing.meter.error_report_triggered", "mtr_1"), ("v1.billing.meter.no_meter_found", "")],
)
async def test_a_report_of_dropped_events_is_visible(
    metering: Paying, capsys: pytest.CaptureFixture[str], type: str, meter: str
) -> None:
    """In the log with Stripe's ids and reasons, and as a count; the report itself has none of these."""
    metering.stripe.dropped = [{"identifier": f"rev-{n}", "error": "no such customer"} for n in range(3)]
    body, before = metering.stripe.dropped_report("evt_7", type), dropped()
    assert await metering.report(body) == (200, {"outcome": "taken"})
    assert dropped() - before == 3
    said = capsys.readouterr().out
    for word in (
        "meter_events_dropped",
        "evt_7",
        meter,
        "meter_event_customer_not_found: 3",
        "rev-2: no such customer",
    ):
        assert word in said


@pytest.mark.parametrize(
    ("fault", "status", "counted"),
    [("", 200, 2), ("error", 503, 0), ("error after", 503, 0), ("limit", 503, 0)],
)
async def test_a_report_that_cannot_be_read_now_is_sent_again(
    metering: Paying, fault: Fault, status: int, counted: int
) -> None:
    """Stripe repeats what is not answered by 200."""
    metering.stripe.dropped = [{"identifier": f"rev-{n}", "error": "x"} for n in range(2)]
    body, before = metering.stripe.dropped_report("evt_7"), dropped()
    metering.stripe.fail(fault)
    told: tuple[int, Any] = await metering.report(body)
    assert (told[0], dropped() - before) == (status, counted)
    if status == 503:
        assert told[1]["code"] == "stripe_unavailable"
        assert (await metering.report(body))[0] == 200 and dropped() - before == 2


async def test_a_report_without_its_event_is_visible_too(metering: Paying, capsys: pytest.CaptureFixture[str]) -> None:
    body, before = metering.stripe.dropped_report("evt_7"), dropped()
    assert (await metering.report(body, "whsec_other"))[0] == 401 and dropped() == before
    del metering.stripe.reports["evt_7"]
    assert await metering.report(body) == (200, {"outcome": "taken"})
    metering.stripe.reports["evt_7"] = {"data": {"reason": {"error_count": "many"}}}
    assert await metering.report(body) == (200, {"outcome": "taken"})
    assert dropped() - before == 2
    said = capsys.readouterr().out
    assert "No such event: 'evt_7'" in said and "Expected `int`, got `str`" in said
