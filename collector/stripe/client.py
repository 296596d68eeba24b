"""Stripe's own client, behind the one call that the collector makes."""

from typing import Any

import msgspec

from collector.stripe.calls import StripeAway, StripeRefuses
from collector.stripe.requests import StripeRequest
from schemas.settings import SettingError

TIMEOUT = 30.0
"""Seconds for one request."""
RETRIED = (408, 409, 425, 429)
"""Statuses below 500 that pass by themselves; 409: a request with the same key is in progress."""

MISSING = "resource_missing"
EXPIRED = "billing_meter_event_session_expired"
DUPLICATE, SAME_IDENTIFIER = "duplicate_meter_event", "already exists with identifier"
"""How Stripe says that it has a meter event: by its code, or in words where there is none."""


class OfficialClient:
    """Stripe's own client, without its retries: Rev keeps what it still has to send. ``url``: for a stand-in."""

    def __init__(self, key: str, url: str = "") -> None:
        try:
            import stripe
        except ModuleNotFoundError:
            raise SettingError("REV_STRIPE=invoice needs Stripe's client; install it with pip install stripe") from None
        self._error = stripe.StripeError
        self._http = stripe.AIOHTTPClient(timeout=TIMEOUT)
        stripe.enable_telemetry = False
        self._client = stripe.StripeClient(
            key,
            http_client=self._http,
            base_addresses={"api": url.rstrip("/"), "meter_events": url.rstrip("/")} if url else {},
            max_network_retries=0,
        )

    async def call(self, request: StripeRequest) -> dict[str, Any]:
        options = {"idempotency_key": request.key} if request.key else {}
        if request.token:
            options |= {"api_key": request.token, "base": "meter_events"}
        try:
            answer = await self._client.raw_request_async(request.method, request.path, **request.params, **options)
        except self._error as error:
            raise _raised(error.http_status, error.user_message, error.headers or {}, error.code or "") from error
        found: dict[str, Any] = msgspec.json.decode(answer.body)
        return found

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]


def _after(headers: Any) -> int:
    """Return the ms that Retry-After asks for, if it does so in seconds."""
    text = next((str(value) for name, value in dict(headers).items() if name.lower() == "retry-after"), "")
    return int(text) * 1000 if text.isascii() and text.isdigit() and len(text) < 7 else 0


def _raised(status: int | None, words: str | None, headers: Any, code: str) -> StripeAway | StripeRefuses:
    """Return the error of an answer. No header or body that may hold a key is named."""
    said = (words or "no answer").splitlines()[0][:300]
    if status is None:
        return StripeAway(f"Stripe does not answer: {said}")
    if status in RETRIED or status >= 500:
        return StripeAway(f"Stripe answers {status}: {said}", _after(headers), decided=status >= 500)
    return StripeRefuses(
        f"Stripe answers {status}: {said}",
        missing=status == 404 or code == MISSING,
        duplicate=code == DUPLICATE or SAME_IDENTIFIER in said,
        denied=status in (401, 403) or code == EXPIRED,
    )
