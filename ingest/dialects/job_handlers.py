"""Revenium's jobs over HTTP: a job's outcome is one of Rev's, and an amendment takes its charge back and makes another.

Nothing of a job is kept but its outcomes, so every job id is a job. All that happens is registrations, verdicts and
voids in the customer's shard. An amendment voids the charge of the version before, registers its own and resolves it,
in this order: if it breaks off, the job costs nothing until the amendment is sent again, never twice. A version that
was registered and not resolved is resolved by the next request, or charges the same when it expires.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import hdrs, web

from ingest import metrics
from ingest.auth import PLATFORM, customer_of, key_with, mode_of
from ingest.command_log import outcome_reply
from ingest.context import Context
from ingest.dialects import revenium_jobs as jobs
from ingest.dialects.dialect import ClientResponse
from ingest.dialects.dialect_handlers import answering
from ingest.dialects.revenium import AGENT, REVENIUM
from ingest.dialects.revenium_jobs import OutcomeReport, Revision
from ingest.new_customers import admit
from ingest.outcomes.outcome_handlers import outcome_shown
from ingest.outcomes.outcome_requests import check_task
from ingest.outcomes.voids import ON_ITS_WAY, closing_of, void_entry
from ingest.problems import Decided, Invalid, MaybeRecorded, NotFound, Problem, Unanswered
from ingest.request_body import body_of
from ingest.routing import Auth, Operation, Route
from schemas.commands import ReadBudgets, ReadOutcome, Register, Resolve, encode
from schemas.config import ApiKey
from schemas.limits import MAX_BODY
from schemas.objects import OutcomeObject, decode_outcome
from schemas.spending import BudgetList

JOBS = "/profitstream/v2/api/jobs"
RULES = "/v2/api/ai/enforcement-rules/{team_id}"
RESOLVED_WITHIN = 600_000
"""Ms after which a version that nobody resolved charges by itself what its report says."""
LEDGER_TRIES, LEDGER_PAUSE = 40, 0.1
"""How often an amendment looks for the charge that it takes back in the ledger, and the seconds between."""
RESERVED = ("types", "conversion-funnel")
"""Paths below JOBS that are no jobs."""
REASON = "job outcome amended"
_decode_budgets = msgspec.json.Decoder(BudgetList).decode

Respond = Callable[["CustomerJobs", web.Request], Awaitable[ClientResponse]]


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    one = JOBS + "/{job_id}"
    outcome = one + "/outcome"
    get, post, patch = hdrs.METH_GET, hdrs.METH_POST, hdrs.METH_PATCH
    table: tuple[tuple[str, str, str, Respond, tuple[int, ...]], ...] = (
        (post, JOBS, "Accept a job that a Revenium client makes; every id is a job.", _make, (201,)),
        (get, one, "Show a job to a Revenium client.", _show, (200,)),
        (post, outcome, "Charge a job's outcome that a Revenium client reports.", _report, (201,)),
        (patch, outcome, "Amend a job's outcome, and what it costs.", _amend, (200,)),
        (get, outcome + "/history", "Show the versions of a job's outcome to a Revenium client.", _history, (200,)),
        (get, "/profitstream/v2/api/teams", "Name the team that Revenium clients ask for.", _teams, (200,)),
        (get, RULES, "Show budgets as the rules of Revenium's circuit breaker.", _rules, (200,)),
        (get, "/profitstream" + RULES, "Show budgets as the rules of Revenium's circuit breaker.", _rules, (200,)),
    )
    return [
        Route(
            Operation(method, path, summary, auth=Auth.CLIENT, responses=dict.fromkeys(statuses)),
            _handler(context, respond),
        )
        for method, path, summary, respond, statuses in table
    ]


def _handler(context: Context, respond: Respond) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def run(request: web.Request) -> ClientResponse:
        key = key_with(context, REVENIUM.secret(request.headers), REVENIUM.key_header)
        named = request.query.get("customer_id") or await _customer_of_job(context, key, request)
        return await respond(CustomerJobs(context, key, named), request)

    return answering(REVENIUM, run)


async def _customer_of_job(context: Context, key: ApiKey, request: web.Request) -> str | None:
    """Return the customer of the calls that named the job in the path, for a platform key.

    Raises NotFound while the ledger has none; clients ask again, since jobs also come late in the product that they
    were made for. Raises Invalid if the job is of several customers.
    """
    job = request.match_info.get("job_id")
    if key.customer_id != PLATFORM or job is None:
        return None
    since = context.clock() - context.settings.idempotency_window
    found = await context.ledger().task_customers(job, True if key.test else None, since)
    if not found:
        raise NotFound(f"no call with agenticJobId {job!r} is in the ledger yet")
    if len(found) > 1:
        raise Invalid("job_id must be of one customer; add ?customer_id= to the path")
    return found[0]


class CustomerJobs:
    """The outcomes of the jobs of one customer and mode, as a request with this key sees them."""

    def __init__(self, context: Context, key: ApiKey, named: str | None) -> None:
        self._context = context
        self.key = key
        self._named = named

    @property
    def id(self) -> str:
        """The customer. Raises Invalid or Forbidden."""
        return customer_of(self._context, self.key, self._named)

    async def body(self, request: web.Request) -> bytes:
        """Return the request's body. The key is checked again after it."""
        found = await body_of(request, MAX_BODY)
        key_with(self._context, REVENIUM.secret(request.headers), REVENIUM.key_header)
        return found

    async def revisions(self, job: str) -> list[Revision]:
        """Return the versions of a job's outcome, all of them resolved if their reports are here."""
        found: list[Revision] = []
        while len(found) < jobs.MAX_REVISIONS:
            version = len(found) + 1
            outcome = await self._outcome(jobs.task_of(job, version))
            if outcome is None:
                break
            report = jobs.kept_in(outcome)
            if outcome.status == "pending" and report is not None:
                outcome = await self.resolve(job, version, report)
            found.append(Revision(version, outcome, report))
        # an outcome that is registered and awaits its verdict has no report yet
        return [] if found and found[0].outcome.status == "pending" else found

    async def register(self, job: str, version: int, report: OutcomeReport, prices: tuple[str, str]) -> bool:
        """Register a version; False if it is there already."""
        context, mode = self._context, mode_of(self._context, self.key, self.id)
        await admit(context, self.key, self.id)
        command = Register(
            customer_id=self.id,
            api_key_id=self.key.id,
            task_id=jobs.task_of(job, version),
            agent_id=AGENT,
            expires_at=context.clock() + RESOLVED_WITHIN,
            idempotency_window=context.settings.idempotency_window,
            on_expiry=jobs.on_expiry(report),
            test=mode == "test",
            mode=mode,
            success_criteria=jobs.marked(report),
            price_on_success=prices[0],
            price_on_failure=prices[1],
        )
        try:
            await self._decided(encode(command))
        except Decided as refused:
            if refused.code == "task_exists":
                return False
            raise
        return True

    async def resolve(self, job: str, version: int, report: OutcomeReport) -> OutcomeObject:
        """Resolve a version as its report says, and return it as it is now."""
        task = jobs.task_of(job, version)
        command = Resolve(
            customer_id=self.id,
            api_key_id=self.key.id,
            target=task,
            success=report.execution_status == jobs.SUCCESS,
            idempotency_window=self._context.settings.idempotency_window,
            evidence=jobs.marked(report),
            mode=mode_of(self._context, self.key, self.id),
        )
        try:
            await self._decided(encode(command))
        except Decided as refused:
            if refused.code not in ("outcome_closed", "outcome_expired"):
                raise
        outcome = await self._outcome(task)
        assert outcome is not None
        return outcome

    async def take_back(self, outcome: OutcomeObject) -> None:
        """Void an outcome's charge, once. Raises Unanswered while the ledger does not have it."""
        if outcome.voided or bytes(outcome.charge_cents) == b"0":
            return
        for _ in range(LEDGER_TRIES):
            entry = await closing_of(self._context, self.id, outcome.event_id)
            if entry is not None:
                await void_entry(self._context, entry, REASON, f"key {self.key.id}")
                return
            await asyncio.sleep(LEDGER_PAUSE)
        raise Unanswered(ON_ITS_WAY)

    async def rules(self) -> list[dict[str, Any]]:
        """Return the customer's budgets as rules; a platform key that names no customer has none."""
        if self.key.customer_id == PLATFORM and self._named is None:
            return []
        command = ReadBudgets(self.id, mode=mode_of(self._context, self.key, self.id))
        reply = await self._context.submitter.read(self.id, encode(command))
        return [rule for one in _decode_budgets(reply.result).budgets if (rule := jobs.rule_of(one)) is not None]

    async def _outcome(self, task: str) -> OutcomeObject | None:
        command = ReadOutcome(self.id, task, mode_of(self._context, self.key, self.id))
        try:
            reply = await self._context.submitter.read(self.id, encode(command))
        except Decided as refused:
            if refused.status == 404:
                return None
            raise
        found: OutcomeObject = decode_outcome(await outcome_shown(self._context, self.id, reply))
        return found

    async def _decided(self, command: bytes) -> None:
        """Append a command and await its decision. Raises MaybeRecorded without one, and as CommandLog.decide does."""
        submitted = await self._context.submitter.decide(self.id, command, True)
        if submitted.reply is None:
            raise MaybeRecorded("the outcome is recorded but not decided yet; send it again")
        outcome_reply(submitted.reply)


