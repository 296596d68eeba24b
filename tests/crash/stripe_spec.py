"""What Stripe publishes of its API v1, held against what Rev sends and reads: a plugin for the unit tests of Stripe.

The specification is the one of stripe-mock, a Go module of Stripe's: https://github.com/stripe/stripe-mock. It has
nothing of Stripe's API v2.
"""

import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from collector.stripe.client import OfficialClient
from collector.stripe.requests import StripeRequest
from tests.stripe_stand_in import StripeStandIn

Schema = Mapping[str, Any]
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list,
}  # fmt: skip
ASSUMED = {("invoice", "status"), ("invoice", "number")}
"""Members that the specification lets be absent and that are read as if they were there: a push without a status fails
visibly, and only a test reads the number."""


class Operation(NamedTuple):
    """``name``: method and path as in the specification. ``params``: the schema of what is sent in query or body.
    ``answer``: the schema of the answer."""

    name: str
    params: Schema
    answer: Schema


class StripeSpec:
    """The specification in a zip of the module."""

    def __init__(self, module: Path) -> None:
        with zipfile.ZipFile(module) as archive:
            (name,) = [one for one in archive.namelist() if one.endswith("/embedded/openapi/spec3.json")]
            found = json.loads(archive.read(name))
        self.version = str(found["info"]["version"])
        self._schemas: dict[str, Schema] = found["components"]["schemas"]
        self._paths: dict[str, dict[str, Any]] = found["paths"]

    def operation(self, method: str, path: str) -> Operation | None:
        """Return the operation of a request; None if there is none."""
        parts = path.split("/")
        fitting = [one for one in self._paths if method in self._paths[one] and _fits(one.split("/"), parts)]
        if not fitting:
            return None
        # a word goes before a variable: /search before /{customer}
        template = min(fitting, key=lambda one: one.count("{"))
        found = self._paths[template][method]
        query = [one for one in found.get("parameters", []) if one["in"] == "query"]
        params = {
            "type": "object",
            "properties": {one["name"]: one["schema"] for one in query},
            "required": [one["name"] for one in query if one.get("required")],
        }
        if method == "post":
            params = found["requestBody"]["content"][FORM]["schema"]
        answer = found["responses"]["200"]["content"][JSON]["schema"]
        return Operation(f"{method} {template}", _closed(params), answer)

    def resolved(self, schema: Schema) -> Schema:
        """Return a schema in place of a reference to it."""
        return self._schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    def choices(self, schema: Schema) -> list[Schema]:
        """Return the schemas that something may have."""
        schema = self.resolved(schema)
        return [self.resolved(one) for one in schema.get("anyOf", [schema])]


class Checks:
    """What was found. ``operations``: how often each was used; ``unknown``: requests that the specification does not
    have; ``read``: members of answers that were read; ``problems``: what is wrong of both."""

    def __init__(self, spec: StripeSpec) -> None:
        self.spec = spec
        self.operations: Counter[str] = Counter()
        self.unknown: set[str] = set()
        self.read: set[str] = set()
        self.problems: set[str] = set()

    def sent(self, method: str, path: str, params: Mapping[str, Any]) -> None:
        """Check a request as it came over the wire, where each value is text."""
        operation = self.spec.operation(method, path)
        if operation is None:
            self.unknown.add(f"{method} {path}")
            return
        self.operations[operation.name] += 1
        typed = _typed(params, operation.params)
        for error in jsonschema.Draft202012Validator(operation.params).iter_errors(typed):
            self.problems.add(f"{operation.name}: {error.json_path} {error.message}")

    def answered(self, request: StripeRequest, answer: dict[str, Any]) -> dict[str, Any]:
        """Return an answer that checks what is read of it."""
        operation = self.spec.operation(request.method, request.path)
        return answer if operation is None else Reading(self, operation.answer, answer)


