"""Turns bodies into commands about outcomes, refusing everything that can be refused without state. Pure."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from ingest import plain_names
from ingest.bodies import OutcomeBody, ResolveBody, VoidBody, VoidsBody
from ingest.json_objects import json_object
from ingest.problems import Invalid
from ingest.rates import rate
from ingest.validation import checked_reason, decode, expiry, has_control
from schemas.commands import OnExpiry
from schemas.limits import MAX_EVENTS, MAX_NAME
from schemas.outcome_terms import PRICES, TERMS, Kind, Term, Terms
from schemas.raw_json import EMPTY

OUTCOME_PREFIX = "oc_"
"""Prefix of outcome ids; no task id may begin with it."""
DOTS = (".", "..")
"""Path segments that every HTTP client removes."""
_body = msgspec.json.Decoder(OutcomeBody).decode
_resolve = msgspec.json.Decoder(ResolveBody).decode
_void = msgspec.json.Decoder(VoidBody).decode
_voids = msgspec.json.Decoder(VoidsBody).decode
_event = re.compile(r"oc_(0|[1-9][0-9]{0,15})").fullmatch


class Task(Terms, frozen=True):
    """A task to register: prices as canonical cents, ``expires_at`` in ms UTC."""

    task_id: str
    agent_id: str
    expires_at: int
    on_expiry: OnExpiry


class Verdict(NamedTuple):
    """The verdict of a resolve, in whichever form it was given."""

    success: bool
    evidence: msgspec.Raw


def outcome_body(body: bytes) -> OutcomeBody:
    """Decode the body of POST /v1/outcomes. Raises Invalid."""
    made: OutcomeBody = decode(body, _body, OutcomeBody)
    return made


def resolve_body(body: bytes) -> ResolveBody:
    """Decode the body of a resolve. Raises Invalid."""
    made: ResolveBody = decode(body, _resolve, ResolveBody)
    return made


def reason_of(body: bytes) -> str:
    """Return the reason of a void. Raises Invalid."""
    made: VoidBody = decode(body, _void, VoidBody)
    return checked_reason(made.reason)


def voids_body(body: bytes) -> tuple[list[int], str]:
    """Return the ids to void, each once, and the reason. Raises Invalid."""
    made: VoidsBody = decode(body, _voids, VoidsBody)
    ids = made.event_ids or []
    if not 1 <= len(ids) <= MAX_EVENTS:
        raise Invalid(f"event_ids is required: a list of 1 to {MAX_EVENTS} ids")
    return list(dict.fromkeys(ids)), checked_reason(made.reason)


def task_of(body: OutcomeBody, now: int, repeats: int = 0) -> Task:
    """Return the task to register; ``now`` in ms UTC, ``repeats`` as in ingest.validation.expiry.

    Raises Invalid naming the field.
    """
    if body.task_id is None:
        raise Invalid("task_id is required")
    check_task(body.task_id)
    if body.agent_id is None:
        raise Invalid("agent_id is required")
    plain_names.check("agent_id", body.agent_id)
    plain_names.check("idempotency_key", body.idempotency_key)
    terms: dict[str, Any] = {term.name: _price(term, getattr(body, term.name)) for term in PRICES}
    if body.expires_at is None:
        raise Invalid("expires_at is required")
    expires_at = expiry(body.expires_at, now, repeats)
    terms |= {one.name: CHECKED[one.kind](one.name, getattr(body, one.name)) for one in TERMS if one.kind in CHECKED}
    return Task(
        task_id=body.task_id,
        agent_id=body.agent_id,
        expires_at=expires_at,
        on_expiry=body.on_expiry or "failure",
        **terms,
    )


def verdict_of(body: ResolveBody) -> Verdict:
    """Return the verdict from either form of the body, or from both if they agree. Raises Invalid."""
    plain_names.check("idempotency_key", body.idempotency_key)
    success = None if body.outcome is None else body.outcome == "success"
    if body.success is not None:
        if success is not None and success != body.success:
            raise Invalid("success and outcome must not contradict each other")
        success = body.success
    if success is None:
        raise Invalid("success is required: true or false (or outcome: success or failure)")
    evidence, metadata = _object("evidence", body.evidence), _object("metadata", body.metadata)
    if evidence and metadata and bytes(evidence) != bytes(metadata):
        raise Invalid("evidence and metadata must be equal; send only one of them")
    return Verdict(success, evidence or metadata)


def is_target(text: str) -> bool:
    """True if the text could address an outcome, by the id of its task or its own."""
    return 1 <= len(text) <= MAX_NAME and not has_control(text)


def opened_by(outcome_id: str) -> int | None:
    """Return the event id of what opened the outcome, or None if the text is not an outcome id."""
    match = _event(outcome_id)
    return int(match[1]) if match else None


def check_task(task_id: str) -> None:
    """Raise Invalid for a task_id that no outcome can have."""
    plain_names.check("task_id", task_id)
    if task_id.startswith(OUTCOME_PREFIX):
        raise Invalid(f"task_id must not begin with {OUTCOME_PREFIX}; ids of outcomes do")
    if task_id in DOTS:
        raise Invalid("task_id must not be . or ..; a URL path cannot contain them")


def _price(term: Term, given: msgspec.Raw | UnsetType) -> str:
    if term.required and (given is UNSET or bytes(given) == b"null"):
        raise Invalid(f"{term.name} is required")
    return rate(term.name, given)


def _text(name: str, given: str | None) -> str | None:
    plain_names.check(name, given)
    return given


def _object(name: str, given: msgspec.Raw | UnsetType) -> msgspec.Raw:
    return EMPTY if given is UNSET else json_object(name, given)


CHECKED: dict[Kind, Callable[[str, Any], Any]] = {"text": _text, "json": _object}
"""For each kind of term but prices: the value that is kept of what a body holds. Raises Invalid."""
