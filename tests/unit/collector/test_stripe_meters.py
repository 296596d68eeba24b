"""Usage comes to Stripe's meters, each unit once, whatever is lost, refused or killed: by the official client."""

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from collector.book import Book, Change
from collector.stripe.client import OfficialClient
from collector.stripe.meter_pusher import MeterMode, MeterPusher
from collector.stripe.meter_reconciling import compared_usage
from collector.stripe.modes import open_stripe
from schemas.billing import Billing, BillTo
from schemas.invoices import METER_KEY, billing_key
from schemas.limits import DAY, HOUR
from schemas.meters import MeterPosition, meter_rules
from schemas.months import month_range
from schemas.settings import SettingError, read
from tests.stripe_stand_in import FAULTS, KEY, Fault, StripeStandIn
from tests.unit.collector.memory_invoicing import Ids, Journal, Killed, MemoryInvoicing, metered
from tests.unit.collector.test_closer import SEEDS
from tests.unit.statements.random_ledger import CUSTOMERS, START, made
from warehouse.ledger_row import LedgerRow

RULES = meter_rules("calls=events tokens=tokens chats=events:chat audio=seconds")
FIRST = START - DAY


class World:
    """A collector in mode meter with what it holds, and Stripe. ``deaths``: commits at which it dies."""

    def __init__(self, seed: int, faults: Sequence[Fault] = (), count: int = 100, streams: bool = False) -> None:
        rng = random.Random(seed)
        self.now = START
        self.stripe = StripeStandIn(faults, lambda: self.now)
        for rule in RULES:
            self.stripe.meter(rule.event_name)
        self.reads = MemoryInvoicing([measured(row, rng) for row in made(seed, count)])
        self.journal = Journal()
        self.book = Book()
        self.deaths: list[str] = []
        self.ids = Ids()
        self.streams = streams
        self.rules = RULES
        self.first = FIRST

    async def start(self) -> None:
        await self.stripe.start()
        self.client = OfficialClient(KEY, self.stripe.url)
        self.pusher = self.new_owner()

    async def stop(self) -> None:
        await self.client.close()
        await self.stripe.stop()

    def new_owner(self) -> MeterPusher:
        self.book = Book()
        self.book.load(self.journal.held.items())
        mode = MeterMode(self.rules, self.first, self.client.call, Path("."), self.streams)
        return MeterPusher(mode, self.reads, self.record, lambda: self.now, self.ids)

    async def record(self, changes: Sequence[Change]) -> None:
        death = self.deaths.pop() if self.deaths else ""
        if death == "before":
            raise Killed
        await self.journal.commit(changes)
        self.book.apply(changes)
        if death == "after":
            raise Killed

    @property
    def position(self) -> MeterPosition:
        assert self.book.meter is not None
        return self.book.meter

    async def push(self, until: int, steps: int = 400) -> None:
        """The owner runs until Stripe has the usage until a time, anew after each death."""
        self.now = max(self.now, until + 5_000)
        for _ in range(steps):
            try:
                if not await self.pusher.step(self.book):
                    if self.position.since >= until:
                        return
                    self.now = max(self.now, self.position.due)
            except Killed:
                self.pusher = self.new_owner()
        raise AssertionError(f"not sent: {self.position}")

    def held(self) -> dict[tuple[str, str, int], int]:
        """What Stripe's meters have, by customer, meter and hour."""
        names = {one["id"]: one["metadata"]["rev_customer_id"] for one in self.stripe.customers.values()}
        found: dict[tuple[str, str, int], int] = defaultdict(int)
        for one in self.stripe.events.values():
            payload = one["payload"]
            place = names[payload["stripe_customer_id"]], one["event_name"], one["timestamp"] // 3600 * HOUR
            found[place] += int(payload["value"])
        return {place: value for place, value in found.items() if value}

    def wanted(self, until: int) -> dict[tuple[str, str, int], int]:
        """The same from the ledger's rows."""
        found: dict[tuple[str, str, int], Decimal] = defaultdict(Decimal)
        for row in self.reads.rows:
            is_use = row.kind == "event" or (row.kind == "void" and row.config_type == "")
            if is_use and not row.test and row.recorded_at <= until and row.event_time >= self.first:
                for rule in self.rules:
                    if rule.action in ("", row.action):
                        amount = metered(row, rule.metric) * (-1 if row.kind == "void" else 1)
                        found[row.customer_id, rule.event_name, row.event_time // HOUR * HOUR] += amount
        rounded = {place: int(value.quantize(Decimal(1), ROUND_HALF_UP)) for place, value in found.items()}
        return {place: value for place, value in rounded.items() if value}

    async def differences(self, month: str) -> list[Any]:
        return (await compared_usage(self.book, self.reads, self.client.call, month))[1]


def measured(row: LedgerRow, rng: random.Random) -> LedgerRow:
    """With quantities that are not whole; a void has those of what it takes back."""
    if row.kind == "event":
        return replace(row, quantities={"seconds": str(Decimal(row.event_id % 999) / 4)})
    taken = Decimal((row.original or 0) % 999) / 4
    return replace(row, quantities={"seconds": str(taken)}) if row.kind == "void" and not row.config_type else row


@pytest.fixture(params=["v1", "stream"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    one = World(3, streams=request.param == "stream")
    await one.start()
    yield one
    await one.stop()


@settings(deadline=None, max_examples=15)
@given(
    SEEDS,
    st.lists(st.sampled_from(FAULTS), max_size=80),
    st.lists(st.sampled_from(["before", "after", ""]), max_size=30),
    # for less time than the 34 days after which an event counts in another hour
    st.lists(st.integers(1, 4 * 24), min_size=1, max_size=5),
    st.booleans(),
)
async def test_meters_hold_the_usage(
    seed: int, faults: list[Fault], deaths: list[str], waits: list[int], streams: bool
) -> None:
    """After any interval: by customer, meter and hour, with late events and voids, lost answers, 429, 500 and kills."""
    world = World(seed, faults, streams=streams)
    await world.start()
    try:
        until = START
        for hours in waits:
            until += hours * HOUR
            world.deaths = [*deaths]
            await world.push(until)
            world.deaths = []
            # attempts take time, so that it may be further already
            assert world.held() == world.wanted(world.position.since)
            until = max(until, world.position.since)
        world.stripe.fail()
        for month in ("2026-10", "2026-11", "2026-12"):
            assert await world.differences(month) == []
        names = [one["metadata"]["rev_customer_id"] for one in world.stripe.customers.values()]
        assert len(set(names)) == len(names)
        keys = [key.split()[0] for key in world.stripe.events]
        assert len(set(keys)) == len(keys) and not world.stripe.dropped
        assert bool(world.stripe.batches) == (streams and bool(keys))
    finally:
        await world.stop()


async def test_a_repeat_counts_nothing(world: World) -> None:
    """Sent again by an owner that knows of no attempt; and by one that knows no customer."""
    await world.push(START + 10 * DAY)
    held = world.held()
    assert held == world.wanted(START + 10 * DAY) and held
    begun = replace(world.position, since=0, as_of=START + 10 * DAY, rules=tuple(rule.text for rule in RULES))
    world.journal.held = {METER_KEY: msgspec.json.encode(begun)}
    world.pusher = world.new_owner()
    await world.push(START + 10 * DAY)
    assert world.held() == held


async def test_what_may_have_been_taken_is_looked_up_after_a_day(world: World) -> None:
    """Killed amid a chunk, and away until Stripe has forgotten identifiers: nothing is doubled or lost."""
    await world.push(START + 10 * DAY)
    world.now = START + 12 * DAY + 5_000
    while world.position.tried == 0:
        world.deaths = [] if not world.position.as_of else ["", "", "before"][-1:]
        world.stripe.fail(*["lost", ""] * 40)
        try:
            await world.pusher.step(world.book)
        except Killed:
            world.pusher = world.new_owner()
            break
    world.stripe.fail()
    world.stripe.forget_keys()
    world.now += 2 * DAY
    world.deaths = []
    world.pusher = world.new_owner()
    await world.push(START + 12 * DAY)
    assert world.held() == world.wanted(START + 14 * DAY) or world.held() == world.wanted(START + 12 * DAY)
    assert await world.differences("2026-11") == []


async def test_stripe_is_away_for_a_day(world: World) -> None:
    """It is tried again, at the latest every hour; one interval then has all of it."""
    await world.push(START + DAY)
    world.stripe.away = True
    for _ in range(30):
        world.now += HOUR
        await world.pusher.step(world.book)
    assert world.position.error.startswith("Stripe does not answer") and world.position.due <= world.now + HOUR
    world.stripe.away = False
    world.stripe.forget_keys()
    until = world.now // HOUR * HOUR
    await world.push(until)
    assert world.held() == world.wanted(until)


async def test_retry_after_is_waited_for(world: World) -> None:
    world.now = START + 5_000
    assert await world.pusher.step(world.book)
    world.stripe.retry_after = "90"
    world.stripe.fail("limit")
    assert not await world.pusher.step(world.book)
    asked = len(world.stripe.bodies)
    world.now += 89_999
    assert not await world.pusher.step(world.book) and len(world.stripe.bodies) == asked
    world.now += 1
    await world.push(START)
    assert world.held() == world.wanted(START)


async def test_a_customer_that_stripe_refuses_stops_no_other(world: World) -> None:
    """What is refused is named, differs in the comparison, and is sent after a later interval."""
    await world.journal.commit([Change(billing_key(CUSTOMERS[0]), Billing(bill_to=BillTo("Acme", "not-an-address")))])
    world.pusher = world.new_owner()
    world.stripe.refused_email = "not-an-address"
    until = START + 10 * DAY
    await world.push(until)
    assert world.held() == {place: value for place, value in world.wanted(until).items() if place[0] == CUSTOMERS[1]}
    assert {one.error for one in world.book.refused_lines.values()} == {"Stripe answers 400: Invalid email address"}
    assert {one.number for one in await world.differences("2026-11")} == {CUSTOMERS[0]}
    world.stripe.refused_email = ""
    await world.push(until + HOUR)
    assert world.held() == world.wanted(until + HOUR) and not world.book.refused_lines


async def test_a_meter_that_is_not_there_waits(world: World) -> None:
    """Stripe would take its events and drop them later; a wrong key waits, too."""
    world.rules = meter_rules("absent=events")
    world.pusher = world.new_owner()
    world.now = START + 5_000
    for _ in range(3):
        await world.pusher.step(world.book)
    assert world.position.error == "Stripe has no active meter absent that sums; make one, or change REV_STRIPE_METERS"
    assert not world.stripe.events and world.position.due > world.now
    world.stripe.meter("absent")
    await world.push(START)
    assert world.held() == world.wanted(START)


async def test_a_wrong_key_refuses_no_line(world: World) -> None:
    await world.push(START)
    wrong = OfficialClient("sk_test_wrong", world.stripe.url)
    mode = MeterMode(RULES, FIRST, wrong.call, Path("."))
    world.now = START + 9 * DAY + 5_000
    for _ in range(3):
        await MeterPusher(mode, world.reads, world.record, lambda: world.now, world.ids).step(world.book)
    await wrong.close()
    assert "401" in world.position.error and "sk_test" not in world.position.error and not world.book.refused_lines
    await world.push(START + 9 * DAY)
    assert world.held() == world.wanted(START + 9 * DAY)


async def test_what_is_older_than_stripe_takes_counts_in_the_first_hour_that_it_takes(world: World) -> None:
    """A month's backfill after 50 days: the totals are right, and the comparison names the hours."""
    until = START + 50 * DAY
    await world.push(until)
    ours, theirs = defaultdict(int), defaultdict(int)
    for found, places in ((ours, world.wanted(until)), (theirs, world.held())):
        for (name, meter, _), value in places.items():
            found[name, meter] += value
    assert ours == theirs
    assert min(at for _, _, at in world.held()) >= world.now - 35 * DAY
    assert await world.differences("2026-11")


async def test_a_meter_that_is_added_counts_from_then_on(world: World) -> None:
    world.rules = RULES[:1]
    world.pusher = world.new_owner()
    await world.push(START + 5 * DAY)
    world.rules = RULES[:2]
    world.pusher = world.new_owner()
    await world.push(START + 9 * DAY)
    assert {meter for _, meter, _ in world.held()} == {"calls", "tokens"}
    assert world.position.begun == {"calls=events": 0, "tokens=tokens": START + 5 * DAY}
    assert await world.differences("2026-11") == []


async def test_every_difference_is_named(world: World) -> None:
    until = START + 20 * DAY
    await world.push(until)
    assert await world.differences("2026-11") == []
    place = min(place for place in world.held() if place[2] >= month_range("2026-11").start)
    one = next(
        one for one in world.stripe.events.values()
        if (one["event_name"], one["timestamp"] // 3600 * HOUR) == (place[1], place[2])
    )  # fmt: skip
    one["payload"]["value"] = str(int(one["payload"]["value"]) + 1)
    (found,) = await world.differences("2026-11")
    assert found.what.startswith(f"{place[1]} of 2026-11-") and int(found.stripe) == int(found.rev) + 1


async def test_without_a_key_a_file_says_what_would_be_sent(world: World, tmp_path: Path) -> None:
    mode = MeterMode(RULES, FIRST, None, tmp_path)
    world.now = START + 5_000
    pusher = MeterPusher(mode, world.reads, world.record, lambda: world.now, world.ids)
    while await pusher.step(world.book):
        pass
    lines = written(tmp_path / "meter-2026-11-01T00.jsonl")
    found: dict[tuple[str, str, int], int] = defaultdict(int)
    for one in lines:
        params = one["params"]
        assert one["path"] == "/v1/billing/meter_events" and params["payload"]["stripe_customer_id"] == "{customer}"
        found[one["rev_customer_id"], params["event_name"], params["timestamp"] * 1000] += int(
            params["payload"]["value"]
        )
    assert found == world.wanted(START) and not world.stripe.bodies


def written(path: Path) -> list[Any]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def test_settings_say_what_is_counted() -> None:
    given = {"REV_STRIPE": "meter", "REV_STRIPE_METERS": "a=tokens b=events:chat", "REV_STRIPE_KEY": "k"}
    found = open_stripe(read({**given, "REV_STRIPE_METERS_SINCE": "2026-11-01T00:00:00Z"}))
    assert found.meters is not None and found.sender is None
    assert (found.meters.rules[1].action, found.meters.first) == ("chat", START)
    streaming = open_stripe(read({**given, "REV_STRIPE_METER_API": "stream"})).meters
    assert streaming is not None and streaming.streams and not found.meters.streams
    with pytest.raises(SettingError, match="REV_STRIPE_METER_API must be v1 or stream, not 'v2'"):
        read({**given, "REV_STRIPE_METER_API": "v2"})
    for wrong, words in (("a", "not 'a'"), ("a=tokens a=events", "must name each meter once")):
        with pytest.raises(SettingError, match=words):
            read({**given, "REV_STRIPE_METERS": wrong})
    with pytest.raises(SettingError, match="must be a full hour"):
        read({**given, "REV_STRIPE_METERS_SINCE": "2026-11-01T00:30:00Z"})
    with pytest.raises(SettingError, match="REV_STRIPE=meter needs REV_STRIPE_METERS"):
        open_stripe(read({"REV_STRIPE": "meter"}))
