"""Error messages for invalid bodies, in plain words that name the field.

They are made only for refusals, so speed does not matter here. Pure.
"""

import json
import re
from typing import Any

import msgspec

from ingest.hints import hint
from schemas.limits import MAX_NAME

_AT = re.compile(r" - at `(key in )?\$(.*)`$")
_EXPECTED = re.compile(r"Expected `(.+?)`, got `(.+?)`$")
_LENGTH = re.compile(r"Expected `str` of length (<=|>=) (\d+)$")
_BOUND = re.compile(r"Expected `int` (<=|>=) (-?\d+)$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`$", re.DOTALL)
_INDEX = re.compile(r"^\.events\[(\d+)\]")

_WANTED = {
    "str": "a string",
    "int": "an integer",
    "bool": "true or false",
    "object": "a JSON object",
    "array": "a list",
}
_GOT = {**_WANTED, "float": "a number with a decimal point or an exponent", "bool": "true or false", "null": "null"}

DecodeFailure = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The exceptions that decoding a body can raise."""


def explain(error: Exception, body: bytes | memoryview, struct: type) -> str:
    """Return the reason why ``body`` could not be decoded into ``struct``."""
    if isinstance(error, UnicodeDecodeError):
        return "the body is not valid UTF-8"
    if isinstance(error, RecursionError):
        return "the body is nested too deeply"
    if isinstance(error, msgspec.ValidationError):
        return _validation(str(error), struct)
    return _syntax(str(error), bytes(body))


def index_of(error: Exception) -> int | None:
    """Return the index of the batch's event that a validation error is about, or None."""
    at = _AT.search(str(error))
    index = _INDEX.match(at[2]) if at else None
    return int(index[1]) if index else None


def _syntax(message: str, body: bytes) -> str:
    if not body.strip():
        return "the body is empty; a JSON object is required"
    # the decoder also says "truncated" of a lone surrogate
    try:
        json.loads(body)
    except RecursionError:
        return "the body is nested too deeply"
    except ValueError:
        reason = message.removeprefix("JSON is malformed: ").replace("Input data was truncated", "it ends too early")
        return f"the body is not valid JSON: {reason}"
    if message == "Input data was truncated":
        return "the body must not contain an unpaired surrogate (\\ud800 to \\udfff)"
    return f"the body is not valid JSON: {message.removeprefix('JSON is malformed: ')}"


def _validation(message: str, struct: type) -> str:
    at = _AT.search(message)
    what = message[: at.start()] if at else message
    path = at[2] if at else ""
    index = _INDEX.match(path)
    where = (path[index.end() :] if index else path).lstrip(".") or ("the event" if index else "the body")
    if unknown := _UNKNOWN.match(what):
        return f"unknown field {unknown[1][:100]!r}{hint(unknown[1], _fields(struct))}"
    return f"{where} {_must(what, where, struct)}"


def _must(what: str, where: str, struct: type) -> str:
    if expected := _EXPECTED.match(what):
        wanted = " or ".join(_WANTED.get(part, part) for part in expected[1].split(" | ") if part != "null")
        return f"must be {wanted}{_range(struct, where)}, not {_GOT.get(expected[2], expected[2])}"
    if length := _LENGTH.match(what):
        most = int(length[2]) if length[1] == "<=" else _max_length(struct, where)
        return f"must have 1 to {most} characters"
    if (bound := _BOUND.match(what)) or "out of range" in what:
        if limits := _range(struct, where):
            return f"must be an integer{limits}"
        return f"must be at {'most' if bound[1] == '<=' else 'least'} {bound[2]}" if bound else "is out of range"
    if what.startswith("Invalid enum value "):
        given = what.removeprefix("Invalid enum value ")[:100]
        return f"must be one of {', '.join(_choices(struct, where))}, not {given}"
    return f"is invalid: {what}"


def _fields(struct: type) -> tuple[str, ...]:
    return tuple(field.encode_name for field in msgspec.structs.fields(struct))


def _max_length(struct: type, where: str) -> int:
    """Return the maximum length of a field in characters; MAX_NAME if the field is not found, as in a list."""
    for field in msgspec.structs.fields(struct):
        if field.encode_name == where:
            members = _members(msgspec.inspect.type_info(field.type))
            texts = [info.max_length for info in members if isinstance(info, msgspec.inspect.StrType)]
            return min((length for length in texts if length is not None), default=MAX_NAME)
    return MAX_NAME


def _range(struct: type, where: str) -> str:
    """Return `` from 0 to 100`` for an integer field with both bounds, otherwise an empty string."""
    for field in msgspec.structs.fields(struct):
        if field.encode_name == where:
            for info in _members(msgspec.inspect.type_info(field.type)):
                if isinstance(info, msgspec.inspect.IntType) and info.ge is not None and info.le is not None:
                    return f" from {info.ge} to {info.le}"
    return ""


def _members(info: Any) -> list[Any]:
    if isinstance(info, msgspec.inspect.UnionType):
        return [member for part in info.types for member in _members(part)]
    return [info.type] if isinstance(info, msgspec.inspect.Metadata) else [info]


def _choices(struct: type, name: str) -> list[str]:
    for field in msgspec.structs.fields(struct):
        if field.encode_name == name:
            members = _members(msgspec.inspect.type_info(field.type))
            return [
                str(one) for info in members if isinstance(info, msgspec.inspect.LiteralType) for one in info.values
            ]
    return []
