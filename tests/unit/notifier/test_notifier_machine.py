"""Whatever happens to a partition's deliveries, each is delivered, given up visibly, or still there."""

from collections import Counter

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from notifier import backlog
from notifier.resource_limits import ResourceLimits
from notifier.scheduler import DeliveryRules
from notifier.sender import WebhookResponse
from schemas.commands import ReplayWebhook, encode
from schemas.deliveries import Attempt
from schemas.limits import DAY
from tests.unit.notifier.world import OK, OURS, World

ANSWERS = (
    OK,
    OK,
    OK,
    WebhookResponse(500),
    WebhookResponse(None, "timeout"),
    WebhookResponse(400),
    WebhookResponse(429, retry_after_s=7),
    OURS,
)
STEPS = (0, 1, 900, 1_200, 60_000, 3_600_000)


class Deliveries(RuleBasedStateMachine):
    """Three endpoints of two customers over one partition, with little memory."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = ResourceLimits(bodies=40_000, in_flight=6, references=400)
        self.world = World(DeliveryRules(5 * DAY, 300, 1), self.limits)
        self.owed: set[tuple[int, int, int]] = set()
        self.deleted: set[int] = set()
        self.last_id = 3
        self.again = False
        """Whether something happened after which a delivery may be repeated."""

    @initialize(losses=st.booleans())
    def endpoints(self, losses: bool) -> None:
        self.losses = losses
        for id, customer in ((1, "c"), (2, "c"), (3, "d")):
            self.world.hook(id, customer)

    def _new_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def _owe(self, offset: int, customer: str, count: int) -> None:
        for id, hook in self.world.hooks.items():
            if hook.customer_id == customer and hook.active:
                self.owed |= {(id, offset, event_index) for event_index in range(count)}

    @rule(customer=st.sampled_from("cde"), records=st.integers(1, 40), count=st.sampled_from([1, 1, 3, 30]))
    def meter(self, customer: str, records: int, count: int) -> None:
        for _ in range(records):
            self._owe(self.world.meter(customer, count), customer, count)

    @rule(step=st.sampled_from(STEPS))
    def time_passes(self, step: int) -> None:
        self.world.now += step

    @rule(most=st.sampled_from([1, 7, 1000]))
    def tail(self, most: int) -> None:
        self.world.tail(most)

    @rule(most=st.sampled_from([1, 7, 500]), turns=st.integers(1, 5))
    def catch_up(self, most: int, turns: int) -> None:
        for _ in range(turns):
            self.world.catch_up(most)

    @rule()
    def start(self) -> None:
        for attempt in self.world.start():
            assert self.world.hooks[attempt.endpoint.id].active, "sent to an endpoint that is not active"

    @rule(answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=6))
    def answer(self, answers: list[WebhookResponse]) -> None:
        for answer in answers:
            if self.world.in_flight:
                self.world.answer(self.world.in_flight[0], answer)

    @precondition(lambda self: len(self.world.hooks) < 8)
    @rule()
    def create(self) -> None:
        self.world.now += 1
        self.world.hook(self._new_id(), "c")
        self.world.now += 1

    @precondition(lambda self: len(self.world.hooks) < 8)
    @rule(seen=st.booleans(), count=st.integers(1, 30))
    def create_unseen(self, seen: bool, count: int) -> None:
        """The view is behind: events after the creation are matched before it shows the endpoint."""
        self.world.now += 1
        made = self.world.hook(self._new_id(), "d", hidden=True)
        self.world.now += 1
        self.meter("d", count, 1)
        self.tail(1000)
        if seen:
            self.world.flush()
            self.crash()
        self.world.show(made)

    @rule()
    def flush(self) -> None:
        self.world.flush()

    @rule()
    def crash(self) -> None:
        self.again = True
        self.world.crash()

    @rule()
    def tick(self) -> None:
        """The configuration shard does what the notifier asks for."""
        for endpoint, why in self.world.scheduler.tick(self.world.now):
            self.world.now += 1
            self.world.hook(endpoint.id, active=False, disabled=why)

    @precondition(lambda self: self.losses)
    @rule(id=st.sampled_from([2, 3]))
    def delete(self, id: int) -> None:
        if id in self.world.hooks:
            self.deleted.add(id)
            self.world.unhook(id)

    @precondition(lambda self: self.losses)
    @rule(id=st.sampled_from([1, 2, 3]), active=st.booleans())
    def turn(self, id: int, active: bool) -> None:
        if id in self.world.hooks:
            self.again = True
            self.world.now += 1
            self.world.hook(id, active=active, disabled=None)

    @rule(id=st.sampled_from([1, 2, 3]), back=st.sampled_from(STEPS))
    def replay(self, id: int, back: int) -> None:
        if id in self.world.hooks:
            self.again = True
            customer = self.world.hooks[id].customer_id
            command = ReplayWebhook(id, customer, since=max(0, self.world.now - back))
            self.world.configure("webhook.replay", encode(command))

    @precondition(lambda self: self.losses)
    @rule(part=st.sampled_from([0.3, 0.9]))
    def retention(self, part: float) -> None:
        written = self.world.scheduler.next
        self.world.first = max(self.world.first, int(written * part))

    @precondition(lambda self: self.losses)
    @rule()
    def gone(self) -> None:
        if self.world.in_flight:
            self.world.answer(self.world.in_flight[0], WebhookResponse(410))

    @invariant()
    def memory_is_bounded(self) -> None:
        for share in (self.limits.bodies, self.limits.in_flight):
            assert 0 <= share.used <= share.most
        assert self.limits.references.used >= 0

    def teardown(self) -> None:
        """In the end everything is there: all days have passed, and everybody answers."""
        world = self.world
        for attempt in list(world.in_flight):
            world.answer(attempt)
        for _ in range(14):
            world.settle()
            self.tick()
            world.now += DAY // 2
        assert [key for key, value in world.left.items() if not self._is_history(key, value)] == []
        assert (self.limits.bodies.used, self.limits.in_flight.used, self.limits.references.used) == (0, 0, 0)
        ended = {(a.webhook_id, a.offset, a.index) for a in world.attempts if a.outcome != "retry"}
        lost = {owed for owed in self.owed - ended if owed[0] not in self.deleted and not self._in_gap(owed)}
        assert not lost, sorted(lost)[:5]
        delivered = Counter(self._what(a) for a in world.attempts if a.outcome == "delivered")
        assert self.again or all(times == 1 for times in delivered.values())

    @staticmethod
    def _is_history(key: bytes, value: bytes) -> bool:
        """Whether all that is left of an endpoint is how often it failed: its last answer may have been a refusal."""
        if not key.startswith(backlog.QUEUE):
            return False
        record = backlog.decode_queue(value)
        return not record.ranges and not record.waiting

    def _in_gap(self, owed: tuple[int, int, int]) -> bool:
        return any(gap.webhook_id == owed[0] and gap.first <= owed[1] <= gap.last for gap in self.world.gaps)

    @staticmethod
    def _what(attempt: Attempt) -> tuple[int, int, int]:
        return attempt.webhook_id, attempt.offset, attempt.index


Deliveries.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    # a failure of forty steps takes minutes to shrink
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
TestDeliveries = Deliveries.TestCase
