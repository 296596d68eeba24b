"""Idempotency: what makes two bodies the same, and what is remembered of the first.

A memory is a key (customer, mode and idempotency key; one namespace for meter events and outcomes),
the hash of the validated body, and the first answer. It is restored from the ledger entries,
so everything in it must follow from them. Nothing of a refusal is ever remembered.
"""

from hashlib import blake2b
from typing import NamedTuple

import msgspec

from schemas.commands import EMPTY, MeterEvent, Mode, Register
from schemas.labels import LABELS
from schemas.replies import Receipt
from schemas.state import namespace
from streams.types import RetainedRecord, StateView

HASH_LENGTH = 32
"""Characters of a body hash: 128 bits in hex."""
ADDED_LABELS = LABELS[4:]
"""Labels that came after the first release."""
STATUS_LENGTH = 3
"""Digits before an answer about an outcome; a receipt begins with its brace."""

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_decode_value = msgspec.json.Decoder(float_hook=lambda text: msgspec.Raw(text.encode())).decode
"""JSON to Python, except that a number with a point or exponent keeps its text: no float."""
_encode_receipt = msgspec.json.Encoder().encode
_decode_receipt = msgspec.json.Decoder(Receipt).decode


class OutcomeResponse(NamedTuple):
    """The first answer about an outcome: the HTTP status and the object, JSON."""

    status: int
    result: msgspec.Raw


class IdempotencyRecord(NamedTuple):
    """What an idempotency key stands for. The body's hash says which command it was of."""

    body_hash: str
    answer: Receipt | OutcomeResponse


def body_hash(event: MeterEvent) -> str:
    """Hex of 128 bits over everything in a validated event but its key.

    Metadata counts as a JSON value: white space and the order of keys do not matter, numbers
    are compared by their text (1.0 is not 1). A field that MeterEvent gains enters here only
    where it is set, or every retry over the upgrade would be taken for a conflict.
    """
    added = [(name, text) for name in ADDED_LABELS if (text := getattr(event, name)) is not None]
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
            *added,
        )
    )
    return _hash(body, event.metadata)


def register_hash(command: Register) -> str:
    """The same over a registration. No list of another length or first word is a meter event's
    or a verdict's, so what the key was used for is part of the hash."""
    body = _encode(
        (
            "register",
            command.task_id,
            command.agent_id,
            command.price_on_success,
            command.price_on_failure,
            command.expires_at,
            command.on_expiry,
        )
    )
    return _hash(body, command.success_criteria)


def resolve_hash(outcome_id: str, success: bool, evidence: msgspec.Raw = EMPTY) -> str:
    """The same over a verdict, by whichever address the outcome was named."""
    return _hash(_encode(("resolve", outcome_id, success)), evidence)


def _hash(fields: bytes, sent: msgspec.Raw) -> str:
    """Of the fields and of the sender's own JSON object, if there is one."""
    body = fields + _canonical(sent) if sent else fields
    return blake2b(body, digest_size=HASH_LENGTH // 2).hexdigest()


def _canonical(metadata: msgspec.Raw) -> bytes:
    """One spelling for equal JSON values. A whole number too long for Python to read leaves
    the sender's own text, so that only a literal repeat equals it.
    """
    try:
        return _encode_sorted(_decode_value(metadata))
    except msgspec.ValidationError:
        return bytes(memoryview(metadata))


def record_key(customer_id: str, key: str, test: bool) -> bytes:
    """One namespace per customer and mode."""
    return namespace(customer_id, test) + key.encode()


def receipt_record(customer_id: str, key: str, hashed: str, receipt: Receipt, test: bool) -> RetainedRecord:
    """What is to be remembered of a charged event; ``test``: of its entry."""
    value = hashed.encode() + _encode_receipt(receipt)
    return RetainedRecord(record_key(customer_id, key, test), value, receipt.recorded_at)


def response_record(
    customer_id: str, key: str, hashed: str, shown: OutcomeResponse, at: int, test: bool
) -> RetainedRecord:
    """What is to be remembered of a command that opened or closed an outcome at ``at``."""
    value = hashed.encode() + b"%d" % shown.status + bytes(memoryview(shown.result))
    return RetainedRecord(record_key(customer_id, key, test), value, at)


def find(
    state: StateView, customer_id: str, key: str, now: int, window: int, mode: Mode | None = None
) -> IdempotencyRecord | None:
    """The memory behind a key if it is younger than ``window`` ms at the accepted time ``now``.

    Without a mode (a command from before modes were separate) it is the later one of both modes:
    there was one place for it then, and the later one took it.
    """
    if mode is None:
        both = [state.get_retained(record_key(customer_id, key, test)) for test in (False, True)]
        retained = max((one for one in both if one is not None), key=lambda one: one.at, default=None)
    else:
        retained = state.get_retained(record_key(customer_id, key, mode == "test"))
    if retained is None or now - retained.at >= window:
        return None
    hashed, answer = retained.value[:HASH_LENGTH].decode(), retained.value[HASH_LENGTH:]
    if answer.startswith(b"{"):
        return IdempotencyRecord(hashed, _decode_receipt(answer))
    return IdempotencyRecord(hashed, OutcomeResponse(int(answer[:STATUS_LENGTH]), msgspec.Raw(answer[STATUS_LENGTH:])))


def conflict(key: str) -> str:
    """Why a key that stands for something else is refused."""
    return f"idempotency key {key!r} was used with a different body"
