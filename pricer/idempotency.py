"""Idempotency: what makes two bodies the same, and what is remembered of a charged event.

A memory is a key (customer and idempotency key), the hash of the validated body, and the
receipt. It is restored from the ledger entries, so everything in it must follow from them.
Nothing of a refusal is ever remembered.
"""

from hashlib import blake2b
from typing import NamedTuple

import msgspec

from schemas.commands import MeterEvent
from schemas.replies import Receipt
from schemas.state import SEPARATOR
from streams.types import Remembered, StateView

HASH_LENGTH = 32
"""Characters of a body hash: 128 bits in hex."""

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_decode_value = msgspec.json.Decoder(float_hook=lambda text: msgspec.Raw(text.encode())).decode
"""JSON to Python, except that a number with a point or exponent keeps its text: no float."""
_encode_receipt = msgspec.json.Encoder().encode
_decode_receipt = msgspec.json.Decoder(Receipt).decode


class Memory(NamedTuple):
    """What an idempotency key stands for."""

    body_hash: str
    receipt: Receipt


def body_hash(event: MeterEvent) -> str:
    """Hex of 128 bits over everything in a validated event but its key.

    Metadata counts as a JSON value: white space and the order of keys do not matter, numbers
    are compared by their text (1.0 is not 1). A field that MeterEvent gains must enter here
    only where it is set, or every retry over the upgrade would be taken for a conflict.
    """
    body = _encode(
        (
            event.agent_id,
            event.action,
            event.tokens,
            event.tokens_input,
            event.tokens_output,
            event.outcome,
            event.expires_at,
            event.on_expiry,
            event.event_time,
            event.task_id,
            event.model,
            event.provider,
            event.trace_id,
        )
    )
    if event.metadata:
        body += _canonical(event.metadata)
    return blake2b(body, digest_size=HASH_LENGTH // 2).hexdigest()


def _canonical(metadata: msgspec.Raw) -> bytes:
    """One spelling for equal JSON values. A whole number too long for Python to read leaves
    the sender's own text, so that only a literal repeat equals it.
    """
    try:
        return _encode_sorted(_decode_value(metadata))
    except msgspec.ValidationError:
        return bytes(memoryview(metadata))


def memory_key(customer_id: str, key: str) -> bytes:
    """One namespace per customer. No customer id holds the separator, so keys cannot collide."""
    return customer_id.encode() + SEPARATOR + key.encode()


def remember(customer_id: str, key: str, hashed: str, receipt: Receipt) -> Remembered:
    """What is to be remembered of a charged event."""
    value = hashed.encode() + _encode_receipt(receipt)
    return Remembered(memory_key(customer_id, key), value, receipt.recorded_at)


def recall(state: StateView, customer_id: str, key: str, now: int, window: int) -> Memory | None:
    """The memory behind a key if it is younger than ``window`` ms at the accepted time ``now``."""
    remembered = state.recall(memory_key(customer_id, key))
    if remembered is None or now - remembered.at >= window:
        return None
    value = remembered.value
    return Memory(value[:HASH_LENGTH].decode(), _decode_receipt(value[HASH_LENGTH:]))
