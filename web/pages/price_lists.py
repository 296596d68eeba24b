"""The lists of prices that several pages ask the API for."""

from web.gateway_api import GatewayApi
from web.views.price_rows import PriceRow, price_row

API = "/api/admin/pricing"


async def in_force(api: GatewayApi) -> list[PriceRow]:
    """Return all rows in force, the newest first. Raises Refusal."""
    return [row for row in await with_scheduled(api) if not row.scheduled]


async def with_scheduled(api: GatewayApi) -> list[PriceRow]:
    """Return all rows in force and scheduled, the newest first. Raises Refusal."""
    return [price_row(shown) for shown in await api.whole_list(API, "configs")]


async def with_past(api: GatewayApi) -> list[PriceRow]:
    """Return all rows that are or were in force, the newest first. Raises Refusal."""
    listed = await api.whole_list(API, "configs", history="1")
    return [price_row(shown) for shown in listed if not shown.get("scheduled")]
