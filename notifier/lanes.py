"""One endpoint in one partition: what it still has to be sent, and when.

A lane stands at the tail and is offered every event, or lags: then what it has not considered
is a range of offsets, which costs nothing however long it gets, until it has room again. What
it took is delivered, tried again, or given up visibly; nothing leaves in any other way.
Pure: time (ms UTC) and randomness are passed in; reading, sending and writing may not come in.
"""

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from notifier.budget import Budget
from notifier.letters import Item, Letter, Range, Ref
from notifier.schedule import Judgement, judge
from notifier.sending import Answer
from notifier.stretches import Stretches
from schemas.limits import MINUTE

WINDOW = 16
"""Requests in flight at most."""
FIRST_WINDOW = 4
"""…and before anything is known of the endpoint; a success adds one, a failure halves."""
LEAST_WINDOW = 2
DOWN = 3
"""After so many failures in a row an endpoint counts as failing."""
QUEUE = 256
"""First tries that may wait at the tail; fewer where they come from a range, so that new events find room."""
RANGE_QUEUE = 128
FAILING_QUEUE = 4
RETRIES = 2_000
"""Deliveries that may wait to be tried again."""
EVICTED = 50
"""When they are too many though the endpoint works, so many of the oldest are given up at once."""
PROBE = MINUTE
"""A lane that is full of retries tries one at least so often, to see whether the endpoint is back."""
SOON = 1_000
"""ms, up to twice as many, until that is sent again which this side could not send; to the endpoint nothing
is sent before."""
SELDOM = MINUTE
"""…where a person has to mend something first."""
KEEP = 10_000
"""A body is kept for a retry that is due within so many ms."""


class Result(NamedTuple):
    """How a try ended. ``item.tries`` counts it."""

    item: Item
    judgement: Judgement


