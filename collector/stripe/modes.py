"""How invoices come to Stripe, by the settings."""

from typing import NamedTuple

import structlog

from collector.stripe.client import OfficialClient
from collector.stripe.senders import FileSender, Sender, StripeSender
from schemas.settings import Settings

log = structlog.get_logger("collector.stripe")


class StripeMode(NamedTuple):
    """``name``: off, file or invoice. ``client``: in mode invoice. ``sender``: not in mode off."""

    name: str
    client: OfficialClient | None = None
    sender: Sender | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self.client is not None:
            await self.client.close()


def open_stripe(settings: Settings) -> StripeMode:
    """Return the mode. It connects only at the first request. Raises SettingError without Stripe's client."""
    if settings.stripe == "off":
        return StripeMode("off")
    if settings.stripe == "invoice" and settings.stripe_key:
        client = OfficialClient(settings.stripe_key, settings.stripe_url)
        return StripeMode("invoice", client, StripeSender(client.call))
    directory = settings.data / "stripe"
    if settings.stripe == "invoice":
        log.warning("stripe_key_missing", written_to=str(directory), do="set REV_STRIPE_KEY or REV_STRIPE_KEY_FILE")
    return StripeMode("file", None, FileSender(directory))
