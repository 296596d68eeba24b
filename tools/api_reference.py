"""docs/reference.md: every call of the API, from /openapi.json, with examples that a test runs. Pure."""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import msgspec

from ingest import app, openapi
from ingest.bodies import Name
from ingest.passed_on import PASSED_ON
from tools.api_examples import CALLS, SAMPLES, Call, Values

Json = Mapping[str, Any]
HEADINGS = {"key": "With an API key", "admin": "With the admin token"}
"""By the security scheme of the operations below it, in this order."""
OF_NAMES = str(msgspec.json.schema(Name)["description"])
"""What the schema of every name says; the page says it once."""
GREAT = 10**6
"""From here on powers of ten are written as such."""
WIDE = 100
"""Characters of a body from which on each of its members has a line."""
SECRETS = {"key": "KEY", "admin": "TOKEN"}
INTRODUCTION = """\
# API reference

Every call with its fields, and an example in three languages that a test runs. `python -m tools.generate` makes this
page from the server's own description of its API, `/openapi.json`, which also has the objects in full. What the calls
mean is told in [the HTTP API](api.md), and what a name may hold in its [conventions](api.md#conventions).

The examples read `REV` (the server's address), `KEY` (an API key) and `TOKEN` (the admin token) from the environment.
The [libraries](sdk.md) retry safely and know every field; these few lines need none:

"""
STARTS = {
    "python": """\
import decimal, json, os, urllib.request

REV, KEY, TOKEN = (os.environ.get(name) for name in ("REV", "KEY", "TOKEN"))

def call(method, path, body=None, secret=KEY):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(REV + path, data, headers, method=method)) as response:
        return json.load(response, parse_float=decimal.Decimal)
""",
    "js": """\
const { REV, KEY, TOKEN } = process.env;

async function call(method, path, body, secret = KEY) {
  const headers = { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" };
  const response = await fetch(REV + path, { method, headers, body: body && JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}
""",
}
"""What a program in a language begins with."""


def described() -> Json:
    """Return the OpenAPI document of the gateway."""
    # its routes are described before any of them is served
    rows = app.table(cast(Any, None), cast(Any, None))
    return openapi.document([*(row.operation for row in rows), *PASSED_ON])


