"""POST /api/admin/pricing/replay: the changes are checked, the ledger is read once."""

from typing import Any

from aiohttp import hdrs, web

from schemas.limits import MAX_NAME
from web import replays
from web.data import replay_data
from web.data.replay_changes import changes_of, decoded
from web.replays import Scenario
from web.routes import Audience, WebRoute
from web.visits import Visit
from web.web_refusals import invalid

PATH = replays.PRICES + "/replay"
FIELDS = ("from", "to", "customer_id", "changes")


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_POST, PATH, Audience.DASHBOARD, _replay)]


def scenario_of(given: Any, now: int) -> Scenario:
    """Return the scenario of a decoded body. Raises Refusal naming the field."""
    if not isinstance(given, dict):
        raise invalid("the body must be a JSON object")
    unknown = next((name for name in given if name not in FIELDS), None)
    if unknown is not None:
        raise invalid(f"{unknown[:80]} is unknown; known here: {', '.join(FIELDS)}")
    start, end, customer = (_text(name, given.get(name)) for name in ("from", "to", "customer_id"))
    changes = given.get("changes")
    if changes is None:
        raise invalid("changes is required")
    return Scenario(replays.time_range(start, end, now), customer or "", changes_of(changes))


async def _replay(visit: Visit) -> web.Response:
    visit.query(())
    try:
        text = await visit.request.text()
    except (ValueError, LookupError) as error:
        raise invalid("the body must be UTF-8") from error
    scenario = scenario_of(decoded(text), visit.site.clock())
    prices = await replays.prices_in_force(visit.site.api)
    found = await replays.run(visit.site, scenario, prices)
    return visit.json(replay_data.response(scenario.time, scenario.customer, found))


def _text(name: str, given: Any) -> str | None:
    if given is not None and (not isinstance(given, str) or not 1 <= len(given) <= MAX_NAME):
        raise invalid(f"{name} must be text of 1 to {MAX_NAME} characters")
    return given
