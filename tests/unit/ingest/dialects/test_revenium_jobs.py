"""Revenium's jobs: reports and amendments charge as outcomes do, and clients read the resources that they know."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from ingest.dialects import job_handlers
from schemas import entries
from schemas.limits import MAX_OBJECT
from tests.unit.ingest.conftest import ADMIN, Answer, Gateway

JOBS = "/profitstream/v2/api/jobs"
SALE = {"executionStatus": "SUCCESS", "outcomeType": "CONVERTED", "outcomeValue": 49.9, "outcomeCurrency": "USD"}


class Jobs:
    """A Revenium client with a write key."""

    def __init__(self, gateway: Gateway, key: str) -> None:
        self.gateway = gateway
        self.key = f"rev_sk_{key}"

    async def call(self, method: str, path: str, body: Any = None) -> Answer:
        return await self.gateway.call(method, path, body, None, x_api_key=self.key, Content_Type="application/json")

    async def report(self, job: str, **more: Any) -> Answer:
        return await self.call("POST", f"{JOBS}/{job}/outcome?teamId=t", {**SALE, **more})

    async def amend(self, job: str, **changes: Any) -> Answer:
        self.gateway.settle()
        return await self.call("PATCH", f"{JOBS}/{job}/outcome?teamId=t", changes)

    async def history(self, job: str) -> Any:
        return (await self.call("GET", f"{JOBS}/{job}/outcome/history?teamId=t")).json

    def charged(self) -> Decimal:
        """What all entries add up to, in cents."""
        records = [entries.decode(written) for written in self.gateway.log.entries]
        return sum((Decimal(entry.total) for record in records for entry in record.entries), Decimal(0))


@pytest.fixture
def jobs(gateway: Gateway, key: str) -> Jobs:
    return Jobs(gateway, key)


async def test_a_success_charges_its_value_once(jobs: Jobs) -> None:
    made = await jobs.call("POST", f"{JOBS}?teamId=t", {"agenticJobId": "job-1", "name": "Sale", "type": "sales"})
    assert (made.status, made.json["entityVersion"], made.json["hasOutcome"]) == (201, 0, False)
    reported = await jobs.report("job-1", metadata='{"crm": "x"}')
    assert (reported.status, reported.json["entityVersion"]) == (201, 1)
    assert jobs.charged() == 4990
    again = await jobs.report("job-1")
    assert again.status == 409 and "PATCH" in again.json["details"]["guidance"]
    assert (again.json["details"]["updateCount"], again.headers["x-should-retry"]) == ("0", "false")
    assert jobs.charged() == 4990
    shown = (await jobs.call("GET", f"{JOBS}/job-1")).json
    assert {name: shown[name] for name in ("hasOutcome", "outcomeUpdateCount", "executionStatus")} == {
        "hasOutcome": True,
        "outcomeUpdateCount": 0,
        "executionStatus": "SUCCESS",
    }
    assert (shown["outcomeValue"], shown["outcomeCurrency"], shown["outcomeType"]) == (
        Decimal("49.9"),
        "USD",
        "CONVERTED",
    )
    assert (shown["outcomeMetadata"], shown["outcomeReason"]) == ('{"crm": "x"}', None)


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
async def test_what_did_not_succeed_costs_nothing(jobs: Jobs, status: str) -> None:
    reported = await jobs.report("job-1", executionStatus=status, outcomeReason="no answer")
    assert reported.status == 201
    assert jobs.charged() == 0
    assert (await jobs.history("job-1"))[0]["executionStatus"] == status


async def test_amendments_charge_the_last_version_alone(jobs: Jobs) -> None:
    """Another value, a failure, a success again: after each, the sum is what the last version costs."""
    await jobs.report("job-1")
    changed = await jobs.amend("job-1", outcomeValue=60, expectedEntityVersion=1, reason="upsell")
    assert (changed.status, changed.json["entityVersion"], changed.json["outcomeUpdateCount"]) == (200, 2, 1)
    assert jobs.charged() == 6000
    failed = await jobs.amend("job-1", executionStatus="FAILED", expectedEntityVersion=2)
    assert (failed.status, jobs.charged()) == (200, 0)
    won = await jobs.amend("job-1", executionStatus="SUCCESS", outcomeType="")
    assert (won.status, won.json["error"]) == (400, "invalid_request")  # a value needs a type
    won = await jobs.amend("job-1", executionStatus="SUCCESS")
    assert (won.json["entityVersion"], jobs.charged()) == (4, 6000)
    rows = await jobs.history("job-1")
    assert [(row["sequence"], row["executionStatus"], row["outcomeValue"], row["reason"]) for row in rows] == [
        (0, "SUCCESS", Decimal("49.9"), None),
        (1, "SUCCESS", 60, "upsell"),
        (2, "FAILED", 60, None),
        (3, "SUCCESS", 60, None),
    ]


async def test_an_amendment_of_another_version_changes_nothing(jobs: Jobs) -> None:
    early = await jobs.amend("job-1", outcomeValue=1)
    assert (early.status, early.json["error"]) == (422, "Unprocessable Entity")
    await jobs.report("job-1")
    stale = await jobs.amend("job-1", outcomeValue=1, expectedEntityVersion=0)
    assert stale.status == 409
    assert "current version is 1." in stale.json["message"] and jobs.charged() == 4990


async def test_two_amendments_of_one_version_are_one(jobs: Jobs) -> None:
    await jobs.report("job-1")
    jobs.gateway.settle()
    both = await asyncio.gather(
        *(
            jobs.call("PATCH", f"{JOBS}/job-1/outcome", {"outcomeValue": value, "expectedEntityVersion": 1})
            for value in (10, 20)
        )
    )
    assert sorted(answer.status for answer in both) == [200, 409]
    assert jobs.charged() in (1000, 2000)


async def test_a_report_that_broke_off_is_finished_by_the_next_request(jobs: Jobs, monkeypatch: Any) -> None:
    async def breaks(*_: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(job_handlers.CustomerJobs, "resolve", breaks)
        assert (await jobs.report("job-1")).status == 500
    assert jobs.charged() == 0
    assert (await jobs.report("job-1", outcomeValue=1)).status == 409
    assert jobs.charged() == 4990


async def test_a_report_that_nobody_finishes_charges_by_itself(jobs: Jobs, monkeypatch: Any) -> None:
    async def breaks(*_: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(job_handlers.CustomerJobs, "resolve", breaks)
        await jobs.report("job-1")
    jobs.gateway.now += job_handlers.RESOLVED_WITHIN
    shown = (await jobs.call("GET", f"{JOBS}/job-1")).json
    assert (shown["executionStatus"], jobs.charged()) == ("SUCCESS", 4990)


async def test_an_amendment_that_broke_off_can_be_sent_again(jobs: Jobs, monkeypatch: Any) -> None:
    """Between the void and the new charge the job costs nothing, never both."""

    async def breaks(*_: Any) -> None:
        raise ConnectionError

    await jobs.report("job-1")
    with monkeypatch.context() as patched:
        patched.setattr(job_handlers.CustomerJobs, "register", breaks)
        assert (await jobs.amend("job-1", outcomeValue=60, expectedEntityVersion=1)).status == 500
    assert jobs.charged() == 0
    assert (await jobs.amend("job-1", outcomeValue=60, expectedEntityVersion=1)).status == 200
    assert jobs.charged() == 6000


async def test_an_amendment_waits_for_the_ledger(jobs: Jobs, monkeypatch: Any) -> None:
    monkeypatch.setattr(job_handlers, "LEDGER_PAUSE", 0)
    await jobs.report("job-1")
    answer = await jobs.call("PATCH", f"{JOBS}/job-1/outcome", {"outcomeValue": 1})
    assert (answer.status, jobs.charged()) == (503, 4990)


async def test_a_task_registered_with_prices_keeps_them(jobs: Jobs, key: str) -> None:
    task = {
        "task_id": "job-1",
        "agent_id": "a",
        "price_on_success": 300,
        "price_on_failure": 7,
        "expires_at": "2026-05-01T00:00:00Z",
    }
    assert (await jobs.gateway.call("POST", "/v1/outcomes", task, key)).status == 201
    assert (await jobs.call("GET", f"{JOBS}/job-1")).json["hasOutcome"] is False
    assert (await jobs.report("job-1")).status == 201
    assert jobs.charged() == 300
    assert (await jobs.amend("job-1", executionStatus="FAILED", outcomeValue=1)).status == 200
    assert jobs.charged() == 7


async def test_an_outcome_resolved_elsewhere_is_reported_already(jobs: Jobs, key: str) -> None:
    task = {"task_id": "job-1", "agent_id": "a", "price_on_success": 300, "expires_at": "2026-05-01T00:00:00Z"}
    await jobs.gateway.call("POST", "/v1/outcomes", task, key)
    await jobs.gateway.call("POST", "/v1/outcomes/job-1/resolve", {"success": True}, key)
    assert (await jobs.report("job-1")).status == 409
    assert (await jobs.history("job-1"))[0]["executionStatus"] == "SUCCESS"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"executionStatus": "DONE"}, "executionStatus must be one of SUCCESS, FAILED, CANCELLED"),
        ({"executionStatus": None}, "executionStatus must be one of SUCCESS, FAILED, CANCELLED"),
        ({"outcomeType": None}, "outcomeType is required with outcomeValue"),
        ({"outcomeCurrency": "EUR"}, "outcomeCurrency must be USD"),
        ({"outcomeValue": -1}, "outcomeValue in cents must not be negative"),
        ({"outcomeValue": "1e5"}, None),
        ({"outcomeValue": "NaN"}, "outcomeValue must be a number of dollars"),
        ({"outcomeValue": "1e999999"}, "outcomeValue must be a number of dollars"),
        ({"outcomeValue": [1]}, "outcomeValue must be a number of dollars"),
        ({"outcomeValue": 0.30000000000000004}, "outcomeValue in cents must"),
    ],
)
async def test_bad_reports_record_nothing(jobs: Jobs, changes: dict[str, Any], error: str | None) -> None:
    before = len(jobs.gateway.log.entries)
    answer = await jobs.report("job-1", **changes)
    if error is None:
        assert (answer.status, jobs.charged()) == (201, 10_000_000)
        return
    assert answer.status == 400 and answer.json["message"].startswith(error), answer.text
    assert len(jobs.gateway.log.entries) == before


async def test_a_platform_key_finds_the_customer_of_the_job(gateway: Gateway) -> None:
    """By the calls that named the job; by the query if these are of several customers or of none."""
    jobs = Jobs(gateway, await gateway.make_key("*"))
    early = await jobs.report("job-1")
    assert (early.status, early.json["message"]) == (404, "no call with agenticJobId 'job-1' is in the ledger yet")
    assert (await jobs.call("POST", f"{JOBS}/job-9/outcome?customer_id=acme-corp", SALE)).status == 201
    call = {"model": "m", "provider": "OPENAI", "taskType": "completion", "inputTokenCount": 0}
    for number, customer in enumerate(("acme-corp", "acme-corp", "zeta"), 1):
        sent = {**call, "transactionId": f"t{number}", "organizationName": customer, "agenticJobId": "job-1"}
        assert (await jobs.call("POST", "/meter/v2/ai/completions", sent)).status == 201
        gateway.settle()
        if number == 2:
            assert (await jobs.report("job-1")).status == 201
            assert {row.customer_id for row in gateway.ledger.rows if row.kind == "charge"} <= {"acme-corp"}
    several = await jobs.call("GET", f"{JOBS}/job-1")
    assert several.json["message"] == "job_id must be of one customer; add ?customer_id= to the path"
    assert (await jobs.call("GET", f"{JOBS}/job-1?customer_id=acme-corp")).json["hasOutcome"] is True
    assert (await jobs.call("GET", "/v2/api/ai/enforcement-rules/t")).json == {"rules": []}
    teams = (await jobs.call("GET", "/profitstream/v2/api/teams?tenantId=x")).json
    assert teams["_embedded"]["teamResourceList"][0]["id"] == "rev"


async def test_no_key_and_no_job(gateway: Gateway, jobs: Jobs) -> None:
    assert (await gateway.call("GET", f"{JOBS}/job-1")).status == 401
    assert (await jobs.call("GET", f"{JOBS}/types")).status == 404
    assert (await jobs.call("POST", f"{JOBS}/oc_1/outcome", SALE)).status == 400
    assert (await jobs.call("POST", JOBS, {})).json["message"] == "agenticJobId is required"


async def test_budgets_are_rules(jobs: Jobs, key: str) -> None:
    assert (await jobs.call("GET", "/v2/api/ai/enforcement-rules/team-1")).json == {"rules": []}
    for scope, value, hard in (("agent", "copilot", True), ("all", None, False), ("key", "1", True)):
        budget = {"customer_id": "acme-corp", "scope": scope, "value": value, "period": "month", "limit_cents": 100}
        made = await jobs.gateway.call("POST", "/api/admin/budgets", {**budget, "hard": hard}, ADMIN)
        assert made.status == 201, made.text
    event = {"agent_id": "copilot", "action": "completion", "tokens": 350_000}
    assert (await jobs.gateway.call("POST", "/v1/meter", {**event, "tokens": 300_000}, key)).status == 201
    rules = (await jobs.call("GET", "/profitstream/v2/api/ai/enforcement-rules/team-1")).json["rules"]
    assert [(rule["name"], rule["action"], rule["breached"], rule["threshold"]) for rule in rules] == [
        ("agent copilot month", "BLOCK", False, 1),
        ("all month", "WARN_ONLY", False, 1),
    ]
    assert rules[0]["filters"] == [{"dimension": "AGENT", "operator": "IS", "value": "copilot"}]
    assert 0 < rules[0]["currentValue"] < 1 and rules[0]["windowEnd"] == "2026-05-01T00:00:00.000Z"
    await jobs.gateway.call("POST", "/v1/meter", event, key)
    rules = (await jobs.call("GET", "/v2/api/ai/enforcement-rules/team-1")).json["rules"]
    assert [rule["breached"] for rule in rules] == [False, False]


async def test_a_report_is_as_small_as_what_an_outcome_keeps(jobs: Jobs) -> None:
    """Since it is kept twice, in the log and in the shard's state."""
    large = await jobs.report("job-1", metadata="x" * MAX_OBJECT)
    assert (large.status, large.json["message"]) == (400, f"the outcome must be at most {MAX_OBJECT} bytes")
    deep = await jobs.report("job-1", metrics=json.loads("[" * 200 + "]" * 200))
    assert deep.status == 400 and "nested at most" in deep.json["message"]
    assert jobs.charged() == 0 and await jobs.history("job-1") == []
    assert (await jobs.report("job-1", metadata="x" * 10_000)).status == 201
    assert (await jobs.amend("job-1", outcomeReason="x" * 10_000)).status == 400
    assert jobs.charged() == 4990
