"""All that one partition's worker decides: how far it has read, its lanes, what to write down.

The worker reads, sends, waits and commits; this says what. Pure: time (ms UTC) and randomness
are passed in. What :meth:`snapshot` gives is written in one transaction, so at every moment
the log holds for each (event, endpoint) that it was delivered or given up, or where it waits.
"""

from collections.abc import Callable
from typing import NamedTuple

from notifier import backlog
from notifier.alarms import Alarms
from notifier.backlog import Position
from notifier.budget import Budget
from notifier.endpoints import Endpoint, Endpoints
from notifier.events import DomainEvent, ReplayJob
from notifier.feeding import GONE, feed
from notifier.journal import Journal, Told, why
from notifier.keeping import changes, take_over
from notifier.lanes import Lane
from notifier.letters import Item, Letter, Range, Ref
from notifier.page import Line, Page
from notifier.sending import Answer
from schemas import deliveries
from schemas.limits import DAY
from schemas.topics import CONFIG_KEY, partition_of

OLDEST = 35 * DAY
"""Of rev.entries' 36 days: what waits longer is given up while it can still be replayed."""
CONFIGURED = frozenset({"pricing.updated", "key.created", "key.revoked", "webhook.disabled", "webhook.test"})
"""What happens in the configuration shard alone."""
NEVER = 1 << 62


class Rules(NamedTuple):
    """``disable_after``: ms; ``backlog``: records; ``partitions``: of rev.entries."""

    disable_after: int
    backlog: int
    partitions: int
    oldest: int = OLDEST


class Flight(NamedTuple):
    """One try that is to be made now."""

    endpoint: Endpoint
    item: Item
    letter: Letter


class Flush(NamedTuple):
    """What one transaction writes: records of rev.backlogs, and what is told."""

    backlogs: list[tuple[bytes, bytes | None]]
    told: Told


