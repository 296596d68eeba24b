"""Bodies and responses of the webhook endpoints, and checks before anything is recorded. Pure."""

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from ingest.bodies import Customer, Time
from ingest.problems import Invalid
from schemas import times
from schemas.deliveries import EVERY, TYPES
from schemas.webhook_urls import MAX_URL, WebhookUrlError, parse
from schemas.webhooks import WebhookObject

MAX_SUBSCRIPTIONS = 50
Url = Annotated[
    str,
    Meta(
        max_length=MAX_URL,
        description="An https URL of a public address, on port 443 or 1024 to 65535.",
        extra_json_schema={"format": "uri"},
    ),
]
Types = Annotated[
    list[str],
    Meta(
        description="At least one event type, or * for all.",
        extra_json_schema={"minItems": 1, "maxItems": MAX_SUBSCRIPTIONS, "items": {"enum": [*TYPES, EVERY]}},
    ),
]


class WebhookBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new endpoint."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("url", "events")

    url: Url | None = None
    events: Types | None = None
    customer_id: Customer | None = None


class ChangeBody(msgspec.Struct, forbid_unknown_fields=True):
    """Changes to an endpoint."""

    url: Url | None = None
    events: Types | None = None
    active: bool | None = None
    customer_id: Customer | None = None


class ReplayBody(msgspec.Struct, forbid_unknown_fields=True):
    """The deliveries to repeat: one of them, or all events accepted since a time."""

    delivery_id: str | None = None
    since: Time | None = None
    customer_id: Customer | None = None


class EmptyBody(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing, or the customer of a platform key."""

    customer_id: Customer | None = None


class WebhookMade(WebhookObject, frozen=True, kw_only=True):
    """An endpoint with its secret, which is shown only here."""

    secret: str


class WebhookList(msgspec.Struct, frozen=True):
    webhooks: list[WebhookObject]
    next_cursor: str | None


def url_of(url: str, allow_private: bool) -> str:
    """Return the URL if its text allows sending to it. Raises Invalid."""
    try:
        parse(url, allow_private)
    except WebhookUrlError as error:
        raise Invalid(str(error)) from error
    return url


def types_of(events: list[str]) -> list[str]:
    """Return the subscribed types, each once, in the given order. Raises Invalid."""
    if not 1 <= len(events) <= MAX_SUBSCRIPTIONS:
        raise Invalid(f"events must have 1 to {MAX_SUBSCRIPTIONS} items")
    for index, type in enumerate(events):
        if type != EVERY and type not in TYPES:
            raise Invalid(f"events[{index}] must be one of {', '.join(TYPES)}, {EVERY}, not {type[:50]!r}")
    return list(dict.fromkeys(events))


def since_of(text: str, now: int, oldest: int) -> int:
    """Return the time in ms from which a replay starts. Raises Invalid.

    ``oldest``: how many ms back events are kept.
    """
    try:
        since = times.parse(text)
    except times.TimeError as error:
        raise Invalid(f"since {error}") from error
    if since > now:
        raise Invalid("since must not be in the future")
    if since < now - oldest:
        raise Invalid(f"since must be at most {oldest // 86_400_000} days in the past; the log is not kept longer")
    return since