async def _make(customer: CustomerJobs, request: web.Request) -> ClientResponse:
    job = jobs.new_job(await customer.body(request))
    assert job.agentic_job_id is not None
    check_task(job.agentic_job_id)
    return jobs.shown(201, jobs.job_resource(job.agentic_job_id, await customer.revisions(job.agentic_job_id), job))


async def _show(customer: CustomerJobs, request: web.Request) -> ClientResponse:
    job = _job(request)
    return jobs.shown(200, jobs.job_resource(job, await customer.revisions(job)))


async def _report(customer: CustomerJobs, request: web.Request) -> ClientResponse:
    job = _job(request)
    report = jobs.checked(jobs.report_of(await customer.body(request)))
    if not await customer.register(job, 1, report, (jobs.price_of(report), "0")):
        there = await customer.revisions(job)
        if there:
            return jobs.already_reported(job, there)
    # also one that was registered with prices of its own, and awaits this verdict
    outcome = await customer.resolve(job, 1, report)
    kept = jobs.kept_in(outcome)
    if kept is None:
        return jobs.already_reported(job, [Revision(1, outcome, None)])
    metrics.DIALECT_EVENTS.labels(REVENIUM.name, "recorded").inc()
    return jobs.shown(201, jobs.job_resource(job, [Revision(1, outcome, kept)]))


