"""Mode × route × object: for every route that takes an API key, what one mode sees of the other and moves there.

The table is made from a gateway's routes, so that a new route is in it or fails. It is asked of a gateway in
memory (tests/unit/ingest/test_modes_http.py) and of a running stack (tests/integration/ingest/test_modes_stack.py).
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol

GET, POST, PATCH = "GET", "POST", "PATCH"
MODES = ("live", "test")
LATER = "2031-01-01T00:00:00Z"
BEFORE = "{before}"
Ids = dict[str, tuple[str, ...]]


class Answer(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def json(self) -> Any: ...


class Rev(Protocol):
    """A gateway as the table asks it."""

    @property
    def routes(self) -> Sequence[tuple[str, str]]:
        """Method and path of every route that takes an API key."""
        ...

    @property
    def unsteady(self) -> tuple[str, ...]:
        """Ends of paths whose answers change by themselves."""
        ...

    async def call(self, method: str, path: str, body: Any, token: str) -> Any: ...

    async def admin(self, method: str, path: str, body: Any) -> Any: ...

    async def settle(self) -> None:
        """Returns when reads show all that was answered."""
        ...

    def since(self) -> str:
        """A time a moment ago, ISO 8601."""
        ...


class World(NamedTuple):
    """What one mode of a customer has. ``ids``: by the name of a path's parameter, what addresses it."""

    rev: Rev
    mode: str
    customer: str
    key: str
    names_customer: bool
    """Whether each request names the customer, as with a platform key."""
    ids: Ids

    @property
    def mark(self) -> str:
        """In whatever this mode wrote, and in nothing else."""
        return f"agent-{self.mode}"

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        asks = f"?customer_id={self.customer}" if self.names_customer else ""
        return await self.rev.call(method, path + asks, body, self.key)


def event(mark: str, key: str, **more: Any) -> dict[str, Any]:
    return {"agent_id": mark, "action": "completion", "tokens": 2400, "idempotency_key": key, **more}


def task(mark: str, name: str) -> dict[str, Any]:
    return {"task_id": name, "agent_id": mark, "price_on_success": 49900, "expires_at": LATER}


def batch(mark: str, *keys: str) -> dict[str, Any]:
    return {"events": [event(mark, key) for key in keys], "import_id": "imp"}


BODIES: dict[tuple[str, str], Callable[[World], dict[str, Any]]] = {
    (POST, "/v1/meter"): lambda mine: event(mine.mark, "k"),
    (POST, "/v1/meter/batch"): lambda mine: batch(mine.mark, "k", "b#0"),
    (POST, "/v1/explain"): lambda mine: event(mine.mark, "k"),
    (POST, "/v1/events/lookup"): lambda mine: {"idempotency_keys": ["k", "b#0", "p", "only-live", "only-test"]},
    (POST, "/v1/outcomes"): lambda mine: task(mine.mark, "both"),
    (POST, "/v1/outcomes/{outcome_id}/resolve"): lambda mine: {"success": False},
    (POST, "/v1/reservations"): lambda mine: {"amount_cents": 1, "agent_id": mine.mark, "idempotency_key": "r"},
    (POST, "/v1/reservations/{reservation_id}/release"): lambda mine: {},
    (POST, "/v1/webhooks"): lambda mine: {"url": "https://hooks.invalid/more", "events": ["*"]},
    (PATCH, "/v1/webhooks/{id}"): lambda mine: {"active": False},
    (POST, "/v1/webhooks/{id}/rotate"): lambda mine: {},
    (POST, "/v1/webhooks/{id}/test"): lambda mine: {},
    (POST, "/v1/webhooks/{id}/replay"): lambda mine: {"since": mine.rev.since()},
}
"""What is sent where something is sent: the names are those that the other mode has used."""


async def settled(rev: Rev, mode: str, customer: str, key: str, names_customer: bool) -> World:
    """A mode's events, outcomes, import and endpoint: under the same names in both modes, and under its own."""
    world = World(rev, mode, customer, key, names_customer, {})
    mark = world.mark
    made = await world.call(POST, "/v1/meter", event(mark, "k"))
    own = await world.call(POST, "/v1/meter", event(mark, f"only-{mode}"))
    pending = await world.call(POST, "/v1/meter", event(mark, "p", outcome="pending"))
    many = await world.call(POST, "/v1/meter/batch", batch(mark, "b#0"))
    mine = await world.call(POST, "/v1/meter/batch", {**batch(mark, "b#1"), "import_id": f"imp-{mode}"})
    both = await world.call(POST, "/v1/outcomes", task(mark, "both"))
    unique = await world.call(POST, "/v1/outcomes", task(mark, f"task-{mode}"))
    hook = await world.call(POST, "/v1/webhooks", {"url": f"https://hooks.invalid/{mark}", "events": ["*"]})
    held = await world.call(POST, "/v1/reservations", {"amount_cents": 1, "agent_id": mark, "idempotency_key": "r"})
    answers = (made, own, pending, many, mine, both, unique, hook, held)
    assert [answer.text[:200] for answer in answers if answer.status != 201] == []
    assert {answer.json["test"] for answer in answers} == {mode == "test"}
    ids: Ids = {
        "event_id": tuple(str(one.json["event_id"]) for one in (made, own, pending)),
        "outcome_id": (*(one.json["outcome_id"] for one in (pending, both, unique)), f"task-{mode}"),
        "id": (str(hook.json["id"]),),
        "import_id": (f"imp-{mode}",),
        "reservation_id": (held.json["reservation_id"],),
        "number": (),  # no month is closed while it runs, so there are no invoices
    }
    return world._replace(ids=ids)


