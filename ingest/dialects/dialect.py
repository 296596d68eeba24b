"""The parts of a dialect: how clients of another product send usage, and what they expect as the response. Pure.

A dialect turns (headers, body) into the events of POST /v1/meter, as JSON-ready fields, and renders the response. It
sees no gateway: keys, customers, validation, prices and the log are those of every meter event
(ingest.dialects.recording).
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from ingest.error_messages import DecodeFailure, explain
from ingest.problems import Invalid, Problem
from schemas.replies import IndexedError

JSON = "application/json"
_FIELD = re.compile(r"(?:(?<=^)|(?<=\]: ))[a-z_]+(?= )")
"""The field that a message begins with, perhaps after the event that it is about."""
Headers = Mapping[str, str]
"""The request's headers; names are looked up without case."""


class MappedEvent(NamedTuple):
    """A meter event that a body holds.

    ``fields`` are those of POST /v1/meter, customer_id included. ``customer`` stands in for a customer_id that the
    event does not name, with a platform key only. ``error``: why the sender's event cannot become a meter event.
    """

    fields: dict[str, Any]
    customer: str | None = None
    error: str | None = None


class Recorded(NamedTuple):
    """What became of a body's events: how many are recorded now, were recorded before, and are refused, and why.

    ``now`` is the gateway's time, ms UTC.
    """

    charged: int
    replayed: int
    refused: Sequence[IndexedError]
    now: int
    test: bool


class ClientResponse(NamedTuple):
    """A response in the dialect. Headers of a refusal (Retry-After) are added to it."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = {}


class MappedBody(NamedTuple):
    """A body, mapped. ``ignored``: what is not counted, by reason. ``respond`` renders the response."""

    events: list[MappedEvent]
    respond: Callable[[Recorded], ClientResponse]
    ignored: Mapping[str, int] = {}


class Refusals(Enum):
    """What happens to the other events of a request when one is refused."""

    ALL = "all"
    """Nothing of the request is recorded."""
    EACH = "each"
    """The others are recorded, and the response says what was refused."""


class DialectRoute(NamedTuple):
    """A path of a dialect, its first part the dialect's prefix. ``read`` raises Invalid for a body that is none."""

    path: str
    summary: str
    read: Callable[[Headers, bytes], MappedBody]
    refusals: Refusals = Refusals.ALL
    statuses: tuple[int, ...] = (200,)
    media_types: tuple[str, ...] = ()
    """The media types that are accepted; any without one."""
    encodings: tuple[str, ...] = ("gzip",)


class Dialect(NamedTuple):
    """A product whose clients can send to Rev.

    ``secret`` returns the API key from the headers, without what the product's own keys begin with. ``refusal``
    renders a refusal, so that the clients repeat what they should and nothing else. ``names`` are the dialect's own
    names for fields of a meter event, for error messages.
    """

    name: str
    product: str
    set_up: str
    """What to set in the client, in a line."""
    key_header: str
    secret: Callable[[Headers], str | None]
    refusal: Callable[[Problem, Headers], ClientResponse]
    routes: tuple[DialectRoute, ...]
    names: Mapping[str, str] = {}


def bearer(headers: Headers) -> str | None:
    """Return the token of an Authorization header, or None."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def basic_user(headers: Headers) -> tuple[str, str] | None:
    """Return user and password of a Basic Authorization header, or None."""
    scheme, _, rest = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return user, password


def without_prefix(secret: str | None) -> str | None:
    """Return the part of a key from ``rg_`` on: some clients send only keys that begin as their product's do."""
    if secret is None or secret.startswith("rg_"):
        return secret
    _, found, rest = secret.partition("_rg_")
    return f"rg_{rest}" if found else secret


def decoded(body: bytes | msgspec.Raw, decode: Callable[[Any], Any], struct: type) -> Any:
    """Decode JSON of a client. Raises Invalid with an explanation."""
    try:
        return decode(body)
    except DecodeFailure as error:
        raise Invalid(explain(error, memoryview(body), struct)) from None


def listed(body: bytes, decode: Callable[[Any], Any], struct: type, name: str) -> list[msgspec.Raw]:
    """Return the raw events that a body holds under a name. Raises Invalid."""
    found: list[msgspec.Raw] | None = getattr(decoded(body, decode, struct), name)
    if found is None:
        raise Invalid(f"{name} is required")
    return found


def each_of(
    raws: Iterable[msgspec.Raw], read: Callable[[msgspec.Raw], MappedEvent | None], noun: str = "event"
) -> list[MappedEvent]:
    """Return what each raw event is, without those that are not counted; one that is none has its error.

    ``noun``: what the product calls an event, for errors.
    """
    events = []
    for raw in raws:
        try:
            event = read(raw)
        except Invalid as error:
            event = MappedEvent({}, error=error.error.replace("the body", f"the {noun}"))
        if event is not None:
            events.append(event)
    return events


def renamed(error: str, names: Mapping[str, str]) -> str:
    """Return an error message with the dialect's own name for the field that it begins with."""
    return _FIELD.sub(lambda found: names.get(found[0], found[0]), error, count=1)