async def _amend(customer: CustomerJobs, request: web.Request) -> ClientResponse:
    job = _job(request)
    by = jobs.report_of(await customer.body(request))
    there = await customer.revisions(job)
    if not there:
        return jobs.nothing_to_amend(job)
    expected = jobs.version_of(by)
    if expected not in (None, len(there)):
        return jobs.changed_since(expected, len(there))
    if len(there) == jobs.MAX_REVISIONS:
        raise Problem(f"a job's outcome may have at most {jobs.MAX_REVISIONS} versions")
    report = jobs.checked(jobs.amended(jobs.report_before(there[-1]), by))
    version = len(there) + 1
    await customer.take_back(there[-1].outcome)
    if not await customer.register(job, version, report, jobs.prices_of(there[0], report)):
        return jobs.changed_since(len(there) if expected is None else expected, len(await customer.revisions(job)))
    outcome = await customer.resolve(job, version, report)
    metrics.DIALECT_EVENTS.labels(REVENIUM.name, "recorded").inc()
    return jobs.shown(200, jobs.job_resource(job, [*there, Revision(version, outcome, report)]))


async def _history(customer: CustomerJobs, request: web.Request) -> ClientResponse:
    return jobs.shown(200, jobs.history(await customer.revisions(_job(request))))


async def _teams(customer: CustomerJobs, request: web.Request) -> ClientResponse:
    id = customer.key.customer_id if customer.key.customer_id != PLATFORM else "rev"
    return jobs.shown(200, {"_embedded": {"teamResourceList": [{"id": id, "label": id, "resourceType": "team"}]}})


async def _rules(customer: CustomerJobs, request: web.Request) -> ClientResponse:
    return jobs.shown(200, {"rules": await customer.rules()})


def _job(request: web.Request) -> str:
    job = request.match_info["job_id"]
    if job in RESERVED:
        raise NotFound("Rev has no lists of job types and no conversion funnel")
    check_task(job)
    return job