def operations(document: Json) -> Iterator[tuple[str, str, str, Json]]:
    """Yield the scheme, method, path and description of each operation that a person calls."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            scheme = next(iter(operation.get("security", [{}])[0]), "")
            if scheme in SECRETS:
                yield scheme, method.upper(), path, operation


def page() -> str:
    """Return the text of docs/reference.md."""
    document = described()
    known = list(operations(document))
    parts = [INTRODUCTION, *(f"```{language}\n{text}```\n\n" for language, text in STARTS.items())]
    for scheme, heading in HEADINGS.items():
        parts.append(f"## {heading}\n\n")
        parts += [_section(document, *one) for one in known if one[0] == scheme]
    return "".join(parts).rstrip() + "\n"


def example(language: str, method: str, scheme: str, call: Call) -> str:
    """Return a call in a language: ``sh``, ``python`` or ``js``."""
    secret = SECRETS[scheme]
    if language == "sh":
        words = ["curl -s", *([f"-X {method}"] if method not in ("GET", "POST") else []), f'"$REV{call.path}"']
        words.append(f'-H "Authorization: Bearer ${secret}"')
        if call.body is not None:
            words += ["\\\n  -H 'Content-Type: application/json'", f"-d {shlex.quote(_body(call.body, _json))}"]
        elif method == "POST":
            words.append("-X POST")
        return " ".join(words)
    is_python = language == "python"
    body = [] if call.body is None else [_body(call.body, _python if is_python else _json)]
    if secret != "KEY":
        body = [*(body or ["None" if is_python else "undefined"]), secret]
    arguments = ", ".join([json.dumps(method), json.dumps(call.path), *body])
    return f"print(call({arguments}))" if is_python else f"console.log(await call({arguments}));"


def examples(method: str, path: str, scheme: str, values: Values) -> dict[str, str]:
    """Return the example of an operation by language; none if it has none."""
    made = CALLS.get(f"{method} {path}")
    return {language: example(language, method, scheme, made(values)) for language in ("sh", *STARTS)} if made else {}


def _section(document: Json, scheme: str, method: str, path: str, operation: Json) -> str:
    parts = [f"### {method} {path}\n\n{operation['summary']}\n\n"]
    rows = [
        (one["name"], _where(one["in"], one["required"]), one["schema"], one.get("description", ""))
        for one in operation["parameters"]
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        fields = _resolved(document, body)
        needed = fields.get("required", [])
        rows += [(name, _where("body", name in needed), schema, "") for name, schema in fields["properties"].items()]
    if rows:
        parts.append("| name | where | type |\n|---|---|---|\n")
        parts += [f"| `{name}` | {where} | {_type(schema, words)} |\n" for name, where, schema, words in rows]
        parts.append("\n")
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            parts.append(f"**{status}**: {_answer(document, response).removeprefix(f'{status}: ')}\n\n")
    refusals = [status for status in operation["responses"] if not status.startswith("2")]
    parts.append(f"Refusals: {', '.join(refusals)}.\n\n")
    for language, text in examples(method, path, scheme, SAMPLES).items():
        parts.append(f"```{language}\n{text}\n```\n\n")
    return "".join(parts)


def _where(place: str, is_required: bool) -> str:
    return f"{place}, required" if is_required else place


def _answer(document: Json, response: Json) -> str:
    schema = response.get("content", {}).get("application/json", {}).get("schema")
    names = _resolved(document, schema).get("properties", {}) if schema else {}
    words = response["description"].rstrip(".")
    return f"{words}: {', '.join(f'`{name}`' for name in names)}." if names else f"{words}."


def _resolved(document: Json, schema: Json) -> Json:
    reference = schema.get("$ref")
    found: Json = document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
    return found


def _type(schema: Json, words: str) -> str:
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    told = next((one["description"] for one in (schema, *options) if "description" in one), "").removeprefix(OF_NAMES)
    kinds = "; or ".join(dict.fromkeys(_kind(one) for one in options))
    return ". ".join(filter(None, (kinds, (words or told).strip(" ."))))


def _kind(schema: Json) -> str:
    if "$ref" in schema:
        return f"object `{schema['$ref'].rpartition('/')[2]}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"] if one is not None)
    kind = schema.get("type", "any")
    names = [kind] if isinstance(kind, str) else [one for one in kind if one != "null"]
    if names == ["array"]:
        return f"array of {_kind(schema.get('items', {}))}{_span(schema, 'minItems', 'maxItems', '')}"
    if names == ["string"]:
        return f"text{_span(schema, 'minLength', 'maxLength', ' characters')}"
    return f"{' or '.join(names)}{_span(schema, 'minimum', 'maximum', '')}"


def _span(schema: Json, least: str, most: str, unit: str) -> str:
    if most not in schema:
        return ""
    high = _number(schema[most])
    return f", {_number(schema[least])} to {high}{unit}" if least in schema else f", at most {high}{unit}"


def _number(value: int) -> str:
    text = str(value)
    return f"10^{len(text) - 1}" if value >= GREAT and text.strip("0") == "1" else text


def _body(value: Any, written: Callable[[Any], str]) -> str:
    """Return a body on one line, or, if that is long, its members on lines of their own."""
    line = written(value)
    if len(line) <= WIDE:
        return line
    return "{\n" + ",\n".join(f"  {_json(name)}: {written(one)}" for name, one in value.items()) + "\n}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _python(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_json(name)}: {_python(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_python, value)) + "]"
    return repr(value) if isinstance(value, bool) or value is None else _json(value)
