"""Revenium's jobs and budget rules as its clients read them: reports in, resources out. Pure.

What a job's outcome costs is ``outcomeValue`` if it succeeded, else nothing. An amendment is a revision: version 1 of a
job is the outcome whose task is the job's id, version n the one whose task is ``ID#n``. A report is kept whole in the
outcome's criteria and evidence, under MARK.
"""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec

from ingest.dialects.dialect import ClientResponse, decoded
from ingest.json_objects import decoded_object
from ingest.problems import Invalid
from ingest.rates import rate
from schemas.commands import OnExpiry
from schemas.objects import OutcomeObject
from schemas.spending import BudgetObject

MARK = "revenium_job"
"""The key of a report in an outcome's criteria and evidence."""
SUCCESS, FAILED, CANCELLED = "SUCCESS", "FAILED", "CANCELLED"
STATUSES = (SUCCESS, FAILED, CANCELLED)
VERDICTS = {"succeeded": SUCCESS, "failed": FAILED, "expired": CANCELLED}
"""The status of a job whose outcome nobody reported here."""
CURRENCY = "USD"
MAX_REVISIONS = 50
"""Versions of one job's outcome."""
MAX_DIGITS = 40
DIMENSIONS = {"agent": "AGENT", "action": "TASK_TYPE", "model": "MODEL"}
"""The filters of budget rules, by a budget's scope; a budget of a key has none that clients know."""


class OutcomeReport(msgspec.Struct, rename="camel", omit_defaults=True):
    """The body of POST and PATCH …/outcome; what is not named here is ignored."""

    execution_status: str | None = None
    outcome_type: str | None = None
    outcome_value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    outcome_currency: str | None = None
    metadata: str | None = None
    """JSON as text."""
    outcome_reason: str | None = None
    reported_by: str | None = None
    reason: str | None = None
    """Of an amendment."""
    metrics: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    expected_entity_version: int | str | None = None


class NewJob(msgspec.Struct, rename="camel"):
    """The body of POST …/jobs."""

    agentic_job_id: str | None = None
    name: str | None = None
    type: str | None = None
    version: str | None = None


class Revision(NamedTuple):
    """A version of a job's outcome, from 1; ``report`` is None for an outcome that was resolved elsewhere."""

    version: int
    outcome: OutcomeObject
    report: OutcomeReport | None


_decode_report = msgspec.json.Decoder(OutcomeReport).decode
_decode_job = msgspec.json.Decoder(NewJob).decode
_decode_marked = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def report_of(body: bytes) -> OutcomeReport:
    """Return the report of a body. Raises Invalid naming the field."""
    report: OutcomeReport = decoded(body, _decode_report, OutcomeReport)
    if report.outcome_value is not msgspec.UNSET and bytes(report.outcome_value) == b"null":
        report.outcome_value = msgspec.UNSET
    return report


def checked(report: OutcomeReport) -> OutcomeReport:
    """Return a whole report, not larger than what an outcome keeps. Raises Invalid naming the field."""
    if report.execution_status not in STATUSES:
        raise Invalid(f"executionStatus must be one of {', '.join(STATUSES)}")
    if report.outcome_value is not msgspec.UNSET:
        if not report.outcome_type:
            raise Invalid("outcomeType is required with outcomeValue")
        if (report.outcome_currency or CURRENCY).upper() != CURRENCY:
            raise Invalid(f"outcomeCurrency must be {CURRENCY}")
        price_of(report)
    decoded_object("the outcome", bytes(marked(report)))
    return report


def amended(before: OutcomeReport, by: OutcomeReport) -> OutcomeReport:
    """Return the report after an amendment: what it leaves out stays, and an empty text clears."""
    changes = {
        name: value
        for name in (
            "execution_status",
            "outcome_type",
            "outcome_currency",
            "metadata",
            "outcome_reason",
            "reported_by",
        )
        if (value := getattr(by, name)) is not None
    }
    for name in ("outcome_value", "metrics"):
        if getattr(by, name) is not msgspec.UNSET:
            changes[name] = getattr(by, name)
    cleared = {name: value or None for name, value in changes.items()}
    return msgspec.structs.replace(before, reason=by.reason, expected_entity_version=None, **cleared)


def version_of(report: OutcomeReport) -> int | None:
    """Return the version that an amendment expects, or None if it takes any. Raises Invalid."""
    given = report.expected_entity_version
    if given is None:
        return None
    text = str(given)
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise Invalid("expectedEntityVersion must be an integer from 0 on")
    return int(text)


def report_before(last: Revision) -> OutcomeReport:
    """Return what an amendment changes: the last version's report, or one that says how its outcome ended."""
    return last.report or OutcomeReport(execution_status=VERDICTS.get(last.outcome.status, CANCELLED))


def price_of(report: OutcomeReport) -> str:
    """Return what a success costs, in canonical cents: ``outcomeValue`` is in dollars. Raises Invalid."""
    if report.outcome_value is msgspec.UNSET:
        return "0"
    text = bytes(report.outcome_value).decode("utf-8", "replace").strip('"')
    try:
        dollars = Decimal(text) if len(text) <= MAX_DIGITS else None
    except InvalidOperation:
        dollars = None
    if dollars is None or not dollars.is_finite() or abs(dollars.adjusted()) > MAX_DIGITS:
        raise Invalid("outcomeValue must be a number of dollars")
    return rate("outcomeValue in cents", msgspec.Raw(format(dollars.scaleb(2), "f").encode()))


def on_expiry(report: OutcomeReport) -> OnExpiry:
    """Return what an outcome charges that expires before its report has resolved it: the same."""
    return "success" if report.execution_status == SUCCESS else "failure"