class Desk:
    """``jitter`` gives numbers in [0, 1). ``next``: the next offset to be matched, -1 before :meth:`begin`."""

    def __init__(
        self, partition: int, endpoints: Endpoints, budget: Budget, rules: Rules, jitter: Callable[[], float]
    ) -> None:
        self.partition = partition
        self.next = -1
        self.lanes: dict[int, Lane] = {}
        self._endpoints = endpoints
        self._budget = budget
        self._rules = rules
        self._jitter = jitter
        self._configuration = partition_of(CONFIG_KEY, rules.partitions)
        self._journal = Journal(partition)
        self._seen = -1
        self._alarms = Alarms()
        self._behind: dict[int, None] = {}
        self._starved: set[int] = set()
        self._dirty: set[int] = set()
        self._known: set[int] = set()
        self._quiet = endpoints.listen(self._changed)

    def close(self) -> None:
        """Nothing of this desk goes on; what it held of the budget is free."""
        self._quiet()
        for lane in self.lanes.values():
            lane.abandon()

    # -- beginning

    def restore(self, pairs: dict[bytes, bytes]) -> Position | None:
        """Take over what rev.backlogs holds; the position, None of a partition that nobody had yet."""
        self.lanes = take_over(pairs, self._budget)
        self._known = set(self.lanes)
        found = pairs.get(backlog.POSITION)
        return None if found is None else backlog.decode_position(found)

    def begin(self, next: int, known: Position | None, first: int, now: int) -> None:
        """Go on from ``next``. ``known``: the position that was restored; ``first``: where the log begins.
        Endpoints that changed after it may have missed what was matched before: they get a range."""
        self._journal.now = now
        if next < first:
            for endpoint in self._endpoints.all():
                if self.partition in (self._home(endpoint), self._configuration):
                    lost = Range(next, first, endpoint.webhook.created_at)
                    self._journal.gap(endpoint.id, endpoint.webhook.customer_id, lost, first, GONE)
        self.next = max(next, first)
        for lane in list(self.lanes.values()):
            kept = self._endpoints.get(lane.webhook)
            if kept is None or not kept.webhook.active:
                self._close(lane, kept)
        if known is not None:
            for endpoint in self._endpoints.all():
                if endpoint.offset >= known.config and endpoint.webhook.active:
                    is_new = endpoint.id > known.webhook
                    self._look_back(endpoint, endpoint.webhook.created_at if is_new else endpoint.changed_at)
        self.log_begins(first, now)
        for lane in self.lanes.values():
            self._note(lane)

    def log_begins(self, first: int, now: int) -> None:
        """Retention has taken what is before ``first``: what still referred to it is given up visibly."""
        self._journal.now = now
        for lane in self.lanes.values():
            for stretch in [s for s in lane.ranges if s.resolved and s.offset < first]:
                last = first if stretch.end is None else min(first, stretch.end)
                self._journal.gap(lane.webhook, lane.customer_id, stretch, last, GONE)
                lane.advance(stretch, last, 0, stretch.at, self.next)
            for item in [i for i in lane.items.values() if i.ref.offset < first and i.letter is None]:
                if item.ref not in lane.flying:
                    self._journal.attempt(lane, lane.bury(item, GONE))
            self._note(lane)

    # -- endpoints

    def _changed(self, id: int, before: Endpoint | None, after: Endpoint | None) -> None:
        lane = self.lanes.get(id)
        if after is None or not after.webhook.active:
            if lane is not None and lane.closed is None:
                self._close(lane, after)
            return
        if before is None:
            self._look_back(after, after.webhook.created_at)
        elif not before.webhook.active or set(after.webhook.events) - set(before.webhook.events):
            self._look_back(after, after.changed_at)
        if lane is not None:
            self._note(lane)

    def _look_back(self, endpoint: Endpoint, since: int) -> None:
        """The endpoint may have been unknown when events from ``since`` on were matched."""
        if self.next < 0 or self.partition not in (self._home(endpoint), self._configuration):
            return
        lane = self._lane(endpoint)
        if lane.closed is not None:
            lane.reopen()
        if not 0 <= self._seen < since:  # nothing that was matched is so young
            lane.add_range(Range(-1, self.next, since))
        self._note(lane)

    def _lane(self, endpoint: Endpoint) -> Lane:
        lane = self.lanes.get(endpoint.id)
        if lane is None:
            lane = self.lanes[endpoint.id] = Lane(endpoint.id, endpoint.webhook.customer_id, self._budget)
        return lane

    def _close(self, lane: Lane, endpoint: Endpoint | None) -> None:
        reason = why(endpoint)
        dropped, ranges = lane.close(reason)
        for result in dropped:
            self._journal.attempt(lane, result)
        for stretch in ranges:
            self._journal.gap(
                lane.webhook, lane.customer_id, stretch, self.next if stretch.end is None else stretch.end, reason
            )
        self._note(lane)

    # -- reading

    def tail(self, page: Page, now: int) -> None:
        """Match what follows :attr:`next`."""
        self._journal.now = now
        for line in page.after(self.next):
            self.next, self._seen = line.offset + 1, line.at
            if line.key == CONFIG_KEY or self._endpoints.has(line.key):
                self._match(page, line)
        self.next = max(self.next, page.next)
        self._journal.faults(page.faults)

    def _match(self, page: Page, line: Line) -> None:
        for event in page.events(line):
            for endpoint in self._endpoints.wanting(event):
                if event.at >= endpoint.webhook.created_at:
                    self._offer(page, line, event, self._lane(endpoint))
            for endpoint in self._endpoints.missing(event):
                if event.at >= endpoint.webhook.created_at:
                    self._journal.missed(endpoint, event)
        for job in page.jobs(line):
            self._replay(job, line.at)

    def _offer(self, page: Page, line: Line, event: DomainEvent, lane: Lane) -> None:
        letter = None if lane.lagging else page.letter(line, event)
        if letter is None:
            return
        for result in lane.offer(Ref(event.offset, event.place), letter, self._journal.now):
            self._journal.attempt(lane, result)
        self._note(lane)

    def _replay(self, job: ReplayJob, at: int) -> None:
        asked = job.command
        endpoint = self._endpoints.get(asked.id)
        here = asked.partition is None or asked.partition == self.partition
        if not here or endpoint is None or endpoint.webhook.customer_id != asked.customer_id:
            return
        place = asked.index or 0
        stretch = Range(-1, job.offset, asked.since or 0, replay=True)
        if asked.offset is not None:
            stretch = Range(asked.offset, asked.offset + 1, at, place=place, replay=True, only=place)
        if not endpoint.webhook.active:
            self._journal.gap(asked.id, asked.customer_id, stretch, stretch.end or 0, why(endpoint))
            return
        lane = self._lane(endpoint)
        lane.add_range(stretch)
        self._note(lane)

    def unresolved(self) -> list[tuple[Lane, Range]]:
        """Stretches whose beginning has to be asked for by their time."""
        return [(lane, s) for id in self._behind for lane in [self.lanes[id]] for s in lane.ranges if not s.resolved]

    def resolve(self, lane: Lane, stretch: Range, offset: int, first: int) -> None:
        """``offset``: of the first record at or after its time, or the log's end; ``first``: where the log begins."""
        if stretch in lane.ranges:
            if 0 < offset <= first and not stretch.replay:
                self._journal.gap(lane.webhook, lane.customer_id, stretch, offset, GONE)
            lane.resolve(stretch, offset)
            self._note(lane)

    def want(self) -> int | None:
        """The offset from which somebody has to have records read, each lane in turn; None: nobody has."""
        for id in list(self._behind):
            found = None if id in self._starved else self.lanes[id].wanted()
            if found is not None:
                del self._behind[id]
                self._behind[id] = None
                return found
        return None

    def read(self, page: Page, now: int) -> None:
        """Give every lane that lags or lacks a body what the page has for it."""
        self._journal.now = now
        for id in list(self._behind):
            lane = self.lanes[id]
            endpoint = self._endpoints.active(id)
            if endpoint is None or lane.closed or lane.giving_up:
                continue
            if not feed(page, lane, endpoint, self._journal, self.next):
                self._starved.add(id)
            self._note(lane)
        self._journal.faults(page.faults)

    # -- sending

    def start(self, now: int) -> list[Flight]:
        """What to send now."""
        self._journal.now = now
        flights: list[Flight] = []
        for id in self._alarms.take(now):
            lane, endpoint = self.lanes.get(id), self._endpoints.active(id)
            if lane is None or endpoint is None:
                continue
            flights += [Flight(endpoint, i, i.letter) for i in lane.start(now) if i.letter is not None]
            self._time(lane, now)
            self._note_behind(lane)
        return flights

    def next_due(self) -> int | None:
        """When :meth:`start` has to be asked again, unless something happens before."""
        return self._alarms.next()

    def _time(self, lane: Lane, now: int) -> None:
        due = lane.next_due()
        if due is not None:
            # due already, and not started: there was no room in flight for it; it is looked at again soon
            self._alarms.at(lane.webhook, due if due > now else now + 50)

    def answered(self, flight: Flight, answer: Answer, now: int) -> deliveries.Outcome:
        """A try has ended."""
        self._journal.now = now
        endpoint, item, _ = flight
        lane = self.lanes[endpoint.id]
        hook = (self._endpoints.get(endpoint.id) or endpoint).webhook
        patience = self._rules.disable_after if self._decides(endpoint) else NEVER
        result = lane.answered(item.ref, answer, now, self._jitter(), hook.rotated_at, patience)
        self._journal.attempt(lane, result, answer)
        self._starved.clear()
        self._note(lane)
        return result.judgement.outcome

    def not_sent(self, flight: Flight, wait: int, now: int) -> None:
        """A try was not made, for a lack on this side; another is in ``wait`` ms, up to twice as many."""
        self._journal.now = now
        lane = self.lanes[flight.endpoint.id]
        result = lane.not_sent(flight.item.ref, wait, now, self._jitter())
        if result is not None:
            self._journal.attempt(lane, result)
        self._note(lane)

    def _decides(self, endpoint: Endpoint) -> bool:
        """Whether this partition sees enough of the endpoint to give it up."""
        return self.partition == self._home(endpoint) or CONFIGURED.issuperset(endpoint.webhook.events)

    def _home(self, endpoint: Endpoint) -> int:
        """Where the events of the endpoint's owner are, those of the configuration aside."""
        return partition_of(endpoint.webhook.customer_id.encode(), self._rules.partitions)

    # -- looking after

    def tick(self, now: int) -> list[tuple[Endpoint, str]]:
        """To be asked every second or so; endpoints that are to be disabled, and why."""
        self._journal.now = now
        self._starved.clear()
        limit, oldest = self._rules.backlog, now - self._rules.oldest
        for id in self._behind:
            lane = self.lanes[id]
            since = lane.ranges.oldest()
            if lane.ranges.behind(self.next) > limit:
                lane.give_up(f"more than {limit} records wait to be considered")
            elif since is not None and since < oldest and any(s.resolved for s in lane.ranges):
                lane.give_up("its backlog is older than what the log keeps for sure")
        giving_up = [lane for lane in self.lanes.values() if lane.giving_up and not lane.closed]
        found = [(self._endpoints.active(lane.webhook), lane.giving_up or "") for lane in giving_up]
        return [(endpoint, reason) for endpoint, reason in found if endpoint is not None]

    @property
    def unwritten(self) -> int:
        """Attempts that no transaction holds yet."""
        return len(self._journal)

    @property
    def dirty(self) -> bool:
        """Whether there is something to write down beside the position."""
        return bool(self._dirty) or not self._journal.empty

    def snapshot(self) -> Flush:
        """Everything that changed since the last one, and the position that it belongs to."""
        pairs: list[tuple[bytes, bytes | None]] = []
        for id in sorted(self._dirty):
            pairs += self._changes(self.lanes[id])
        self._dirty.clear()
        position = Position(self.next, self._endpoints.next, self._endpoints.newest, self._endpoints.epoch or "")
        pairs.append((backlog.POSITION, backlog.encode(position)))
        return Flush(pairs, self._journal.take())

    def _changes(self, lane: Lane) -> list[tuple[bytes, bytes | None]]:
        id = lane.webhook
        found = list(changes(lane, id in self._known))
        lane.written()
        if not lane.idle:
            self._known.add(id)
            return found
        self._known.discard(id)
        if lane.closed:
            del self.lanes[id]
            self._behind.pop(id, None)
        return found

    def _note(self, lane: Lane) -> None:
        """Something of the lane has changed."""
        id = lane.webhook
        if lane.touched or lane.changed:
            self._dirty.add(id)
        self._alarms.at_once(id)
        self._note_behind(lane)

    def _note_behind(self, lane: Lane) -> None:
        if lane.ranges or lane.unread:
            self._behind.setdefault(lane.webhook)
        else:
            self._behind.pop(lane.webhook, None)
