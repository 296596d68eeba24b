"""Every route of the pages, tried by everyone on a running stack: the table is made from the routes themselves.

Two customers have the same things under names that say whose they are, so that a page that shows what it must not is
seen by its text.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from tests.integration.web.owner import STREAM, Owner
from web.application import table
from web.routes import Audience, WebRoute

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]
OPEN, LOGIN, PORTAL_LOGIN, TOKEN = "open", "login", "portal login", "token"
"""What a route does with someone: serves them, sends them to a login, or asks for the admin token."""
ROLES = ("nobody", "alpha", "omega", "owner")
EXPECTED = {
    Audience.EVERYONE: dict.fromkeys(ROLES, OPEN),
    Audience.DASHBOARD: {"nobody": TOKEN, "alpha": TOKEN, "omega": TOKEN, "owner": OPEN},
    Audience.OWNER: {"nobody": LOGIN, "alpha": LOGIN, "omega": LOGIN, "owner": OPEN},
    Audience.PORTAL: {"nobody": PORTAL_LOGIN, "alpha": OPEN, "omega": OPEN, "owner": PORTAL_LOGIN},
}
FILES = {"file": "outcomes.csv", "version": "x", "name": "rev.css", "id": "1", "slug": "api"}
NUMBERS = {"number": "INV-000001"}
LEAVES = ("/logout", "/portal/logout")
"""Routes that end a session; they are tried last."""


class Party(NamedTuple):
    """A customer with what it has, all live but ``test_event``. ``cookie``: of its portal."""

    name: str
    event: int
    test_event: int
    outcome: str
    webhook: int
    cookie: str


async def party(owner: Owner, eventually: Eventually, name: str) -> Party:
    """A customer with an event in both modes, an outcome, a price and a webhook, all in the ledger."""
    key = await owner.key(name, customer_name=f"{name}-inc")
    test_key = await owner.key(name, test=True)
    events = []
    for secret, mode in ((key, "live"), (test_key, "test")):
        body = {"agent_id": f"{name}-agent-{mode}", "action": "completion", "metadata": {"note": f"{name}-{mode}"}}
        status, made = await owner.call("POST", "/v1/meter", body, secret)
        assert status == 201, made
        events.append(made["event_id"])
    due = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    body = {"task_id": f"{name}-task", "agent_id": f"{name}-agent-live", "price_on_success": 4900, "expires_at": due}
    status, made = await owner.call("POST", "/v1/outcomes", {**body, "success_criteria": {"met": name}}, key)
    assert status == 201, made
    price = {"customer_id": name, "action_type": f"{name}-action", "base_rate_cents": 1}
    assert (await owner.call("POST", "/api/admin/pricing", price))[0] == 201
    hook = {"url": f"https://{name}-hook.invalid/", "events": ["pricing.updated"]}
    status, hooked = await owner.call("POST", "/v1/webhooks", hook, key)
    assert status == 201, hooked

    async def there() -> bool:
        (row,) = await owner.sql(f"SELECT count() AS n FROM rev.entries WHERE customer_id = '{name}' AND event_id != 0")
        return bool(row["n"] == "3")

    await eventually(there)
    return Party(name, events[0], events[1], made["outcome_id"], hooked["id"], await sign_in(owner, key))


async def sign_in(owner: Owner, key: str) -> str:
    """The Cookie header of a session of the portal, made as a person makes one."""
    shown = await owner.page("GET", "/portal/login")
    found = re.search(r'name="form_token" value="([^"]+)"', await shown.text())
    assert found
    form = {"form_token": found[1], "key": key, "next": "/portal"}
    answer = await owner.page("POST", "/portal/login", form, Cookie=f"rev_login={shown.cookies['rev_login'].value}")
    assert (answer.status, answer.headers["Location"]) == (303, "/portal")
    return f"rev_portal={answer.cookies['rev_portal'].value}"


def path_of(route: WebRoute, party: Party) -> str:
    """The address of a route with the party's own ids."""
    ids = {**FILES, **NUMBERS, "customer_id": party.name, "event_id": party.event, "outcome_id": party.outcome}
    ids["webhook_id"] = party.webhook
    return re.sub(r"\{(\w+)(?::[^}]*)?\}", lambda found: str(ids[found[1]]), route.path)


async def answered(owner: Owner, route: WebRoute, path: str, cookie: str) -> tuple[str, int, str]:
    """What the route does, with the status and the text. A change is sent without its form's token: nothing changes."""
    form = None if route.method == "GET" else {}
    answer = await owner.page(route.method, path, form, Cookie=cookie, Accept="text/html")
    text = "" if answer.content_type == STREAM else await answer.text("utf-8", "replace")
    where = answer.headers.get("Location", "")
    if answer.status == 303 and where.startswith("/login?next="):
        return LOGIN, answer.status, text
    if answer.status == 303 and where.startswith("/portal/login?next="):
        return PORTAL_LOGIN, answer.status, text
    return TOKEN if answer.status == 401 and path.startswith("/api/") else OPEN, answer.status, text


