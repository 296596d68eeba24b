"""How invoices come to Stripe, by the settings."""

from typing import NamedTuple

import structlog

from collector.stripe.client import OfficialClient
from collector.stripe.meter_pusher import MeterMode
from collector.stripe.senders import FileSender, Sender, StripeSender
from schemas.settings import SettingError, Settings

log = structlog.get_logger("collector.stripe")


class StripeMode(NamedTuple):
    """``name``: off, file, invoice or meter. ``client``: with a key. ``sender``: of invoices. ``meters``: of usage."""

    name: str
    client: OfficialClient | None = None
    sender: Sender | None = None
    meters: MeterMode | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self.client is not None:
            await self.client.close()


def open_stripe(settings: Settings) -> StripeMode:
    """Return the mode. It connects only at the first request. Raises SettingError without Stripe's client."""
    if settings.stripe == "off":
        return StripeMode("off")
    if settings.stripe == "meter":
        return _open_meters(settings)
    if settings.stripe == "invoice" and settings.stripe_key:
        client = OfficialClient(settings.stripe_key, settings.stripe_url)
        return StripeMode("invoice", client, StripeSender(client.call))
    directory = settings.data / "stripe"
    if settings.stripe == "invoice":
        log.warning("stripe_key_missing", written_to=str(directory), do="set REV_STRIPE_KEY or REV_STRIPE_KEY_FILE")
    return StripeMode("file", None, FileSender(directory))


def _open_meters(settings: Settings) -> StripeMode:
    """Return mode meter. Raises SettingError without meters or Stripe's client."""
    rules, first = settings.stripe_meters, settings.stripe_meters_since
    if not rules:
        raise SettingError("REV_STRIPE=meter needs REV_STRIPE_METERS, such as ai_tokens=tokens")
    directory = settings.data / "stripe"
    if not settings.stripe_key:
        log.warning("stripe_key_missing", written_to=str(directory), do="set REV_STRIPE_KEY or REV_STRIPE_KEY_FILE")
        return StripeMode("meter", meters=MeterMode(rules, first, None, directory))
    client, streams = OfficialClient(settings.stripe_key, settings.stripe_url), settings.stripe_meter_api == "stream"
    return StripeMode("meter", client, meters=MeterMode(rules, first, client.call, directory, streams))
