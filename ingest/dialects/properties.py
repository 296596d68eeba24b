"""The free properties of a client's event as fields of a meter event. Pure, without floats.

CloudEvents, Lago, Stripe and Paid all have an object of the sender's own beside fixed fields. What Rev knows by name is
taken out of it; everything else is kept as metadata and counts nothing.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ingest.counts import SPELLINGS
from ingest.problems import Invalid
from schemas.labels import LABELS
from schemas.quantities import TOKEN_KINDS

Properties = Mapping[str, msgspec.Raw]
TOKENS = frozenset({"tokens", *(field for fields in SPELLINGS.values() for field in fields)})
"""Properties that count tokens; a number may also be text."""
COPIED = frozenset({"agent_id", "usage", "outcome", "expires_at", "on_expiry", *LABELS})
VALUE = "value"
"""The property that is the quantity of the same name, as Lago and Stripe name it by default."""
QUANTITIES = "quantities"
PREFIX = f"{QUANTITIES}."
"""Properties that begin so are the quantity that the rest names."""
KIND = "type"
"""Beside ``tokens``: the kind that they are, as OpenMeter's own examples have it."""
_WHOLE = re.compile(r'"?(\d{1,18})(?:\.0+)?"?', re.ASCII)
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def fields_of(properties: Properties, name: str) -> dict[str, Any]:
    """Return the fields of POST /v1/meter that the properties are, ``metadata`` included.

    ``name`` is the object's own, for errors. Raises Invalid naming the field.
    """
    fields: dict[str, Any] = {}
    quantities: dict[str, msgspec.Raw] = {}
    rest: dict[str, msgspec.Raw] = {}
    kind = token_kind(properties)
    for property, raw in properties.items():
        if bytes(raw) == b"null":
            continue
        if property in TOKENS:
            fields[property] = whole(raw)
        elif property in COPIED:
            fields[property] = raw
        elif property == VALUE:
            quantities.setdefault(VALUE, raw)
        elif property == QUANTITIES:
            quantities.update(object_of(f"{name}.{QUANTITIES}", raw))
        elif property.startswith(PREFIX):
            quantities[property.removeprefix(PREFIX)] = raw
        elif property != KIND or kind is None:
            rest[property] = raw
    if kind is not None:
        fields[SPELLINGS[kind][0]] = fields.pop("tokens")
    if quantities:
        fields[QUANTITIES] = quantities
    if rest:
        fields["metadata"] = msgspec.Raw(_encode(rest))
    return fields


def object_of(name: str, raw: msgspec.Raw | msgspec.UnsetType) -> Properties:
    """Return the parts of a JSON object; empty without one. Raises Invalid naming it."""
    if raw is msgspec.UNSET or bytes(raw) == b"null":
        return {}
    try:
        return _decode_object(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid(f"{name} must be a JSON object") from None


def whole(raw: msgspec.Raw) -> Any:
    """Return a number of tokens, also from text or with zeros after the point; else the text as it is."""
    found = _WHOLE.fullmatch(bytes(raw).decode("utf-8", "replace"))
    return int(found[1]) if found else raw


def text_of(raw: msgspec.Raw | None) -> str | None:
    """Return a JSON string, or None for anything else."""
    try:
        return None if raw is None else msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def token_kind(properties: Properties) -> str | None:
    """Return the kind of tokens that ``type`` says ``tokens`` are, or None."""
    kind = text_of(properties.get(KIND)) if "tokens" in properties else None
    return kind if kind in TOKEN_KINDS else None
