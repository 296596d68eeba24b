"""From an answer's bytes to the dataclasses of models.py, by their declared types. Pure.

Numbers with a point are read as Decimal, so an amount is exactly the text that Rev sent.
Free-form JSON that the customer sent (metadata, evidence) is returned as plain Python instead,
except for numbers that no float holds.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple, Optional, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import InvalidAnswerError, RefusedError, class_of
from .models import BatchError, Budget, Outcome

T = TypeVar("T")
REPLAYED = "idempotent-replayed"
SHOWN = 200
"""Characters of an unreadable body that an error shows."""


class Answer(NamedTuple):
    """An HTTP answer; the names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read(kind: type[T], answer: Answer, key: str | None = None) -> T:
    """Parse a 2xx answer as a ``kind``. Raises InvalidAnswerError. ``key``: what the request carried."""
    try:
        fields = _object(answer.body)
        made: T = _value(kind, {**fields, "replayed": answer.headers.get(REPLAYED) == "true"})
    except (ValueError, TypeError) as error:
        raise InvalidAnswerError(
            f"the response ({answer.status}) is not a {kind.__name__}: {error}",
            status=answer.status,
            idempotency_key=key,
        ) from error
    return made


def refusal(answer: Answer, key: str | None = None) -> RefusedError:
    """Return the error for an answer other than 2xx."""
    try:
        fields = _object(answer.body)
        errors = _value(tuple[BatchError, ...], fields.get("errors", []))
        outcome = _value(Outcome, fields["outcome"]) if fields.get("outcome") else None
        budget = _value(Budget, fields["budget"]) if fields.get("budget") else None
        balance = _value(Optional[Decimal], fields.get("balance_cents"))
        code, asked, message = (fields.get(name) for name in ("code", "request_id", "error"))
    except (ValueError, TypeError):  # not Rev's, such as a proxy's page; the status still counts
        errors, outcome, budget, balance, code, asked, message = (), None, None, None, None, None, None
    return class_of(answer.status)(
        str(message or answer.body[:SHOWN].decode("utf-8", "replace") or "the response gives no reason"),
        status=answer.status,
        code=code,
        request_id=asked or answer.headers.get("x-request-id"),
        errors=errors,
        outcome=outcome,
        budget=budget,
        balance_cents=balance,
        idempotency_key=key,
    )


def _object(body: bytes) -> dict[str, Any]:
    fields = json.loads(body, parse_float=Decimal)
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    return fields


def _value(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if origin is Union:
        wanted = next(one for one in get_args(kind) if one is not type(None))
        return None if value is None else _value(wanted, value)
    if origin is tuple:
        return tuple(_value(get_args(kind)[0], item) for item in _checked(list, value))
    if origin is dict:
        wanted = get_args(kind)[1]
        members = _checked(dict, value)
        return _plain(members) if wanted is Any else {name: _value(wanted, item) for name, item in members.items()}
    if dataclasses.is_dataclass(kind):
        return _record(kind, _checked(dict, value))
    if kind is Decimal:
        return Decimal(value) if type(value) is int else _checked(Decimal, value)
    if kind is datetime:
        return _time(_checked(str, value))
    return _checked(kind, value)


def _record(kind: Any, fields: dict[str, Any]) -> Any:
    made = {}
    for name, shown, wanted, required in _plan(kind):
        if shown in fields:
            made[name] = _value(wanted, fields[shown])
        elif required:
            raise ValueError(f"{shown} is missing")
    return kind(**made)


@cache
def _plan(kind: Any) -> list[tuple[str, str, Any, bool]]:
    """Return for each field: its name, its name in JSON, its type, whether it is required."""
    types = get_type_hints(kind)
    return [
        (one.name, one.metadata.get("json", one.name), types[one.name], one.default is dataclasses.MISSING)
        for one in dataclasses.fields(kind)
    ]


def _checked(kind: type[T], value: Any) -> T:
    if type(value) is not kind:  # exactly: True is not an int here
        raise TypeError(f"{value!r:.40} is not a {kind.__name__}")
    found: T = value
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, Decimal):
        return value
    near = float(value)
    return near if Decimal(repr(near)) == value else value  # keep more digits than a float has


def _time(text: str) -> datetime:
    # Python 3.9 reads offsets but not Z
    moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment
