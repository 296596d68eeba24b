"""Authentication of requests: API keys of customers and platforms, and the admin token.

A request is authenticated before anything else in it is read. Secrets are compared as hashes or
in constant time; none may appear in a message or a log.
"""

import asyncio
import hmac
from hashlib import sha256

from aiohttp import web
from aiokafka.errors import KafkaError

from ingest import plain_names
from ingest.context import Context
from ingest.problems import Forbidden, Invalid, NotRecordedYet, Unauthorized
from ingest.validation import has_control
from schemas.commands import Mode
from schemas.config import ApiKey
from schemas.limits import MAX_NAME
from streams.errors import StreamError

PLATFORM = "*"
"""Customer of a key that may act for every customer."""
RESERVED = "_"
"""Prefix of customer ids that belong to Rev."""
STALE_AFTER = 1.0
"""Seconds without a confirming fetch after which the view might honor a revoked key."""
STALE = "the gateway's configuration is not up to date; try again"
CHALLENGE = {"WWW-Authenticate": "Bearer"}
KEY_HEADER = "Authorization: Bearer rg_…"
"""How Rev's own requests carry an API key, for messages."""


def hash_of(secret: str) -> str:
    """Return the SHA-256 of a whole key, in lower-case hex, as the configuration holds it."""
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def mask_of(secret: str) -> str:
    """Return ``rg_a1b2...f6g7``: enough to recognize a key, not to use it."""
    return f"{secret[:7]}...{secret[-4:]}"


def key_of(context: Context, request: web.Request) -> ApiKey:
    """Return the active key that a request carries.

    Raises Unauthorized, or NotRecordedYet while the view is too old to know.
    """
    return key_with(context, _bearer(request), KEY_HEADER)


def key_with(context: Context, secret: str | None, header: str) -> ApiKey:
    """Return the active key with this secret; ``header`` says how a request sends it. Raises as :func:`key_of` does."""
    if secret is None or not secret.startswith("rg_"):
        raise Unauthorized(f"an API key is required; send it as {header}", headers=CHALLENGE)
    require_view(context)
    key = context.view.keys_by_hash.get(hash_of(secret))
    if key is None or not key.is_active:
        raise Unauthorized("the API key is unknown or revoked", headers=CHALLENGE)
    return key


def require_admin(context: Context, request: web.Request) -> None:
    """Raise Unauthorized unless the request carries the admin token or REV_OPEN_ADMIN=1."""
    settings = context.settings
    if settings.open_admin:
        return
    token = _bearer(request)
    given = (token or "").encode("utf-8", "surrogateescape")
    if not settings.admin_token or not hmac.compare_digest(given, settings.admin_token.encode()):
        raise Unauthorized("the admin token is required; send it as Authorization: Bearer …", headers=CHALLENGE)


def require_view(context: Context) -> None:
    """Raise NotRecordedYet if no fetch has confirmed the configuration view for 1 s."""
    if context.follower.confirmed_age() > STALE_AFTER:
        raise NotRecordedYet(STALE)


async def require_latest(context: Context) -> None:
    """Wait until the view holds everything that any gateway has answered until now.

    Raises NotRecordedYet when that cannot be known.
    """
    try:
        async with asyncio.timeout(context.settings.reply_timeout / 1000):
            await context.follower.caught_up()
    except (StreamError, KafkaError, TimeoutError) as error:
        raise NotRecordedYet(STALE) from error


def customer_of(context: Context, key: ApiKey, *named: str | None) -> str:
    """Return the customer that a request is for.

    It follows from the key and from the customer_id in the body and in the query, if they have one.
    Raises Invalid or Forbidden.
    """
    wanted = {name for name in named if name is not None}
    if len(wanted) > 1:
        raise Invalid("customer_id must be the same in the body and in the query")
    name = wanted.pop() if wanted else None
    if key.customer_id != PLATFORM:
        if name is not None and name != key.customer_id:
            raise Forbidden("customer_id must be the customer of this API key")
        return key.customer_id
    if name is None:
        raise Invalid("customer_id is required with a platform key")
    check_customer_id(context, name)
    return name


def mode_of(context: Context, key: ApiKey, customer_id: str) -> Mode:
    """Return the mode of this key's requests for this customer."""
    return "test" if key.test or context.view.is_test(customer_id) else "live"


def check_customer_id(context: Context, name: str) -> None:
    """Raise Invalid for an id that no new customer can have; an existing customer keeps its id."""
    if name in context.view.customers:
        return
    if not 1 <= len(name) <= MAX_NAME or has_control(name):
        raise Invalid(f"customer_id must have 1 to {MAX_NAME} characters and no control characters")
    if name == PLATFORM or name.startswith(RESERVED):
        raise Invalid("customer_id must not be '*' or begin with '_'; these ids are reserved")
    plain_names.check("customer_id", name)


def _bearer(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
