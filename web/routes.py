"""The table of routes of `rev web`: paths, handlers, and who may use them."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import NamedTuple

from aiohttp import web

from web.visits import Visit

PageHandler = Callable[[Visit], Awaitable[web.StreamResponse]]


class Audience(Enum):
    """Who may use a route."""

    EVERYONE = "everyone"
    DASHBOARD = "dashboard"
    """The admin token, a signed-in owner, or everyone with REV_PUBLIC_DASHBOARD=1."""
    OWNER = "owner"
    """A signed-in owner; anyone else is sent to the login page."""
    PORTAL = "portal"
    """A customer, signed in with an API key or a link; anyone else is sent to the portal's login page."""


class WebRoute(NamedTuple):
    method: str
    path: str
    audience: Audience
    handler: PageHandler
