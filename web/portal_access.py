"""Who a request to the customer portal is for: its session says so, and the gateway confirms it each time."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from web.gateway_api import GatewayApi
from web.session_cookie import PortalSession
from web.site import WebSite
from web.web_refusals import Refusal

CUSTOMERS, KEYS = "/api/admin/customers", "/api/admin/api-keys"


class PortalUser(NamedTuple):
    """The customer and the mode that a signed-in user may see; everything else is out of reach."""

    session: PortalSession
    customer_id: str
    name: str
    test: bool


async def portal_user(site: WebSite, cookie: str) -> PortalUser | None:
    """Return the user of a cookie; None without a session that still holds.

    A session ends with its API key, and when the mode of the key's requests changes. Raises Refusal while the gateway
    does not answer.
    """
    session = site.signer.portal_session_of(cookie)
    if session is None:
        return None
    customer, key = await asyncio.gather(_customer(site.api, session.customer_id), _key(site.api, session.key))
    if customer is None or (session.key and not _holds(session, key, customer)):
        return None
    return PortalUser(session, session.customer_id, customer["name"] or session.customer_id, session.test)


def _holds(session: PortalSession, key: Mapping[str, Any] | None, customer: Mapping[str, Any]) -> bool:
    return (
        key is not None
        and key["is_active"]
        and key["customer_id"] == session.customer_id
        and (key["test"] or customer["test"]) == session.test
    )


async def _customer(api: GatewayApi, id: str) -> Mapping[str, Any] | None:
    return await _found(api, f"{CUSTOMERS}/{quote(id, safe='')}")


async def _key(api: GatewayApi, id: int) -> Mapping[str, Any] | None:
    return await _found(api, f"{KEYS}/{id}") if id else None


async def _found(api: GatewayApi, path: str) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = await api.call("GET", path)
    except Refusal as refusal:
        if refusal.status == 404:
            return None
        raise
    return found
