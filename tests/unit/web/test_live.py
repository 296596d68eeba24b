"""What was just metered, streamed: once to everybody, slow listeners dropped, nothing left when all have gone."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.unit.web.conftest import ADMIN, NOW, FakeDashboard, Server, Turnstile, event
from warehouse.dashboard_rows import RunRateRow
from warehouse.rows import EventRow
from warehouse.time_range import TimeRange
from web import broadcast, jumps
from web.broadcast import BEAT, MOST_LISTENERS, QUEUED, Listener, frame
from web.live_feed import AWAY, QUIET, RATED, LiveFeed
from web.views.run_rate_view import RunRate
from web.web_refusals import Refusal


class Watched(FakeDashboard):
    """A ledger that counts its polls, and has a bug when a test wants one."""

    def __init__(self) -> None:
        super().__init__()
        self.polls = self.rates = 0
        self.is_broken = False

    async def recent(self, since: int, limit: int) -> list[EventRow]:
        self.polls += 1
        if self.is_broken:
            raise KeyError("a bug")
        rows = await super().recent(since, 1000)
        return sorted(rows, key=lambda row: row.recorded_at, reverse=True)[:limit]

    async def run_rates(self, accepted: TimeRange, limit: int) -> list[RunRateRow]:
        self.rates += 1
        return await super().run_rates(accepted, limit)


def draw(rows: Any, names: Any, run_rate: RunRate) -> bytes:
    return f"{','.join(str(row.event_id) for row in rows)} of {jumps.whole(run_rate.minute).events};".encode()


class Stage:
    """A feed whose polls a test triggers, and ears that collect what they hear."""

    def __init__(self) -> None:
        self.now = NOW
        self.reads = Watched()
        self.polls = Turnstile()
        self.feed = LiveFeed(self.reads, draw, lambda: self.now, self.polls.wait)
        self.heard: dict[Listener, bytearray] = {}
        self.dropped: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []

    def ear(self, number: int = 0, is_deaf: bool = False) -> Listener:
        listener = self.feed.listen(lambda: self.dropped.append(number))
        self.heard[listener] = bytearray()
        if not is_deaf:
            self.tasks.append(asyncio.create_task(self._hear(listener)))
        return listener

    async def _hear(self, listener: Listener) -> None:
        async for one in listener.frames():
            self.heard[listener] += one

    async def settled(self) -> None:
        """Return when the poll is over and everybody has heard of it."""
        assert self.feed._polling is not None
        reached = asyncio.create_task(self.polls.reached.wait())
        await asyncio.wait([reached, self.feed._polling], return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        for _ in range(3):
            await asyncio.sleep(0)

    async def poll(self, after: int = RATED) -> None:
        self.now += after
        self.polls.reached.clear()
        self.polls.turn()
        await self.settled()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    await made.feed.close()
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_an_event_is_sent_once_and_a_newcomer_gets_the_last_ones(stage: Stage) -> None:
    """Also one that its partition wrote late, and none twice although polls overlap."""
    stage.reads.events = [event(event_id=1, recorded_at=NOW)]
    first = stage.ear()
    await stage.settled()
    assert stage.heard[first] == b"1 of 1;"
    await stage.poll()
    assert stage.heard[first] == b"1 of 1;", "nothing new, nothing sent"
    stage.reads.events += [event(event_id=3, recorded_at=NOW + 500), event(event_id=2, recorded_at=NOW - 3000)]
    await stage.poll()
    assert stage.heard[first] == b"1 of 1;3,2 of 3;"
    late = stage.ear()
    await asyncio.sleep(0)
    assert stage.heard[late] == b"3,2,1 of 3;"
    stage.now += 61_000
    await stage.poll()
    assert stage.heard[late] == b"3,2,1 of 3; of 0;", "the last minute is over"


async def test_the_last_minute_is_read_less_often_than_events_are(stage: Stage) -> None:
    """It is a sum over a minute, and costs more."""
    first = stage.ear()
    await stage.settled()
    assert stage.reads.rates == 2, "the last minute, and the hour before it"
    stage.reads.events = [event(event_id=1, recorded_at=NOW)]
    await stage.poll(after=RATED - 1)
    assert (stage.reads.rates, stage.heard[first]) == (2, b" of 0;1 of 0;")
    await stage.poll(after=1)
    assert (stage.reads.rates, stage.heard[first]) == (3, b" of 0;1 of 0; of 1;")
    stage.reads.available = False
    await stage.poll()
    stage.reads.available = True
    rates = stage.reads.rates
    await stage.poll(after=1)
    assert stage.reads.rates > rates, "what could not be read is read at once"


async def test_five_hundred_listen_to_one_poll_and_the_slow_are_dropped(stage: Stage) -> None:
    """Each fast one hears all, a slow one costs at most its short queue, and nothing is left when all have gone."""
    fast = [stage.ear(number) for number in range(470)]
    slow = [stage.ear(number, is_deaf=True) for number in range(470, 500)]
    await stage.settled()
    for number in range(1, QUEUED + 5):
        stage.reads.events.append(event(event_id=number, recorded_at=NOW + number))
        await stage.poll()
    assert stage.reads.polls == QUEUED + 5, "one poll for all of them"
    assert sorted(stage.dropped) == list(range(470, 500))
    assert stage.feed.listeners == 470
    expected = b"".join(b"%d of %d;" % (number, number) for number in range(1, QUEUED + 5))
    assert {bytes(stage.heard[one].removeprefix(b" of 0;")) for one in fast} == {expected}
    assert {one._queue.qsize() for one in slow} == {1}, "what waited for them is forgotten"
    for one in fast:
        stage.feed.leave(one)
    await stage.poll()
    assert (stage.feed.listeners, stage.feed.is_polling) == (0, False)
    polls = stage.reads.polls
    stage.ear()
    await stage.settled()
    assert stage.reads.polls == polls + 1 and stage.feed.is_polling, "it begins again"


async def test_no_listener_is_kept_after_it_left(stage: Stage) -> None:
    gc.collect()
    before = sum(type(one) is Listener for one in gc.get_objects())
    for _ in range(50):
        stage.feed.leave(stage.feed.listen(lambda: None))
    gc.collect()
    assert sum(type(one) is Listener for one in gc.get_objects()) == before


async def test_it_says_when_the_ledger_is_away_and_goes_on_when_it_is_back(stage: Stage) -> None:
    first = stage.ear()
    await stage.settled()
    stage.reads.available = False
    await stage.poll()
    await stage.poll()
    assert stage.heard[first] == b" of 0;" + AWAY, "said once"
    late = stage.ear()
    await asyncio.sleep(0)
    assert stage.heard[late] == AWAY
    stage.reads.available = True
    await stage.poll()
    assert stage.heard[late] == AWAY + b" of 0;"
    stage.reads.is_broken = True
    await stage.poll()
    stage.reads.is_broken = False
    stage.reads.events = [event(event_id=9, recorded_at=NOW)]
    await stage.poll()
    assert stage.heard[late].endswith(b"9 of 1;"), "a bug is logged, and ends no stream"


async def test_a_quiet_stream_shows_that_it_lives(stage: Stage) -> None:
    first = stage.ear()
    await stage.settled()
    for _ in range(QUIET):
        assert BEAT not in stage.heard[first]
        await stage.poll()
    assert stage.heard[first].endswith(BEAT)


async def test_there_is_a_most(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_LISTENERS >= 500
    monkeypatch.setattr(broadcast, "MOST_LISTENERS", 1)
    stage.ear()
    with pytest.raises(Refusal, match="Too many people"):
        stage.ear()


def test_a_frame_keeps_every_line_in_its_field() -> None:
    """So that no text of an event can begin another field or frame."""
    assert frame("events", "<tr>\n\nevent: x\r\ny") == b"event: events\ndata: <tr>\ndata: \ndata: event: x\ndata: y\n\n"


async def test_a_page_hears_of_an_event(server: Server) -> None:
    """As the browser does: markup as text, the customer's name, the exact price; the stream ends with the server."""
    server.reads.named = {"acme-corp": "Acme & Co"}
    server.reads.events = [event(agent_id="<script>alert(1)</script>")]
    assert server.session is not None
    async with server.session.get(server.url + "/dashboard/live", headers=server.signed_in()) as answer:
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
        assert answer.content_type == "text/event-stream" and "Content-Encoding" not in answer.headers
        text = await _until(answer, "event: events", "\n\n")
        assert "1 event · " in text and 'data: <tr data-event="42">' in text.replace("data:     <tr", "data: <tr")
        assert "Acme &amp; Co" in text and "$0.0147" in text and "&lt;script&gt;" in text and "<script>" not in text
        server.reads.events.append(event(event_id=43, recorded_at=NOW + 1))
        server.polls.turn()
        assert 'data-event="43"' in await _until(answer, "event: events", "\n\n")
        assert server.feed.listeners == 1
        await server.feed.close()
        assert (await answer.content.read()).decode().strip() == ""
    assert server.feed.listeners == 0
    assert (await server.get("/dashboard/live"))[0] == 303
    assert (await server.get("/dashboard/live?x=1", **server.signed_in()))[0] == 400


