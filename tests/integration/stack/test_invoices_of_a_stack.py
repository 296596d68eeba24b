"""Invoices of a whole `rev up`: equal to independent SQL, made once, and there again after a kill -9."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from bench.running_stack import RunningStack
from schemas.limits import HOUR
from schemas.months import month_of, month_range
from schemas.objects import iso
from tests.integration.collector.closed_months import closed_month
from tests.integration.reads.test_reads_of_a_stack import Api

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]
ALL = "/api/admin/invoices"


@pytest.fixture
def stack(running: RunningStack) -> dict[str, Any]:
    """What the `stack` fixture of other packages is, of this package's stack."""
    return {**running.run, "data": running.data, "admin_token": running.admin_token}


@pytest.fixture
async def api(stack: dict[str, Any]) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        yield Api(session, stack)


async def test_a_month_is_invoiced_once(api: Api, stack: dict[str, Any], eventually: Eventually) -> None:
    """Late events are on it, test events are not; a repeat and a new owner change nothing."""
    month = closed_month()
    end = month_range(month).end
    key = await api.key("invoice-acme")
    status, test = await api.call(
        "POST", "/api/admin/api-keys", api.admin, {"customer_id": "invoice-acme", "test": True}
    )
    assert status == 201
    event = {"agent_id": "a", "action": "chat", "tokens": 2401, "outcome": "success", "timestamp": iso(end - 1000)}
    for secret, count in ((key, 75), (test["api_key"], 5)):
        assert (await api.call("POST", "/v1/meter/batch", secret, {"events": [event] * count}))[0] == 201
    run = {"month": month, "dry_run": True}

    async def shows_all() -> bool:
        _, found = await api.call("POST", ALL + "/run", api.admin, run)
        return any(one["customer_id"] == "invoice-acme" and one["entries"] == 75 for one in found.get("largest", ()))

    await eventually(shows_all)
    dry = await asked(stack, "--month", month, "--dry-run")
    assert re.search(r"^draft +\d+ cents \(\S+ exact\)  invoice-acme$", dry, re.MULTILINE)
    assert re.search(rf"^{month}: there would be \d+ invoices of \d+ cents in all$", dry, re.MULTILINE)
    _, page = await api.call("GET", f"{ALL}?customer_id=invoice-acme", api.admin)
    assert page == {"invoices": [], "next_cursor": None}
    made = await api.call("POST", ALL + "/run", api.admin, {"month": month})
    assert made[0] == 200 and await api.call("POST", ALL + "/run", api.admin, {"month": month}) == made
    _, page = await api.call("GET", "/v1/invoices", key)
    (invoice,) = page["invoices"]
    sql = "SELECT toString(sum(total_cents)) FROM rev.entries WHERE customer_id = 'invoice-acme' AND NOT test"
    user, password = stack["analyst"]
    headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
    async with api.session.post(str(stack["clickhouse"]), data=sql, headers=headers) as answer:
        assert Decimal((await answer.text()).strip()) == invoice["lines_cents"] > 0
    assert invoice["total_cents"] + invoice["carried_out_cents"] == invoice["lines_cents"]
    number = invoice["number"]
    line = (
        f"{number}  +{invoice['total_cents']} cents \\({re.escape(str(invoice['lines_cents']))} exact\\)  invoice-acme"
    )
    assert re.search(f"^{line}$", await asked(stack, "--month", month), re.MULTILINE)
    _, shown = await api.call("GET", f"/v1/invoices/{number}", key)
    assert sum(line["amount_cents"] for line in shown["lines"]) == invoice["lines_cents"]
    payment = {"reference": "wire 1", "amount_cents": 1}
    status, paid = await api.call("POST", f"{ALL}/{number}/payments", api.admin, payment)
    assert (status, paid["paid_cents"]) == (200, 1)
    await kill_the_collector(stack, eventually)

    async def is_back() -> bool:
        return (await api.call("POST", f"{ALL}/{number}/payments", api.admin, payment))[0] == 200

    await eventually(is_back, timeout=60)
    assert (await api.call("POST", f"{ALL}/{number}/payments", api.admin, payment))[1] == paid
    assert await api.call("POST", ALL + "/run", api.admin, {"month": month}) == (
        200,
        {**made[1], "largest": [paid if one["number"] == number else one for one in made[1]["largest"]]},
    )
    # what its webhooks hear of is told once, although the collector was killed
    sql = (
        "SELECT config_type, toString(count()) FROM rev.entries"
        " WHERE customer_id = 'invoice-acme' AND actor = 'collector' GROUP BY config_type ORDER BY config_type"
    )

    async def is_told() -> bool:
        async with api.session.post(str(stack["clickhouse"]), data=sql, headers=headers) as answer:
            return (await answer.text()).split() == ["invoice.created", "1", "invoice.finalized", "1"]

    await eventually(is_told)
    status, refused = await api.call("POST", ALL + "/run", api.admin, {"month": month_of(end + 40 * 24 * HOUR)})
    assert status == 409 and "is not closed yet" in refused["error"]


async def asked(stack: dict[str, Any], *arguments: str) -> str:
    """What `rev invoices run` prints, as an operator calls it."""
    env = {**os.environ, "REV_URL": str(stack["http"]), "REV_ADMIN_TOKEN": str(stack["admin_token"])}
    argv = ("-m", "tools.cli", "invoices", "run", *arguments)
    process = await asyncio.create_subprocess_exec(sys.executable, *argv, env=env, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


async def kill_the_collector(stack: dict[str, Any], eventually: Eventually) -> None:
    """kill -9, and wait until another one runs."""

    def pid() -> int:
        run = msgspec.json.decode((Path(stack["data"]) / "run.json").read_bytes())
        return int(run["pids"].get("collector", 0))

    before = pid()
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: pid() not in (0, before))
