"""The headers of a webhook delivery, and how whoever receives one verifies it. Pure.

Two schemes stand side by side: Rev's own (hex HMAC-SHA256 of the body, keyed with the whole
secret as it is written) and Standard Webhooks (id, time and body, keyed with the bytes that the
base64 after ``whsec_`` stands for). For a while after a rotation both secrets sign.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from schemas.secrets import signing_key

SIGNATURE = "X-Rev-Signature"
SIGNATURE_ALIAS = "X-Revgrid-Signature"
"""The same value; the Express example of the reference reads this one."""
PREVIOUS_SIGNATURE = "X-Rev-Signature-Previous"
EVENT = "X-Rev-Event"
DELIVERY = "X-Rev-Delivery"
ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
STANDARD_SIGNATURE = "webhook-signature"
CONTENT_TYPE = "application/json"

TOLERANCE_S = 300
"""How far a delivery's timestamp may be from the receiver's clock, either way."""
_VERSION = "v1,"


class SignatureError(ValueError):
    """A delivery that is not to be trusted; the message says why and holds no secret."""


class Signed(NamedTuple):
    """What the signature of a verified delivery vouches for beside its body."""

    event_id: str
    timestamp_s: int


def headers(
    secrets: Sequence[str], event_id: str, type: str, delivery_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """Every header of one attempt. ``secrets``: the current one and, for 24 h after a rotation,
    the one before it. Raises SecretError for a secret that is not ``whsec_<base64>``."""
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
    """X-Rev-Signature: lower-case hex, keyed with the UTF-8 bytes of the whole secret."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


def standard_signature(secret: str, event_id: str, timestamp_s: int, body: bytes) -> str:
    """One entry of webhook-signature: ``v1,<base64>``. Raises SecretError."""
    return _VERSION + base64.b64encode(_standard_digest(secret, event_id, str(timestamp_s), body)).decode()


def verify(
    secrets: Iterable[str],
    received: Mapping[str, str],
    body: bytes,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> Signed:
    """Check the three webhook-* headers (names in any case) of a delivery against the body as it
    came, for any of ``secrets``. Raises SignatureError; takes as long wherever a signature differs."""
    fields = {name.lower(): value for name, value in received.items()}
    event_id, time, given = (fields.get(name, "") for name in (ID, TIMESTAMP, STANDARD_SIGNATURE))
    if not event_id or not time or not given:
        raise SignatureError(f"{ID}, {TIMESTAMP} and {STANDARD_SIGNATURE} are needed")
    if not event_id.isascii():
        raise SignatureError(f"{ID} is none of ours")
    if not (time.isascii() and time.isdigit() and len(time) <= 12):
        raise SignatureError(f"{TIMESTAMP} is not a number of seconds")
    if abs(now_s - int(time)) > tolerance_s:
        raise SignatureError(f"{TIMESTAMP} is more than {tolerance_s:g} s from now")
    wanted = [_standard_digest(secret, event_id, time, body) for secret in secrets]
    if not _any_equal(wanted, [found for entry in given.split(" ") if (found := _of_entry(entry)) is not None]):
        raise SignatureError("no signature matches")
    return Signed(event_id, int(time))


def verify_body(secrets: Iterable[str], body: bytes, signature: str) -> None:
    """Check an X-Rev-Signature (or its alias, or the previous one) against the body as it came,
    for any of ``secrets``. It vouches for no time: prefer :func:`verify`. Raises SignatureError."""
    wanted = [hex_signature(secret, body).encode() for secret in secrets]
    if not signature.isascii() or not _any_equal(wanted, [signature.encode()]):
        raise SignatureError("the signature does not match")


def _standard_digest(secret: str, event_id: str, time: str, body: bytes) -> bytes:
    return hmac.digest(signing_key(secret), f"{event_id}.{time}.".encode() + body, "sha256")


def _of_entry(entry: str) -> bytes | None:
    """The digest that one entry of webhook-signature claims; None of another version or of no base64."""
    if not entry.startswith(_VERSION):
        return None
    try:
        return base64.b64decode(entry[len(_VERSION) :], validate=True)
    except (binascii.Error, ValueError):
        return None


def _any_equal(wanted: list[bytes], given: list[bytes]) -> bool:
    """Whether a pair is equal; every pair is compared whatever the others are."""
    return sum(hmac.compare_digest(one, other) for one in wanted for other in given) > 0
