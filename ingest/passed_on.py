"""The operations under /api that `rev web` answers at the gateway's address, for /openapi.json.

What they take and return is described in docs/api.md; the structs are those of `rev web`, which the gateway does not
import.
"""

from aiohttp import hdrs

from ingest.routing import Auth, Operation

_PERIOD = {"period": "24h, 7d or 30d, which is the default."}
_SUMS = {
    "revenue-by-agent": "List agents with what they earned.",
    "revenue-by-customer": "List customers with what they were charged.",
    "revenue-by-action": "List actions with what they earned.",
    "revenue-over-time": "Get the revenue of every hour or day.",
    "outcomes": "Count the outcomes that were opened, by status.",
    "signups": "Count sign-ups by source, medium and campaign.",
}


def _dashboard(name: str, summary: str, query: dict[str, str]) -> Operation:
    return Operation(hdrs.METH_GET, f"/api/dashboard/{name}", summary, Auth.ADMIN, {200: None}, query=query)


PASSED_ON = (
    _dashboard("stats", "Get revenue, events and what is active, in all and today.", {}),
    *(_dashboard(name, summary, _PERIOD) for name, summary in _SUMS.items()),
    _dashboard("recent-events", "List the last priced events.", {"limit": "How many: 1 to 100, 50 when absent."}),
    _dashboard("live", "Stream priced events as server-sent events.", {}),
    Operation(
        hdrs.METH_POST,
        "/api/admin/pricing/replay",
        "Compute what a time would have earned at other prices; change nothing.",
        Auth.ADMIN,
        {200: None},
    ),
    Operation(
        hdrs.METH_POST, "/api/signup", "Make a customer and its API key, where it is on.", Auth.NONE, {201: None}
    ),
    Operation(hdrs.METH_GET, "/api/demo/stats", "Get what the demo agent earned.", Auth.NONE, {200: None}),
    Operation(hdrs.METH_GET, "/api/demo/live", "Stream the demo agent's calls.", Auth.NONE, {200: None}),
)
