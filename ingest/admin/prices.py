"""/api/admin/pricing: set, list and delete prices; /v1/pricing: what a customer pays now."""

from aiohttp import hdrs, web
from msgspec import UNSET
from msgspec.json import Decoder
from msgspec.structs import replace

from ingest import paging
from ingest.admin.configure import ACTOR, admin, admin_body, configure, id_of
from ingest.auth import customer_of, key_of
from ingest.bodies import PriceBody
from ingest.context import Context
from ingest.middleware import http_response
from ingest.price_bodies import price_row
from ingest.problems import Invalid
from ingest.request_body import query_of
from ingest.responses import DoneResponse, EffectivePrice, EffectivePrices, PriceList, encode
from ingest.routing import Auth, Operation, Route, bound
from schemas.commands import DeletePrice, SetPrice
from schemas.config import Price
from schemas.objects import PriceObject, iso, month_terms_shown, number, price_shown, rates_shown, tiers_shown
from schemas.price_match import PriceSlot

PATH = "/api/admin/pricing"
LIST_QUERY = {**paging.QUERY, "history": "1 to include past prices."}
CUSTOMER_QUERY = {"customer_id": "The customer; required with a platform key."}
_body = Decoder(PriceBody)


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    create, show, delete, effective = (bound(context, one) for one in (_create, _list, _delete, _effective))
    admins, keys = Auth.ADMIN, Auth.KEY
    shown = {200: EffectivePrices}
    return [
        Route(Operation(hdrs.METH_POST, PATH, "Set a price.", admins, {201: PriceObject}, PriceBody), create),
        Route(
            Operation(
                hdrs.METH_GET,
                PATH,
                "List the prices in force and the scheduled ones.",
                auth=admins,
                responses={200: PriceList},
                body=None,
                query=LIST_QUERY,
            ),
            show,
        ),
        Route(Operation(hdrs.METH_DELETE, PATH + "/{id}", "End a price.", admins, {200: DoneResponse}), delete),
        Route(
            Operation(
                hdrs.METH_GET,
                "/v1/pricing",
                "List your rates.",
                auth=keys,
                responses=shown,
                body=None,
                query=CUSTOMER_QUERY,
            ),
            effective,
        ),
    ]


async def _create(context: Context, request: web.Request) -> web.Response:
    body = await admin_body(context, request, _body)
    query_of(request, ())
    row = price_row(context, body)
    command = SetPrice(
        action_type=row.action_type,
        rates=row.rates,
        customer_id=row.customer_id,
        actor=ACTOR,
        model=row.model,
        provider=row.provider,
        effective_at=row.effective_at,
    )
    decided = await configure(context, command)
    return http_response(bytes(decided.result), 201)


async def _delete(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    query_of(request, ())
    id = id_of(request, "price")
    await configure(context, DeletePrice(id, ACTOR))
    return http_response(encode(DoneResponse(True, id)))


async def _list(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    query = query_of(request, LIST_QUERY)
    history = query.get("history", "0")
    if history not in ("0", "1"):
        raise Invalid("history must be 0 or 1")
    now = context.clock()
    prices = context.view.known_prices(now) if history == "1" else context.view.active_prices(now)
    shown, cursor = paging.page(prices, lambda price: (price.id, ""), query)
    return http_response(encode(PriceList([price_shown(price, now) for price in shown], cursor)))


async def _effective(context: Context, request: web.Request) -> web.Response:
    key = key_of(context, request)
    customer_id = customer_of(context, key, query_of(request, CUSTOMER_QUERY).get("customer_id"))
    view, now = context.view, context.clock()
    configs = [_effective_row(slot, price) for slot, price in view.prices_of(customer_id, now)]
    later = [_scheduled_row(price) for price in view.scheduled_for(customer_id, now)]
    return http_response(encode(EffectivePrices(customer_id, configs, later or UNSET)))


def _effective_row(slot: PriceSlot, price: Price) -> EffectivePrice:
    rates = price.rates
    return EffectivePrice(
        action_type=slot.action,
        base_rate_cents=number(rates.base),
        token_rate_cents=number(rates.token),
        outcome_bonus_cents=number(rates.bonus),
        is_custom=price.customer_id is not None,
        model=slot.model or UNSET,
        provider=slot.provider or UNSET,
        rates=rates_shown(rates) or UNSET,
        ignore_unknown=rates.ignore_unknown or UNSET,
        tiers=tiers_shown(rates) or UNSET,
        **month_terms_shown(rates),
    )


def _scheduled_row(price: Price) -> EffectivePrice:
    return replace(_effective_row(price.slot, price), effective_at=iso(price.start))
