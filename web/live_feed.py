"""What was just metered, for everybody who listens: one poll of the ledger for all of them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from schemas.limits import HOUR
from warehouse.dashboard import DashboardReads
from warehouse.errors import ReadsUnavailable
from warehouse.rows import EventRow
from warehouse.time_range import LAST, TimeRange
from web import metrics, readings
from web.broadcast import BEAT, Broadcast, Listener, frame
from web.jumps import WATCHED
from web.views import run_rate_view
from web.views.run_rate_view import MINUTE, RunRate

OVERLAP = 10_000
"""ms that a poll looks back before the newest event: a partition may be written later than another."""
SHOWN = 10
"""Events of one poll, and of what a new listener gets first."""
RATED = 3_000
"""ms between two reads of the last minute, which cost more than the newest events do."""
REMEMBERED = 1000
"""Ids of events that were sent, so that the overlap sends none twice."""
QUIET = 10
"""Polls without news after which everybody gets a comment."""
Drawing = Callable[[Sequence[EventRow], Mapping[str, str], RunRate], bytes]
_log = structlog.get_logger("web")


async def current_run_rate(reads: DashboardReads, now: int, last: RunRate | None = None) -> RunRate:
    """Return the last minute at ``now`` (ms), and the hour before it, which is read again every minute.

    ``last``: what was returned before. Raises ReadsUnavailable.
    """
    hour = TimeRange(now - MINUTE - HOUR, now - MINUTE)
    minute = reads.run_rates(TimeRange(hour.end, LAST), WATCHED)
    if last is not None and 0 <= hour.end - last.hour.end < MINUTE:
        return RunRate(await minute, last.before, last.hour)
    return RunRate(*await asyncio.gather(minute, reads.run_rates(hour, WATCHED)), hour)


AWAY = frame("away", "The ledger cannot be read at the moment.")


class LiveFeed:
    """``draw`` makes frames of events (newest first), the names of customers, and the run rate.

    ``clock`` returns ms; ``pause`` waits until the next poll. It polls while somebody listens.
    """

    def __init__(
        self, reads: DashboardReads, draw: Drawing, clock: Callable[[], int], pause: Callable[[], Awaitable[None]]
    ) -> None:
        self._reads = reads
        self._draw = draw
        self._clock = clock
        self._pause = pause
        self._everybody = Broadcast()
        self._polling: asyncio.Task[None] | None = None
        self._begin()

    def _begin(self) -> None:
        self._sent: deque[int] = deque(maxlen=REMEMBERED)
        self._newest = self._clock() - MINUTE
        self._shown: list[EventRow] = []
        self._run_rate: RunRate | None = None
        self._rated = 0
        self._latest = b""
        self._quiet = 0
        self._is_away = False

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._everybody)

    @property
    def is_polling(self) -> bool:
        """True while the ledger is asked."""
        return self._polling is not None and not self._polling.done()

    def listen(self, drop: Callable[[], None]) -> Listener:
        """Return a new listener, who must ``leave``. Raises Refusal if there are too many."""
        listener = self._everybody.listen(drop)
        if not self.is_polling:
            self._begin()
            self._polling = asyncio.create_task(self._poll())
        elif self._is_away or self._latest:
            listener.offer(AWAY if self._is_away else self._latest)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        self._everybody.leave(listener)

    async def close(self) -> None:
        """End every stream and the polling."""
        self._everybody.end()
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)

    async def _poll(self) -> None:
        while self._everybody:
            try:
                news = await self._news()
            except ReadsUnavailable:
                news, self._is_away = b"" if self._is_away else AWAY, True
            except Exception as error:  # a bug must not end everybody's streams
                metrics.BUGS.inc()
                _log.exception("unexpected error", path="/dashboard/live", error=repr(error))
                news = b""
            self._send(news)
            await self._pause()

    async def _news(self) -> bytes:
        """Return what changed since the last poll, b'' if nothing did. Raises ReadsUnavailable."""
        rows, run_rate = await asyncio.gather(self._reads.recent(self._newest - OVERLAP, SHOWN), self._rate())
        new = [row for row in rows if row.event_id not in self._sent]
        if not new and not self._is_away and run_rate == self._run_rate:
            return b""
        shown = [*new, *self._shown][:SHOWN]
        named = [*(row.customer_id for row in shown), *run_rate_view.customers(run_rate)]
        names = await readings.names(self._reads, named)
        news = self._draw(new, names, run_rate)
        self._latest = self._draw(shown, names, run_rate)
        self._sent.extend(row.event_id for row in new)
        self._newest = max([self._newest, *(row.recorded_at for row in new)])
        self._shown, self._run_rate, self._is_away = shown, run_rate, False
        return news

    async def _rate(self) -> RunRate:
        now = self._clock()
        if self._run_rate is None or self._is_away or now - self._rated >= RATED:
            self._rated = now
            return await current_run_rate(self._reads, now, self._run_rate)
        return self._run_rate

    def _send(self, news: bytes) -> None:
        self._quiet = 0 if news else self._quiet + 1
        if self._quiet >= QUIET:
            news, self._quiet = BEAT, 0
        if news:
            self._everybody.send(news)
