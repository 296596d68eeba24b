"""The lists of prices that several pages ask the API for."""

from collections.abc import Mapping, Sequence

from web.gateway_api import GatewayApi
from web.views.price_rows import PriceRow, price_row

API = "/api/admin/pricing"


async def in_force(api: GatewayApi) -> list[PriceRow]:
    """Return all rows in force, the newest first. Raises Refusal."""
    return [row for row in await with_scheduled(api) if not row.scheduled]


async def with_scheduled(api: GatewayApi) -> list[PriceRow]:
    """Return all rows in force and scheduled, the newest first. Raises Refusal."""
    return [price_row(shown) for shown in await api.whole_list(API, "configs")]


def found(rows: Sequence[PriceRow], search: str, names: Mapping[str, str]) -> list[PriceRow]:
    """Return the rows whose action, customer, model or provider has the text in it. ``names``: of customers."""
    text = search.casefold()
    return [
        row
        for row in rows
        if any(text in (part or "").casefold() for part in (*row.slot, names.get(row.slot.customer_id or "", "")))
    ]


def of_customer(rows: Sequence[PriceRow], customer: str) -> tuple[list[PriceRow], list[PriceRow]]:
    """Return the customer's own prices, and the default prices that none of them replaces, both sorted."""
    rows = sorted(rows, key=lambda row: tuple(part or "" for part in row.slot))
    own = [row for row in rows if row.slot.customer_id == customer]
    replaced = {row.slot[1:] for row in own}
    return own, [row for row in rows if row.slot.customer_id is None and row.slot[1:] not in replaced]


async def with_past(api: GatewayApi) -> list[PriceRow]:
    """Return all rows that are or were in force, the newest first. Raises Refusal."""
    listed = await api.whole_list(API, "configs", history="1")
    return [price_row(shown) for shown in listed if not shown.get("scheduled")]
