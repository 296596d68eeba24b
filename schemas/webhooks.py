"""Webhook endpoints as the API shows them, as JSON text without secrets."""

import msgspec

from schemas.config import Webhook
from schemas.objects import iso

_encode = msgspec.json.Encoder().encode


class WebhookObject(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint. ``disabled``: why Rev gave it up.

    The gateway adds ``secret``, once, in the responses to creation and rotation.
    """

    id: int
    customer_id: str
    url: str
    events: list[str]
    active: bool
    disabled: str | None
    created_at: str
    rotated_at: str | None
    test: bool = False


def webhook_shown(webhook: Webhook) -> WebhookObject:
    """Return an endpoint without its secrets."""
    return WebhookObject(
        id=webhook.id,
        customer_id=webhook.customer_id,
        url=webhook.url,
        events=webhook.events,
        active=webhook.active,
        disabled=webhook.disabled,
        created_at=iso(webhook.created_at),
        rotated_at=None if webhook.rotated_at is None else iso(webhook.rotated_at),
        test=webhook.test,
    )


def webhook_object(webhook: Webhook) -> msgspec.Raw:
    return msgspec.Raw(_encode(webhook_shown(webhook)))
