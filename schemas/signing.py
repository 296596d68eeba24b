"""The headers of a webhook delivery, and their verification by the receiver. Pure.

Two schemes are used together: Rev's own (hex HMAC-SHA256 of the body, keyed with the whole secret
as it is written) and Standard Webhooks (id, time and body, keyed with the decoded base64 after
``whsec_``). For a while after a rotation both secrets sign.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from schemas.secrets import signing_key

SIGNATURE = "X-Rev-Signature"
SIGNATURE_ALIAS = "X-Revgrid-Signature"
"""The same value as SIGNATURE; the Express example of the reference reads this header."""
PREVIOUS_SIGNATURE = "X-Rev-Signature-Previous"
EVENT = "X-Rev-Event"
DELIVERY = "X-Rev-Delivery"
ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
STANDARD_SIGNATURE = "webhook-signature"
CONTENT_TYPE = "application/json"

TOLERANCE_S = 300
"""Maximum difference between a delivery's timestamp and the receiver's clock, either way."""
_VERSION = "v1,"


class SignatureError(ValueError):
    """A delivery that must not be trusted; the message says why and holds no secret."""


class Signed(NamedTuple):
    """The facts, besides the body, that the signature of a verified delivery guarantees."""

    event_id: str
    timestamp_s: int


def headers(
    secrets: Sequence[str], event_id: str, type: str, delivery_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """Return every header of one attempt.

    ``secrets``: the current one and, for 24 h after a rotation, the previous one. Raises SecretError for a
    secret that is not ``whsec_<base64>``.
    """
    current = hex_signature(secrets[0], body)
    made = {
        "Content-Type": CONTENT_TYPE,
        SIGNATURE: current,
        SIGNATURE_ALIAS: current,
        EVENT: type,
        DELIVERY: delivery_id,
        ID: event_id,
        TIMESTAMP: str(timestamp_s),
        STANDARD_SIGNATURE: " ".join(standard_signature(secret, event_id, timestamp_s, body) for secret in secrets),
    }
    if len(secrets) > 1:
        made[PREVIOUS_SIGNATURE] = hex_signature(secrets[1], body)
    return made


def hex_signature(secret: str, body: bytes) -> str:
    """Return X-Rev-Signature: lower-case hex, keyed with the UTF-8 bytes of the whole secret."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


def standard_signature(secret: str, event_id: str, timestamp_s: int, body: bytes) -> str:
    """Return one entry of webhook-signature: ``v1,<base64>``. Raises SecretError."""
    return _VERSION + base64.b64encode(_standard_digest(secret, event_id, str(timestamp_s), body)).decode()


def verify(
    secrets: Iterable[str],
    received: Mapping[str, str],
    body: bytes,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> Signed:
    """Check the three webhook-* headers of a delivery (names in any case) against the body as received.

    Any of ``secrets`` may have signed. Raises SignatureError. The time taken does not depend on where a
    signature differs.
    """
    fields = {name.lower(): value for name, value in received.items()}
    event_id, time, given = (fields.get(name, "") for name in (ID, TIMESTAMP, STANDARD_SIGNATURE))
    if not event_id or not time or not given:
        raise SignatureError(f"{ID}, {TIMESTAMP} and {STANDARD_SIGNATURE} are needed")
    if not event_id.isascii():
        raise SignatureError(f"{ID} is not the id of an event")
    if not (time.isascii() and time.isdigit() and len(time) <= 12):
        raise SignatureError(f"{TIMESTAMP} is not a number of seconds")
    if abs(now_s - int(time)) > tolerance_s:
        raise SignatureError(f"{TIMESTAMP} is more than {tolerance_s:g} s from now")
    wanted = [_standard_digest(secret, event_id, time, body) for secret in secrets]
    if not _any_equal(wanted, [found for entry in given.split(" ") if (found := _of_entry(entry)) is not None]):
        raise SignatureError("no signature matches")
    return Signed(event_id, int(time))


def verify_body(secrets: Iterable[str], body: bytes, signature: str) -> None:
    """Check an X-Rev-Signature (or its alias, or the previous one) against the body as received.

    Any of ``secrets`` may have signed. It does not check the time: prefer :func:`verify`. Raises SignatureError.
    """
    wanted = [hex_signature(secret, body).encode() for secret in secrets]
    if not signature.isascii() or not _any_equal(wanted, [signature.encode()]):
        raise SignatureError("the signature does not match")


def _standard_digest(secret: str, event_id: str, time: str, body: bytes) -> bytes:
    return hmac.digest(signing_key(secret), f"{event_id}.{time}.".encode() + body, "sha256")


def _of_entry(entry: str) -> bytes | None:
    """Return the digest in one entry of webhook-signature; None for another version or invalid base64."""
    if not entry.startswith(_VERSION):
        return None
    try:
        return base64.b64decode(entry[len(_VERSION) :], validate=True)
    except (binascii.Error, ValueError):
        return None


def _any_equal(wanted: list[bytes], given: list[bytes]) -> bool:
    """True if a pair is equal. Every pair is compared, whatever the results of the others."""
    return sum(hmac.compare_digest(one, other) for one in wanted for other in given) > 0
