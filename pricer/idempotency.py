"""Idempotency: when two bodies are the same, and what is retained of the first request.

A retained record has a key (customer, mode and idempotency key; one namespace for meter events and outcomes), the hash
of the validated body, and the first reply. It is restored from the ledger entries, so everything in it must follow from
them. Nothing of a refusal is ever retained.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from schemas.commands import MeterEvent, Mode, Register, Reserve
from schemas.labels import LABELS
from schemas.outcome_terms import ABSENT, ADDED_TERMS, Term
from schemas.raw_json import EMPTY
from schemas.replies import Receipt
from schemas.state import namespace
from streams.types import RetainedRecord, StateView

HASH_LENGTH = 32
"""Characters of a body hash: 128 bits in hex."""
ADDED_LABELS = LABELS[4:]
"""Labels added after the first release."""
STATUS_LENGTH = 3
"""Digits of the status before a reply about an outcome. A receipt begins with a brace instead."""

_NEW_DIGEST = blake2b(digest_size=HASH_LENGTH // 2)
_encode = msgspec.json.Encoder().encode
_namespace = lru_cache(4096)(namespace)
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_decode_value = msgspec.json.Decoder(float_hook=lambda text: msgspec.Raw(text.encode())).decode
"""Decodes JSON, but keeps the text of a number with a point or exponent: no float."""
_encode_receipt = msgspec.json.Encoder().encode
_decode_receipt = msgspec.json.Decoder(Receipt).decode


class OutcomeResponse(NamedTuple):
    """The first reply about an outcome: the HTTP status and the JSON object."""

    status: int
    result: msgspec.Raw


class IdempotencyRecord(msgspec.Struct, frozen=True, gc=False):
    """The record of an idempotency key. The body hash identifies the command."""

    body_hash: str
    answer: Receipt | OutcomeResponse


def body_hash(event: MeterEvent) -> str:
    """Return the hex of 128 bits over everything in a validated event but its key.

    Metadata counts as a JSON value: white space and the order of keys do not matter, numbers are compared by their text
    (1.0 is not 1). A new field of MeterEvent is included only where it is set, or every retry across the upgrade would
    be taken for a conflict.
    """
    fields: tuple[object, ...] = (
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
    if ADDED_LABELS:
        fields += tuple((name, text) for name in ADDED_LABELS if (text := getattr(event, name)) is not None)
    if event.quantities:
        fields += (("quantities", sorted(event.quantities.items())),)
    if event.reservation_id is not None:
        fields += (("reservation_id", event.reservation_id),)
    return _hash(_encode(fields), event.metadata)


def register_hash(command: Register) -> str:
    """Return the body hash of a registration. Its list differs in length or first word from those of meter events and
    verdicts, so the hash includes what the key was used for. A term added since the first release is included only
    where it is set, as in a meter event."""
    added = [
        (term.name, _hashed(term, value))
        for term in ADDED_TERMS
        if (value := getattr(command, term.name)) != ABSENT[term.kind]
    ]
    body = _encode(
        (
            "register",
            command.task_id,
            command.agent_id,
            command.price_on_success,
            command.price_on_failure,
            command.expires_at,
            command.on_expiry,
            *added,
        )
    )
    return _hash(body, command.success_criteria)


def reserve_hash(command: Reserve) -> str:
    """Return the body hash of a reservation."""
    of, estimate = command.event, command.estimate
    labels = None if of is None else (of.agent_id, of.action, of.model)
    likely = None if estimate is None else body_hash(estimate)
    return _hash(_encode(("reserve", command.amount, command.ttl, labels, likely)), EMPTY)


def resolve_hash(outcome_id: str, success: bool, evidence: msgspec.Raw = EMPTY) -> str:
    """Return the body hash of a verdict; it does not depend on how the outcome was addressed."""
    return _hash(_encode(("resolve", outcome_id, success)), evidence)


def _hashed(term: Term, value: Any) -> Any:
    return msgspec.Raw(_canonical(value)) if term.kind == "json" else value


def _hash(fields: bytes, sent: msgspec.Raw) -> str:
    """Return the hash of the fields and of the sender's own JSON object, if there is one."""
    digest = _NEW_DIGEST.copy()  # cheaper than a new one with its parameters
    digest.update(fields + _canonical(sent) if sent else fields)
    return digest.hexdigest()


def _canonical(metadata: msgspec.Raw) -> bytes:
    """Return one spelling for equal JSON values. If a whole number is too long for Python to read, the sender's text is
    kept, so that only a literal repeat equals it."""
    try:
        return _encode_sorted(_decode_value(metadata))
    except msgspec.ValidationError:
        return bytes(memoryview(metadata))


def record_key(customer_id: str, key: str, test: bool) -> bytes:
    """Return the key in the namespace of the customer and mode."""
    return _namespace(customer_id, test) + key.encode()


def receipt_record(customer_id: str, key: str, hashed: str, receipt: Receipt, test: bool) -> RetainedRecord:
    """Return the record to retain for a charged event. ``test`` is its entry's."""
    value = hashed.encode() + _encode_receipt(receipt)
    return RetainedRecord(record_key(customer_id, key, test), value, receipt.recorded_at)


def response_record(
    customer_id: str, key: str, hashed: str, shown: OutcomeResponse, at: int, test: bool
) -> RetainedRecord:
    """Return the record to retain for a command that opened or closed an outcome at ``at``."""
    value = hashed.encode() + b"%d" % shown.status + bytes(memoryview(shown.result))
    return RetainedRecord(record_key(customer_id, key, test), value, at)


class KeyRecords:
    """Reader of the records of one customer's keys that are younger than ``window`` ms at the accepted time ``now``.

    Without a mode (a command from before modes were separate) a record is the later one of both modes: at that time
    they shared one place, and the later one replaced the other.
    """

    def __init__(self, state: StateView, customer_id: str, now: int, window: int, mode: Mode | None = None) -> None:
        self._get, self._now, self._window = state.get_retained, now, window
        modes = (False, True) if mode is None else (mode == "test",)
        self._prefixes = [namespace(customer_id, test) for test in modes]

    def find(self, key: str) -> IdempotencyRecord | None:
        """Return the record of a key, or None."""
        name, retained = key.encode(), None
        for prefix in self._prefixes:
            one = self._get(prefix + name)
            if one is not None and (retained is None or one.at > retained.at):
                retained = one
        if retained is None or self._now - retained.at >= self._window:
            return None
        hashed, answer = retained.value[:HASH_LENGTH].decode(), retained.value[HASH_LENGTH:]
        if answer.startswith(b"{"):
            return IdempotencyRecord(hashed, _decode_receipt(answer))
        shown = OutcomeResponse(int(answer[:STATUS_LENGTH]), msgspec.Raw(answer[STATUS_LENGTH:]))
        return IdempotencyRecord(hashed, shown)


def conflict(key: str) -> str:
    """Return the error message for a key that was used for something else."""
    return f"idempotency key {key!r} was used with a different body"
