"""JSON objects in a body that are the sender's own: checked, and kept as they were sent. Pure."""

from typing import Any

import msgspec

from ingest.bodies import EventBody
from ingest.error_messages import DecodeFailure, explain
from ingest.problems import Invalid
from schemas.limits import MAX_DEPTH, MAX_OBJECT
from schemas.raw_json import EMPTY

_OPENERS = (b"{", b"[")
_decode_any = msgspec.json.Decoder().decode


def json_object(name: str, raw: msgspec.Raw) -> msgspec.Raw:
    """Return the sender's JSON object, or EMPTY for null. Raises Invalid."""
    text = bytes(raw)
    if text == b"null":
        return EMPTY
    decoded_object(name, text)
    return msgspec.Raw(text)


def decoded_object(name: str, text: bytes) -> dict[str, Any]:
    """Return a decoded JSON object; nobody reads its floats.

    The decoder of a body does not check raw text, so it is decoded once here: UTF-8, depth and numbers.
    Raises Invalid.
    """
    if len(text) > MAX_OBJECT:
        raise Invalid(f"{name} must be at most {MAX_OBJECT} bytes")
    if not text.startswith(b"{"):
        raise Invalid(f"{name} must be a JSON object")
    try:
        value: dict[str, Any] = _decode_any(text)
    except DecodeFailure as error:
        raise Invalid(f"{name}: {explain(error, text, EventBody).replace('the body', 'it')}") from None
    if sum(map(text.count, _OPENERS)) > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise Invalid(f"{name} must be nested at most {MAX_DEPTH} deep")
    return value


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        nested = [item for item in level if isinstance(item, dict | list)]
        deepest += bool(nested)
        level = [part for item in nested for part in (item.values() if isinstance(item, dict) else item)]
    return deepest
