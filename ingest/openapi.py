"""/openapi.json, generated from the route table and the structs that validate and render. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec
from aiohttp import hdrs, web

from ingest.bodies import Customer, EventBody, Label, Name, ReservationId, SignupBody, Time
from ingest.dialects.catalog import BY_NAME, DIALECTS
from ingest.middleware import http_response
from ingest.passed_on import PASSED_ON
from ingest.problems import ErrorBody
from ingest.reads.params import GROUPS, OUTCOMES, STATUSES
from ingest.routing import Auth, Operation, Route
from ingest.statements.statement_params import FORMATS
from schemas.commands import Mode
from schemas.invoices import State
from schemas.limits import MAX_LIST
from warehouse.time_range import PERIODS

TITLE = "Rev"
VERSION = "1"
REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"{(\w+)}")
_REFUSALS = {
    "400": "The request is invalid; error names the field.",
    "401": "The credentials are missing or invalid.",
    "402": "A budget or prepaid credit does not allow it; nothing was charged.",
    "403": "The credentials belong to another customer.",
    "404": "Not found.",
    "409": "The request conflicts with what is recorded.",
    "413": "The body is too large.",
    "415": "The body is not JSON, or has an unknown encoding.",
    "429": "The customer has too many events that are not priced yet.",
    "503": "With code not_recorded, nothing was recorded; with code unknown, it may be.",
}
_SCHEMES = {
    Auth.KEY: {"type": "http", "scheme": "bearer", "description": "An API key, rg_…"},
    Auth.ADMIN: {"type": "http", "scheme": "bearer", "description": "The admin token."},
    Auth.CLIENT: {"type": "http", "scheme": "bearer", "description": "An API key, rg_…, as the client sends it."},
}
Json = dict[str, Any]

_ID: Json = {"type": "integer", "minimum": 0}
_PARAMETERS: dict[str, Json] = {
    "event_id": _ID,
    "id": _ID,
    "customer_id": msgspec.json.schema(Customer),
    **dict.fromkeys(("agent_id", "action", "model", "idempotency_key"), msgspec.json.schema(Name)),
    **dict.fromkeys(("from", "to"), msgspec.json.schema(Time)),
    "outcome_id": {
        **msgspec.json.schema(Name),
        "description": "The id of an outcome (oc_ and an event id), or its task_id.",
    },
    "reservation_id": msgspec.json.schema(ReservationId),
    "status": {"enum": list(STATUSES)},
    "state": {"enum": list(get_args(State))},
    "number": {"type": "string", "pattern": r"^INV-[0-9]{6,12}$"},
    "outcome": {"enum": list(OUTCOMES)},
    "period": {"enum": list(PERIODS)},
    "group_by": {"enum": list(GROUPS)},
    "history": {"enum": ["0", "1"]},
    "mode": {"enum": list(get_args(Mode))},
    "preview": {"enum": ["true", "false"]},
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIST},
    "cursor": {"type": "string"},
    "import_id": msgspec.json.schema(Label),
    **dict.fromkeys(("delivery_id", "job_id", "team_id"), msgspec.json.schema(Name)),
    "dialect": {"enum": list(BY_NAME)},
    "path": {"enum": [route.path for dialect in DIALECTS for route in dialect.routes]},
    "month": {"type": "string", "pattern": r"^20[0-9]{2}-(0[1-9]|1[0-2])$"},
    "as_of": msgspec.json.schema(Time),
    "format": {"enum": list(FORMATS)},
    "amount_cents": {"type": "number", "minimum": 0, "maximum": 10**12},
}
"""Schemas of path and query parameters, by name; a name has one meaning everywhere."""


def route(rows: Sequence[Route]) -> Route:
    """Return the route that describes ``rows``, what `rev web` answers, and itself."""
    own = Operation(hdrs.METH_GET, "/openapi.json", "Get this OpenAPI document.", Auth.NONE, {200: None})
    body = msgspec.json.encode(document([*(row.operation for row in rows), own, *PASSED_ON]))

    async def show(request: web.Request) -> web.Response:
        return http_response(body)

    return Route(own, show)


def document(operations: Sequence[Operation]) -> Json:
    """Return the OpenAPI 3.1 document of the operations."""
    types: dict[type, None] = {ErrorBody: None}
    for operation in operations:
        types.update(dict.fromkeys(made for made in (operation.body, *operation.responses.values()) if made))
    references, components = msgspec.json.schema_components(list(types), ref_template=REF)
    for made in {*types, EventBody, SignupBody}:
        if made.__name__ in components:
            _require(components[made.__name__], getattr(made, "REQUIRED", ()))
    schemas = dict(zip(types, references, strict=True))
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {auth.value: scheme for auth, scheme in _SCHEMES.items()},
        },
    }


def _operation(operation: Operation, schemas: Mapping[type, Json]) -> Json:
    made: Json = {
        "summary": operation.summary,
        "operationId": _name(operation),
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": {
            **{str(status): _response(made, schemas, operation.also) for status, made in operation.responses.items()},
            **_refusals(operation, schemas[ErrorBody]),
        },
    }
    if operation.body is not None:
        made["requestBody"] = {"required": True, "content": _json(schemas[operation.body])}
    if operation.auth in _SCHEMES:
        made["security"] = [{operation.auth.value: []}]
    return made


def _require(schema: Json, names: Sequence[str]) -> None:
    """Mark the required fields of a request body, which its struct leaves to the validation."""
    if names:
        schema["required"] = list(names)
    for name in names:
        described = schema["properties"][name]
        described.pop("default", None)
        if "anyOf" in described:
            described["anyOf"] = [option for option in described["anyOf"] if option != {"type": "null"}]
        else:
            described["type"] = [option for option in described["type"] if option != "null"]


def _response(made: type | None, schemas: Mapping[type, Json], also: Sequence[str]) -> Json:
    if made is None:
        return {"description": "Success."}
    summary = (made.__doc__ or made.__name__).strip().splitlines()[0]
    files = {media: {"schema": {"type": "string"}} for media in also}
    return {"description": summary, "content": {**_json(schemas[made]), **files}}


def _refusals(operation: Operation, schema: Json) -> Json:
    if operation.auth is Auth.NONE:
        return {}
    named = {str(status) for status in operation.responses}
    # the clients of other products get refusals in the shape that they know
    content = {} if operation.auth is Auth.CLIENT else {"content": _json(schema)}
    return {status: {"description": words, **content} for status, words in _REFUSALS.items() if status not in named}


def _path_parameters(operation: Operation) -> list[Json]:
    names = _PARAMETER.findall(operation.path)
    return [{"name": name, "in": "path", "required": True, "schema": _PARAMETERS[name]} for name in names]


def _query_parameters(operation: Operation) -> list[Json]:
    return [
        {
            "name": name,
            "in": "query",
            "required": name in operation.required,
            "description": words,
            "schema": _PARAMETERS[name],
        }
        for name, words in operation.query.items()
    ]


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _name(operation: Operation) -> str:
    words = re.findall(r"\w+", operation.path)
    return "_".join([operation.method.lower(), *words])