async def test_every_route_serves_its_audience_and_nobody_else(owner: Owner, eventually: Eventually) -> None:
    """A change that is let in is a 403 or 4xx for want of a form's token, never a redirect to a login."""
    alpha, omega = [await party(owner, eventually, name) for name in ("alpha", "omega")]
    cookies = {"nobody": "", "alpha": alpha.cookie, "omega": omega.cookie, "owner": await owner.sign_in()}
    routes = sorted(table(), key=lambda route: route.path in LEAVES)
    assert len(routes) > 50 and {route.audience for route in routes} == set(Audience)
    seen = {}
    for route in routes:
        for role, cookie in cookies.items():
            result, status, text = await answered(owner, route, path_of(route, alpha), cookie)
            assert status < 500, (route.method, route.path, role)
            seen[route.method, route.path, role] = result
            if role in ("nobody", "omega"):
                assert not re.search("alpha-(?:inc|agent|task|action|hook|live|test)", text), (route.path, role)
            if role == "alpha":
                assert not re.search("omega|alpha-agent-test|alpha-test", text), (route.path, role)
    assert seen == {
        (route.method, route.path, role): EXPECTED[route.audience][role] for route in routes for role in ROLES
    }


async def test_a_portal_user_meets_its_own_data_alone(owner: Owner, eventually: Eventually) -> None:
    """Another customer's ids, and those of the other mode, do not exist for it; figures are the ledger's."""
    one, two = [await party(owner, eventually, name) for name in ("gamma", "delta")]
    for who, other in ((one, two), (two, one)):
        for path, status in (
            (f"/portal/events/{who.event}", 200),
            (f"/portal/events/{who.test_event}", 404),
            (f"/portal/events/{other.event}", 404),
            (f"/portal/outcomes/{who.outcome}", 200),
            (f"/portal/outcomes/{other.outcome}", 404),
            (f"/portal/webhooks/{who.webhook}", 200),
            (f"/portal/webhooks/{other.webhook}", 404),
        ):
            answer = await owner.page("GET", path, Cookie=who.cookie)
            assert answer.status == status, path
            assert other.name not in await answer.text()
        shown = await _text(owner, "/portal", who)
        assert f"{who.name}-agent-live" in shown and f"{who.name}-task" in shown
        assert f"{who.name}-live" in await _text(owner, f"/portal/events/{who.event}", who)
        assert f"{who.name}-action" in await _text(owner, "/portal/prices", who)
        assert f"{who.name}-hook" in await _text(owner, "/portal/webhooks", who)
        exported = await _text(owner, "/portal/events.csv", who)
        assert f"{who.name}-agent-live" in exported and f"{who.name}-agent-test" not in exported
        (row,) = await owner.sql(
            f"SELECT sum(total_cents) AS cents FROM rev.entries WHERE customer_id = '{who.name}' AND NOT test"
            " AND kind IN ('event', 'charge', 'void')"
        )
        figures = re.findall(r'class="number" title="([0-9.]+) cents?"', shown)
        assert figures[0] == row["cents"].rstrip("0").rstrip(".")


async def _text(owner: Owner, path: str, party: Party) -> str:
    answer = await owner.page("GET", path, Cookie=party.cookie)
    assert answer.status == 200
    return str(await answer.text())


async def test_a_revoked_key_ends_the_session(owner: Owner, eventually: Eventually) -> None:
    """And a link that the owner makes opens the portal without a key."""
    status, made = await owner.call("POST", "/api/admin/api-keys", {"customer_id": "leaves"})
    assert status == 201
    cookie = await sign_in(owner, made["api_key"])
    assert (await owner.page("GET", "/portal", Cookie=cookie)).status == 200
    assert (await owner.call("DELETE", f"/api/admin/api-keys/{made['id']}"))[0] == 200
    assert (await owner.page("GET", "/portal", Cookie=cookie)).status == 303
    session = await owner.sign_in()
    shown = await (await owner.page("GET", "/customers/leaves", Cookie=session)).text()
    found = re.search(r'name="form_token" value="([^"]+)"', shown)
    assert found
    form = {"form_token": found[1], "lifetime": "1h", "mode": "live"}
    answer = await owner.page("POST", "/customers/leaves/portal-link", form, Cookie=session)
    assert answer.status == 201
    link = re.search(r"/portal/enter\?link=[^<&\s]+", await answer.text())
    assert link
    shown_link = await owner.page("GET", link[0])
    fields = dict(re.findall(r'name="(form_token|link)" value="([^"]+)"', await shown_link.text()))
    before = f"rev_login={shown_link.cookies['rev_login'].value}"
    answer = await owner.page("POST", "/portal/enter", fields, Cookie=before)
    cookie = f"rev_portal={answer.cookies['rev_portal'].value}"
    assert (await owner.page("GET", "/portal", Cookie=cookie)).status == 200