async def make_key(rev: Rev, customer: str, test: bool) -> str:
    made = await rev.admin(POST, "/api/admin/api-keys", {"customer_id": customer, "test": test})
    assert made.status == 201, made.text
    return str(made.json["api_key"])


async def own_keys(rev: Rev, customer: str) -> tuple[World, World]:
    """A customer's live key and its test key."""
    live, test = [await make_key(rev, customer, test) for test in (False, True)]
    return await settled(rev, "live", customer, live, False), await settled(rev, "test", customer, test, False)


async def platform_keys(rev: Rev, customer: str) -> tuple[World, World]:
    """The same of a platform, whose customer nobody has made."""
    live, test = [await make_key(rev, "*", test) for test in (False, True)]
    return await settled(rev, "live", customer, live, True), await settled(rev, "test", customer, test, True)


async def flagged(rev: Rev, customer: str) -> tuple[World, World]:
    """One live key, while its customer was flagged test and after; what was test stays so, for a test key."""
    key, test_key = [await make_key(rev, customer, test) for test in (False, True)]
    await rev.admin(PATCH, f"/api/admin/customers/{customer}", {"test": True})
    test = await settled(rev, "test", customer, key, False)
    await rev.admin(PATCH, f"/api/admin/customers/{customer}", {"test": False})
    return await settled(rev, "live", customer, key, False), test._replace(key=test_key)


KINDS: tuple[Callable[[Rev, str], Awaitable[tuple[World, World]]], ...] = (own_keys, platform_keys, flagged)


def addressed(path: str, ids: Ids) -> list[str]:
    """The path with each of the ids in the place of its parameter."""
    names = re.findall(r"{(\w+)}", path)
    assert len(names) <= 1
    return [path] if not names else [path.replace(f"{{{names[0]}}}", id) for id in ids[names[0]]]


async def seen(world: World) -> dict[str, str]:
    """Everything that a mode can read of itself."""
    await world.rev.settle()
    found = {}
    for method, path in world.rev.routes:
        if method == GET and not path.endswith(world.rev.unsteady):
            for one in addressed(path, world.ids):
                answer = await world.call(GET, one)
                assert answer.status == 200, (one, answer.text)
                found[one] = answer.text
    return found


async def check_apart(mine: World, other: World) -> None:
    """By the other mode's ids: 404. In lists, totals and answers: nothing of it. And it reads the same of itself
    before and after whatever this mode does."""
    before = await seen(other)
    for method, path in mine.rev.routes:
        make = BODIES.get((method, path))
        for one in addressed(path, other.ids):
            answer = await mine.call(method, one, None if make is None else make(mine))
            if "{" in path:
                assert (answer.status, answer.json["code"]) == (404, "not_found"), (method, one, answer.text)
            assert answer.status < 500 and other.mark not in answer.text, (method, one, answer.text)
    assert await seen(other) == before


async def check_own(world: World) -> None:
    """Everything that was named as in the other mode was new here, and totals and lists hold this mode alone."""
    await world.rev.settle()
    usage = (await world.call(GET, "/v1/usage")).json
    assert (usage["summary"]["total_events"], usage["summary"]["unique_agents"]) == (5, 1)
    test = world.mode == "test"
    assert usage["test"] is test
    events = (await world.call(GET, "/v1/events")).json["events"]
    assert {(one["event"]["agent_id"], one["test"]) for one in events} == {(world.mark, test)}
    outcomes = (await world.call(GET, "/v1/outcomes")).json["outcomes"]
    assert len(outcomes) == 3 and {one["test"] for one in outcomes} == {test}
    resolved = await world.call(POST, "/v1/outcomes/both/resolve", {"success": not test})
    assert (resolved.status, resolved.json["test"], resolved.json["success"]) == (200, test, not test), resolved.text