class Reading(dict[str, Any]):
    """An object of an answer. A member that is read must be one by the specification, be of its type, and be one
    that is always there, unless ``get`` reads it."""

    def __init__(self, checks: Checks, schema: Schema, held: dict[str, Any]) -> None:
        super().__init__(held)
        self._checks = checks
        self._choices = [one for one in checks.spec.choices(schema) if one.get("type") == "object"]
        self._title = "|".join(str(one.get("title", "object")) for one in self._choices)
        self._resource = str(self._choices[0].get("x-resourceId", ""))
        self._is_map = "properties" not in self._choices[0]
        """Whether members have names of our own, as in metadata."""

    def __getitem__(self, name: str) -> Any:
        is_sure = all(name in one.get("required", ()) for one in self._choices)
        if not is_sure and not self._is_map and (self._resource, name) not in ASSUMED:
            self._checks.problems.add(f"{self._title}.{name} may be absent")
        return self._member(name, super().__getitem__(name))

    def get(self, name: str, default: Any = None) -> Any:
        return self._member(name, super().get(name, default))

    def _member(self, name: str, value: Any) -> Any:
        if self._is_map:
            schemas = [one["additionalProperties"] for one in self._choices]
        else:
            schemas = [one["properties"][name] for one in self._choices if name in one["properties"]]
        what = f"{self._title}.{name}"
        self._checks.read.add(what)
        if not schemas:
            self._checks.problems.add(f"{what} is not in the specification")
        elif value is not None and not any(self._suits(value, one) for one in schemas):
            self._checks.problems.add(f"{what} of the stand-in is {value!r}")
        elif isinstance(value, dict):
            return Reading(self._checks, schemas[0], value)
        elif isinstance(value, list):
            items = self._checks.spec.resolved(schemas[0])["items"]
            return [Reading(self._checks, items, one) if isinstance(one, dict) else one for one in value]
        return value

    def _suits(self, value: object, schema: Schema) -> bool:
        return any(
            isinstance(value, KINDS[one["type"]])
            and (one["type"] == "boolean" or not isinstance(value, bool))
            and value in one.get("enum", [value])
            for one in self._checks.spec.choices(schema)
        )


def _fits(template: Sequence[str], parts: Sequence[str]) -> bool:
    return len(template) == len(parts) and all(
        one == part or one.startswith("{") for one, part in zip(template, parts, strict=True)
    )


def _closed(schema: Any) -> Any:
    """Return a schema that refuses members which it does not name."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _closed(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def _typed(value: Any, schema: Schema) -> Any:
    """Return what text on the wire means by a schema; text that is nothing of the kind stays, and is then refused."""
    choices = schema.get("anyOf", [schema])
    if isinstance(value, dict):
        for one in choices:
            if one.get("type") == "array":
                return [_typed(each, one["items"]) for each in value.values()]
            if one.get("type") == "object":
                members = one.get("properties", {})
                return {name: _typed(each, members.get(name, {})) for name, each in value.items()}
        return value
    for one in choices:
        if one.get("type") == "boolean" and value in ("true", "false"):
            return value == "true"
        if one.get("type") == "integer" and value.removeprefix("-").isdecimal():
            return int(value)
    return value


CHECKS = pytest.StashKey[Checks]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stripe-mock", type=Path, required=True, help="the zip of the module")
    parser.addoption("--stripe-checks", type=Path, required=True, help="where what was found is written")


def pytest_configure(config: pytest.Config) -> None:
    checks = Checks(StripeSpec(config.getoption("--stripe-mock")))
    config.stash[CHECKS] = checks
    api, call = StripeStandIn._api, OfficialClient.call

    def checked_api(self: StripeStandIn, method: str, path: str, params: dict[str, Any]) -> dict[str, Any]:
        checks.sent(method.lower(), path, params)
        return api(self, method, path, params)

    async def checked_call(self: OfficialClient, request: StripeRequest) -> dict[str, Any]:
        return checks.answered(request, await call(self, request))

    StripeStandIn._api = checked_api  # type: ignore[method-assign]
    OfficialClient.call = checked_call  # type: ignore[method-assign]


def pytest_sessionfinish(session: pytest.Session) -> None:
    checks = session.config.stash[CHECKS]
    found = {name: sorted(getattr(checks, name)) for name in ("unknown", "read", "problems")}
    found["operations"] = dict(sorted(checks.operations.items()))
    found["version"] = checks.spec.version
    session.config.getoption("--stripe-checks").write_text(json.dumps(found, indent=1))