class Lane:
    """``giving_up``: why the endpoint is to be disabled; nothing is sent any more.
    ``closed``: why it was deleted or deactivated."""

    def __init__(self, webhook: int, customer_id: str, budget: Budget) -> None:
        self.webhook = webhook
        self.customer_id = customer_id
        self.items: dict[Ref, Item] = {}
        self.ranges = Stretches()
        self.flying: set[Ref] = set()
        self.failing_since: int | None = None
        self.failures = 0
        self.hold = 0
        self.giving_up: str | None = None
        self.closed: str | None = None
        self.touched = False
        self.changed: set[Ref] = set()
        self.unread: dict[Ref, Item] = {}
        self._budget = budget
        self._ready: list[tuple[int, int, Ref]] = []
        self._cold: list[tuple[int, int, Ref]] = []
        self._loaded = 0
        self.retries = 0
        self._window = float(FIRST_WINDOW)
        self._last_try = 0
        self._turn = 0

    # -- taking

    @property
    def failing(self) -> bool:
        return self.failures >= DOWN

    @property
    def lagging(self) -> bool:
        """Whether new events are left to a range."""
        return self.ranges.lagging

    @property
    def full(self) -> bool:
        """Whether retries leave no room."""
        scarce = self.failing and self._budget.references.used > self._budget.references.most // 2
        return self.retries >= (RETRIES // 20 if scarce else RETRIES)

    def room(self, queue: int) -> int:
        """How many first tries may be taken now, of a queue that long."""
        if self.closed or self.giving_up or (self.full and self.failing):
            return 0
        return max(0, (FAILING_QUEUE if self.failing else queue) - (len(self.items) - self.retries))

    def offer(self, ref: Ref, letter: Letter, now: int) -> list[Result]:
        """An event at the tail: taken, or left to a range. What was given up to make room."""
        if self.lagging:
            return []
        if self.room(QUEUE) and self._take(ref, letter, now):
            return self._evict() if self.full else []
        self.touched = True
        self.ranges.put(Range(ref.offset, None, letter.at, place=ref.place))
        return []

    def refill(self, ref: Ref, letter: Letter, now: int) -> bool:
        """An event out of a range; False when there is no room for it now."""
        return ref in self.items or (self.room(RANGE_QUEUE) > 0 and self._take(ref, letter, now))

    def supply(self, ref: Ref, letter: Letter) -> bool:
        """The body of an :attr:`unread` delivery; False when there is no memory for it now."""
        item = self.unread.get(ref)
        if item is None:
            return True
        if not self._budget.bodies.take(letter.size, not self.failing):
            return False
        del self.unread[ref]
        self._loaded += 1
        item.letter, item.event, item.type = letter, letter.event, letter.type
        self._push(item)
        return True

    def _take(self, ref: Ref, letter: Letter, now: int) -> bool:
        if ref in self.items:
            return True
        if not self._budget.bodies.take(letter.size, not self.failing):
            return False
        self._add(Item(ref, letter.event, letter.type, now, letter=letter))
        return True

    def restore(self, item: Item) -> None:
        """A delivery that a former owner of the partition had in hand."""
        self._add(item)

    def _add(self, item: Item) -> None:
        self._budget.references.used += 1
        self._loaded += item.letter is not None
        self.items[item.ref] = item
        self.retries += item.tries > 0
        self._mark(item)
        self._push(item)

    def _mark(self, item: Item) -> None:
        if item.tries:
            self.changed.add(item.ref)
        else:
            self.touched = True

    def _push(self, item: Item) -> None:
        self._turn += 1
        heapq.heappush(self._cold if item.letter is None else self._ready, (item.due, self._turn, item.ref))

    # -- sending

    def start(self, now: int) -> list[Item]:
        """What to send now; from here on it is in flight."""
        if self.closed or self.giving_up or now < self.hold:
            return []
        self._probe(now)
        while self._has_due(self._cold, now) and self._may_load():
            ref = heapq.heappop(self._cold)[2]
            self.unread[ref] = self.items[ref]
        started: list[Item] = []
        while len(self.flying) < int(self._window) and self._has_due(self._ready, now):
            if not self._budget.flights.take(1, not self.failing):
                break
            item = self.items[heapq.heappop(self._ready)[2]]
            self.flying.add(item.ref)
            self._last_try = now
            started.append(item)
        return started

    def _may_load(self) -> bool:
        """Whether the body of one more reference may be asked for."""
        return self._loaded + len(self.unread) < 2 * WINDOW + (0 if self.failing else QUEUE)

    def _has_due(self, heap: list[tuple[int, int, Ref]], now: int) -> bool:
        due = self._first(heap)
        return due is not None and due <= now

    def _first(self, heap: list[tuple[int, int, Ref]]) -> int | None:
        """When the first of a heap is due; what was overtaken by another due or an end is thrown away."""
        while heap:
            due, _, ref = heap[0]
            item = self.items.get(ref)
            cold = item is not None and item.letter is None
            busy = ref in self.flying or ref in self.unread
            if item is not None and item.due == due and not busy and cold == (heap is self._cold):
                return due
            heapq.heappop(heap)
        return None

    def _probe(self, now: int) -> None:
        if self.full and self.failing and not self.flying and not self.unread and now - self._last_try >= PROBE:
            first = min(self.items.values(), key=lambda item: item.due, default=None)
            if first is not None and first.due > now:
                self._due(first, now)

    def _due(self, item: Item, due: int) -> None:
        item.due = due
        self._mark(item)
        self._push(item)

    def next_due(self) -> int | None:
        """When :meth:`start` has something to do again; None while only an answer or a reading can tell."""
        if self.closed or self.giving_up:
            return None
        ready = self._first(self._ready) if len(self.flying) < int(self._window) else None
        cold = self._first(self._cold) if self._may_load() else None
        found = [due for due in (ready, cold) if due is not None]
        if not found:
            return None
        if self.full and self.failing and not self.flying and not self.unread:
            found.append(self._last_try + PROBE)
        return max(min(found), self.hold)

    def answered(
        self, ref: Ref, answer: Answer, now: int, jitter: float, rotated_at: int | None, disable_after: int
    ) -> Result:
        """A try has ended. ``disable_after``: ms without a success after which the endpoint is given up."""
        item = self.items[ref]
        self.flying.discard(ref)
        self._budget.flights.free(1)
        judgement = judge(item.tries + 1, answer, now, jitter, rotated_at)
        if judgement.outcome == "delivered":
            self._succeeded(now)
        else:
            self._failed(now, judgement, disable_after)
        if self.closed and judgement.outcome == "retry":
            judgement = Judgement("dropped", error=f"{judgement.error}; {self.closed}")
        if judgement.outcome == "retry":
            assert judgement.next_at is not None
            self._again(item, judgement.next_at, now)
        else:
            self._remove(item)
            item.tries += 1
        return Result(item, judgement)

    def not_sent(self, ref: Ref, wait: int, now: int, jitter: float) -> Result | None:
        """What :meth:`start` gave could not be sent, for a lack on this side: nothing is held against the
        endpoint. ``wait``: ms. A result only if it was closed meanwhile."""
        item = self.items[ref]
        self.flying.discard(ref)
        self._budget.flights.free(1)
        if self.closed:
            self._remove(item)
            return Result(item, Judgement("dropped", error=self.closed))
        again = now + wait + int(wait * jitter)
        self.hold = max(self.hold, again)
        self._due(item, again)
        return None

    def _succeeded(self, now: int) -> None:
        self._window = min(WINDOW, self._window + 1)
        back = self.failing and self.full
        if self.failures or self.failing_since is not None or self.hold:
            self.touched = True
        self.failures, self.failing_since, self.hold = 0, None, 0
        if back:
            for item in [item for item in self.items.values() if item.due > now and item.ref not in self.flying]:
                self._due(item, now)

    def _failed(self, now: int, judgement: Judgement, disable_after: int) -> None:
        self.touched = True
        self._window = max(LEAST_WINDOW, self._window / 2)
        self.failures += 1
        self.failing_since = now if self.failing_since is None else self.failing_since
        self.hold = max(self.hold, judgement.hold or 0)
        if judgement.disable is not None:
            self.give_up(judgement.disable)
        elif now - self.failing_since >= disable_after:
            self.give_up(f"no delivery succeeded for {(now - self.failing_since) // 3_600_000} hours")

    def _again(self, item: Item, due: int, now: int) -> None:
        self._mark(item)
        self.retries += item.tries == 0
        item.tries += 1
        if due - now > KEEP or self.failing:
            self._unload(item)
        self._due(item, due)

    def _remove(self, item: Item) -> None:
        del self.items[item.ref]
        self.unread.pop(item.ref, None)
        self._mark(item)
        self.retries -= item.tries > 0
        self._budget.references.used -= 1
        self._unload(item)

    def _unload(self, item: Item) -> None:
        if item.letter is not None:
            self._loaded -= 1
            self._budget.bodies.free(item.letter.size)
            item.letter = None

    # -- giving up

    def give_up(self, why: str) -> None:
        """Send nothing any more: the endpoint is going to be disabled."""
        if self.giving_up is None:
            self.giving_up = why

    def _evict(self) -> list[Result]:
        """The endpoint works but for some events: the oldest of those make room for new ones."""
        waiting = [item for item in self.items.values() if item.tries and item.ref not in self.flying]
        waiting.sort(key=lambda item: (-item.tries, item.ref))
        return [self.bury(item, "too many deliveries wait to be tried again") for item in waiting[:EVICTED]]

    def bury(self, item: Item, why: str) -> Result:
        """Give one delivery up that is not in flight."""
        self._remove(item)
        return Result(item, Judgement("dead" if item.tries else "dropped", error=why))

    def close(self, why: str) -> tuple[list[Result], list[Range]]:
        """Everything that waits is given up; what is in flight may still end well."""
        self.closed = why
        dropped = []
        for item in [item for ref, item in self.items.items() if ref not in self.flying]:
            self._remove(item)
            dropped.append(Result(item, Judgement("dropped", error=why)))
        self.touched = True
        return dropped, self.ranges.clear()

    def reopen(self) -> None:
        """The endpoint is active again; what is in flight goes on."""
        self.closed = self.giving_up = self.failing_since = None
        self.failures = self.hold = 0
        self.touched = True

    def abandon(self) -> None:
        """This worker lets go: what was taken of the budget is free again, nothing is decided."""
        self._budget.flights.free(len(self.flying))
        for item in self.items.values():
            self._budget.references.used -= 1
            self._unload(item)
        self.items, self.flying, self.unread = {}, set(), {}
        self.ranges.clear()

    # -- ranges

    def add_range(self, added: Range) -> None:
        """One more stretch to consider."""
        self.touched = True
        self.ranges.add(added)

    def resolve(self, stretch: Range, offset: int) -> None:
        """Where a stretch that was given by its time begins."""
        self.touched = True
        self.ranges.resolve(stretch, offset)

    def advance(self, stretch: Range, offset: int, place: int, at: int, tail: int) -> None:
        """The stretch was considered up to here. ``tail``: next offset of the partition's tail."""
        self.touched = True
        self.ranges.advance(stretch, offset, place, at, tail)

    def wanted(self) -> int | None:
        """The offset that this lane has to have read next, or None."""
        if self.closed or self.giving_up:
            return None
        if self.unread:
            return min(self.unread).offset
        if self.room(RANGE_QUEUE) <= (0 if self.failing else RANGE_QUEUE // 4):
            return None
        stretch = self.ranges.first()
        return None if stretch is None else stretch.offset

    @property
    def idle(self) -> bool:
        """Whether nothing at all is left to remember."""
        healthy = not self.failures and self.failing_since is None and not self.hold
        return not self.items and not self.ranges and (healthy or self.closed is not None)

    def written(self) -> None:
        """The log holds what this lane is now."""
        self.touched = False
        self.changed.clear()

    def first_tries(self) -> Iterator[Item]:
        return (item for item in self.items.values() if not item.tries)
