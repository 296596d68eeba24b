"""Bodies about outcomes as properties: what is accepted is normalized, anything else is an Invalid."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.outcomes.outcome_requests import (
    Task,
    is_target,
    opened_by,
    outcome_body,
    reason_of,
    resolve_body,
    task_of,
    verdict_of,
)
from ingest.plain_names import check
from ingest.problems import Invalid
from schemas.ids import outcome_id
from schemas.money import MAX_RATE, format_cents
from schemas.objects import iso
from schemas.settings import MAX_TTL

NOW = 1_777_204_800_000


def is_name(text: str) -> bool:
    try:
        check("n", text)
    except Invalid:
        return False
    return True


names = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Z"]), min_size=1, max_size=20).filter(is_name)
objects = st.none() | st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers(), max_size=3)


def tasked(**fields: Any) -> Task:
    good = {"task_id": "t", "agent_id": "a", "price_on_success": 1, "expires_at": "2090-01-01T00:00:00Z"}
    return task_of(outcome_body(json.dumps({**good, **fields}).encode()), NOW)


@given(names, names, st.integers(0, MAX_RATE), st.integers(0, MAX_RATE), st.integers(1, MAX_TTL), objects)
def test_a_task_is_taken_as_it_was_meant(
    task_id: str, agent: str, success: int, failure: int, ahead: int, criteria: Any
) -> None:
    """Exact prices, milliseconds, the sender's own object; a name that no path could hold is refused."""
    fields = {
        "task_id": task_id,
        "agent_id": agent,
        "price_on_success": format_cents(success),
        "price_on_failure": format_cents(failure),
        "expires_at": iso(NOW + ahead),
        "success_criteria": criteria,
    }
    if task_id in (".", "..") or task_id.startswith("oc_"):
        with pytest.raises(Invalid, match="task_id"):
            tasked(**fields)
        return
    task = tasked(**fields)
    assert (task.task_id, task.agent_id, task.expires_at, task.on_expiry) == (task_id, agent, NOW + ahead, "failure")
    assert (task.price_on_success, task.price_on_failure) == (format_cents(success), format_cents(failure))
    assert (json.loads(bytes(task.success_criteria)) if task.success_criteria else None) == criteria
    assert is_target(task_id)


@given(st.one_of(st.integers(max_value=0), st.integers(min_value=MAX_TTL + 1, max_value=2 * MAX_TTL)))
def test_an_expiry_that_is_past_or_too_far_is_refused(ahead: int) -> None:
    """To the millisecond, both ends."""
    at = max(NOW + ahead, 0)
    with pytest.raises(Invalid, match="expires_at"):
        tasked(expires_at=iso(at))


@given(st.sampled_from([None, True, False]), st.sampled_from([None, "success", "failure"]), objects, objects)
def test_both_forms_of_a_verdict_mean_the_same(success: Any, outcome: Any, evidence: Any, metadata: Any) -> None:
    """One form or the other, or both where they agree; else Invalid."""
    body = {"success": success, "outcome": outcome, "evidence": evidence, "metadata": metadata}
    said = {given for given in (success, None if outcome is None else outcome == "success") if given is not None}
    proofs = {json.dumps(proof) for proof in (evidence, metadata) if proof is not None}
    if len(said) != 1 or len(proofs) > 1:
        with pytest.raises(Invalid):
            verdict_of(resolve_body(json.dumps(body).encode()))
        return
    verdict = verdict_of(resolve_body(json.dumps(body).encode()))
    assert {verdict.success} == said
    assert {json.dumps(json.loads(bytes(verdict.evidence)))} == proofs if verdict.evidence else not proofs


@given(st.integers(0, 2**53 - 1))
def test_an_outcome_id_names_what_opened_it(event: int) -> None:
    """There and back."""
    assert opened_by(outcome_id(event)) == event


@pytest.mark.parametrize("text", ["oc_", "oc_01", "oc_-1", "oc_x", "5", "OC_5", "oc_5 ", "oc_" + "9" * 17, "oc_٣"])
def test_what_is_no_outcome_id(text: str) -> None:
    """Only the digits as they were given out."""
    assert opened_by(text) is None


@given(names)
def test_a_reason_is_kept_as_it_is(text: str) -> None:
    """Any text without control characters."""
    assert reason_of(json.dumps({"reason": text}).encode()) == text
