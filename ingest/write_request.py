"""Shared helpers of the customers' write handlers.

They read a request's query, body, key and idempotency key, find whether it waits for the reply,
and make the location of a 202.
"""

from collections.abc import Collection
from urllib.parse import quote, urlencode

from aiohttp import web

from ingest.auth import PLATFORM, key_of
from ingest.context import Context
from ingest.problems import Invalid
from ingest.request_body import body_of, query_of
from ingest.validation import header_key
from schemas.config import ApiKey

QUERY = {"customer_id": "The customer; required with a platform key."}
REPLAYED = {"Idempotent-Replayed": "true"}
KEY_HEADER = "Idempotency-Key"


async def received(
    context: Context, request: web.Request, limit: int, known: Collection[str] = QUERY
) -> tuple[dict[str, str], bytes, ApiKey]:
    """Return the query, body and API key.

    The key is checked first, and again after the body: the body may take long to arrive, and the key
    may be revoked meanwhile.
    """
    key_of(context, request)
    query = query_of(request, known)
    body = await body_of(request, limit)
    return query, body, key_of(context, request)


def given_key(request: web.Request) -> str | None:
    """Return the Idempotency-Key header. Raises Invalid."""
    return header_key(request.headers.getall(KEY_HEADER, []))


def one_key(request: web.Request, own: str | None) -> str | None:
    """Return the idempotency key of a request, from its header or its body (``own``).

    Raises Invalid when both are given and differ.
    """
    header = given_key(request)
    if header is not None and own is not None and header != own:
        raise Invalid("Idempotency-Key and idempotency_key must be equal")
    return own if own is not None else header


def waits(request: web.Request) -> bool:
    """True if the caller waits for the decision; False with ``Prefer: respond-async``."""
    given = request.headers.getall("Prefer", ())
    return not given or "respond-async" not in [part.strip().lower() for part in ",".join(given).split(",")]


def location(key: ApiKey, customer_id: str, *path: str) -> dict[str, str]:
    """Return the header with the location of what was accepted, for a caller with ``key``."""
    where = "/".join(["", "v1", *(quote(part, safe="") for part in path)])
    asks = "?" + urlencode({"customer_id": customer_id}) if key.customer_id == PLATFORM else ""
    return {"Location": where + asks}