def task_of(job: str, version: int) -> str:
    """Return the task of a version of a job's outcome."""
    return job if version == 1 else f"{job}#{version}"


def marked(report: OutcomeReport) -> msgspec.Raw:
    """Return a report as an outcome keeps it."""
    return msgspec.Raw(_encode({MARK: msgspec.structs.replace(report, expected_entity_version=None)}))


def kept_in(outcome: OutcomeObject) -> OutcomeReport | None:
    """Return the report that an outcome keeps, or None."""
    return _marked_in(outcome.evidence) or _marked_in(outcome.success_criteria)  # type: ignore[attr-defined]


def prices_of(first: Revision, report: OutcomeReport) -> tuple[str, str]:
    """Return what success and failure of an amended outcome cost, in canonical cents. An outcome that was registered
    with prices of its own keeps them, whatever value is reported."""
    outcome: Any = first.outcome
    if _marked_in(outcome.success_criteria) is not None:
        return price_of(report), "0"
    return rate("price", outcome.price_on_success_cents), rate("price", outcome.price_on_failure_cents)


def _marked_in(place: msgspec.Raw) -> OutcomeReport | None:
    text = bytes(place)
    if not text.startswith(b"{") or (found := _decode_marked(text).get(MARK)) is None:
        return None
    try:
        report: OutcomeReport = _decode_report(found)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # somebody else's object of this name
    return report


def new_job(body: bytes) -> NewJob:
    """Return the job of a body. Raises Invalid naming the field."""
    job: NewJob = decoded(body, _decode_job, NewJob)
    if not job.agentic_job_id:
        raise Invalid("agenticJobId is required")
    return job


def job_resource(job: str, revisions: Sequence[Revision], more: NewJob | None = None) -> dict[str, Any]:
    """Return a job as clients read it. Its ``entityVersion`` is 0 before the outcome, then the outcome's version."""
    shown: dict[str, Any] = {"id": job, "agenticJobId": job, "label": job, "resourceType": "job"}
    if more is not None:
        shown |= {"name": more.name, "type": more.type, "version": more.version}
    shown |= {"entityVersion": len(revisions), "hasOutcome": bool(revisions)}
    if revisions:
        last = revisions[-1]
        shown |= {**_reported(last), "outcomeReportedAt": revisions[0].outcome.created_at}
        shown["outcomeUpdateCount"] = len(revisions) - 1
    return shown


def history(revisions: Sequence[Revision]) -> list[dict[str, Any]]:
    """Return the versions of an outcome, the report first."""
    return [
        {
            "sequence": one.version - 1,
            **_reported(one),
            "reportedAt": one.outcome.created_at,
            "reason": None if one.report is None else one.report.reason,
        }
        for one in revisions
    ]


def already_reported(job: str, revisions: Sequence[Revision]) -> ClientResponse:
    """Return the 409 of a second report, which says that an amendment is a PATCH."""
    details = {
        "guidance": f"Use PATCH /profitstream/v2/api/jobs/{job}/outcome to amend the outcome",
        "reportedAt": revisions[0].outcome.created_at,
        "updateCount": str(len(revisions) - 1),
    }
    return _error(409, "Conflict", f"Outcome already reported for job {job}", details)


def changed_since(expected: int, current: int) -> ClientResponse:
    """Return the 409 of an amendment to another version; clients read the current one in its message."""
    text = f"Outcome has changed since entity version {expected}; current version is {current}. Refetch and retry."
    return _error(409, "Conflict", text, {"currentEntityVersion": current})


def nothing_to_amend(job: str) -> ClientResponse:
    """Return the 422 of an amendment before a report."""
    return _error(422, "Unprocessable Entity", f"Job {job} has no outcome to amend", None)


def shown(status: int, body: Any) -> ClientResponse:
    """Return a response with a JSON body."""
    return ClientResponse(status, _encode(body))


def rule_of(budget: BudgetObject) -> dict[str, Any] | None:
    """Return a budget as a rule of the circuit breaker, amounts in dollars; None if clients cannot judge its scope."""
    filters = []
    if budget.scope != "all":
        dimension = DIMENSIONS.get(budget.scope)
        if dimension is None:
            return None
        filters = [{"dimension": dimension, "operator": "IS", "value": budget.value}]
    spent, limit = (Decimal(bytes(cents).decode()) for cents in (budget.spent_cents, budget.limit_cents))
    name = " ".join(part for part in (budget.scope, budget.value, budget.period) if part)
    return {
        "ruleId": budget.id,
        "name": name,
        "action": "BLOCK" if budget.hard else "WARN_ONLY",
        "breached": spent >= limit,
        "currentValue": _dollars(spent),
        "threshold": _dollars(limit),
        "windowEnd": budget.period_end,
        "resetsAt": budget.period_end,
        "denyMessage": f"The budget {name!r} is used up",
        "filters": filters,
    }


def _dollars(cents: Decimal) -> msgspec.Raw:
    return msgspec.Raw(format(cents.scaleb(-2), "f").encode())


def _reported(one: Revision) -> dict[str, Any]:
    report = one.report
    if report is None:
        return {"executionStatus": VERDICTS.get(one.outcome.status, CANCELLED)}
    return {
        "executionStatus": report.execution_status,
        "outcomeType": report.outcome_type,
        "outcomeValue": None if report.outcome_value is msgspec.UNSET else report.outcome_value,
        "outcomeCurrency": report.outcome_currency,
        "outcomeMetadata": report.metadata,
        "outcomeReason": report.outcome_reason,
        "reportedBy": report.reported_by,
    }


def _error(status: int, error: str, message: str, details: Any) -> ClientResponse:
    body = {"status": status, "error": error, "message": message, "details": details or {}}
    return ClientResponse(status, _encode(body), headers={"x-should-retry": "false"})