async def test_a_program_hears_of_an_event(server: Server) -> None:
    """In JSON, exact, the oldest first; with the admin token, and for nobody else."""
    server.reads.events = [event(event_id=43, recorded_at=NOW + 1, total="0.000000000001"), event(task_id="t-1")]
    assert server.session is not None
    path, headers = "/api/dashboard/live", {"Authorization": f"Bearer {ADMIN}"}
    async with server.session.get(server.url + path, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        text = await _until(answer, '"event_id":42', '"event_id":43', "\n\n")
        first, second = (
            json.loads(line[6:], parse_float=Decimal) for line in text.splitlines() if line[:6] == "data: "
        )
        assert (first["event_id"], first["task"], first["billed_cents"]) == (42, "t-1", Decimal("1.47"))
        assert (second["task"], second["billed_cents"], second["kind"]) == (None, Decimal("0.000000000001"), "meter")
        assert {"agent_id", "endpoint", "status", "latency_ms", "created_at"} <= set(first)
        await server.events.close()
    assert server.events.listeners == 0
    assert (await server.get(path))[0] == 401
    assert (await server.get(f"{path}?x=1", **headers))[0] == 400


async def _until(answer: aiohttp.ClientResponse, *marks: str) -> str:
    """What arrives until the marks came, one after the other."""
    text = ""
    for mark in marks:
        while mark not in text[text.rfind(marks[0]) :]:
            text += (await answer.content.readany()).decode()
    return text


async def test_a_browser_that_does_not_read_is_broken_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is aborted, so that its buffers are gone."""
    server.reads.events = [event(agent_id="a" * 256, action="b" * 200, metadata="")]
    monkeypatch.setattr(server.site.feed, "_draw", lambda *_: b"x" * 2_000_000)
    assert server.session is not None
    answer = await server.session.get(server.url + "/dashboard/live", headers=server.signed_in())
    for number in range(200):
        if not server.feed.listeners:
            break
        server.reads.events.append(event(event_id=100 + number, recorded_at=NOW + number))
        server.polls.turn()
        for _ in range(20):
            await asyncio.sleep(0)
    assert server.feed.listeners == 0
    with pytest.raises(aiohttp.ClientError):
        while await answer.content.readany():
            pass
    answer.close()
