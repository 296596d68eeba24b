"""GET /api/admin/unpriced: the actions that came in without a price at the gateways of this port."""

import msgspec
from aiohttp import hdrs, web

from ingest.admin.configure import admin
from ingest.context import Context
from ingest.meter_commands import lacking, no_price
from ingest.middleware import http_response
from ingest.request_body import query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from ingest.unpriced_actions import UnpricedAction
from schemas.objects import iso
from schemas.quantities import no_rate


class UnpricedRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Events of one action that came in without a price. ``priced_now``: the price is there now.

    ``events`` counts an event as often as it was sent.
    """

    customer_id: str
    action: str
    dialect: str
    reason: str
    events: int
    first_seen_at: str
    last_seen_at: str
    priced_now: bool
    model: str | None = None
    provider: str | None = None
    test: bool = False


class UnpricedList(msgspec.Struct, frozen=True):
    """200: the rows, seen last first. ``actions`` and ``events`` count what still has no price, without test mode."""

    actions: int
    events: int
    unpriced: list[UnpricedRow]


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    return [
        Route(
            Operation(
                hdrs.METH_GET,
                "/api/admin/unpriced",
                "List the actions that came in without a price.",
                auth=Auth.ADMIN,
                responses={200: UnpricedList},
            ),
            bound(context, _list),
        )
    ]


async def _list(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    query_of(request, ())
    rows = [_shown(context, row) for row in await context.unpriced.all_rows()]
    missing = [row for row in rows if not row.priced_now and not row.test]
    actions = {(row.customer_id, row.action, row.model, row.provider) for row in missing}
    return http_response(encode(UnpricedList(len(actions), sum(row.events for row in missing), rows)))


def _shown(context: Context, row: UnpricedAction) -> UnpricedRow:
    key = row.key
    quantities = () if key.quantity is None else (key.quantity,)
    still = lacking(context, key.customer_id, (key.action, key.model, key.provider), quantities)
    return UnpricedRow(
        customer_id=key.customer_id,
        action=key.action,
        dialect=key.dialect,
        reason=no_price(key.action) if key.quantity is None else no_rate(key.quantity, key.action),
        events=row.events,
        first_seen_at=iso(row.first_seen),
        last_seen_at=iso(row.last_seen),
        priced_now=still is None,
        model=key.model,
        provider=key.provider,
        test=key.mode == "test",
    )
