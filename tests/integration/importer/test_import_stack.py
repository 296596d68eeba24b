"""`rev import` as a process of its own against a whole `rev up`."""

import asyncio
import json
import re
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.shared import beside

pytestmark = pytest.mark.integration

AZURE = "data/azure_llm_code.csv"
EXACT = ("8819", "9901.261")
SET = ("--set", "action=completion")


@pytest.fixture(scope="session")
def azure() -> Path:
    """The trace. Named before `stack`, so that nothing is started where it is absent."""
    return beside(AZURE)


class Customer:
    """A customer of its own, its key, and what the ledger says of it."""

    def __init__(self, stack: dict[str, Any], name: str) -> None:
        self.stack, self.name = stack, name
        made = self._call("POST", "/api/admin/api-keys", stack["admin_token"], {"customer_id": name})
        self.key = made["api_key"]

    def _call(self, method: str, path: str, token: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.stack["http"] + path,
            data,
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read(), parse_float=Decimal)

    def set_price(self, **price: Any) -> None:
        """Set a price of the customer's own."""
        fields = {"customer_id": self.name, **price}
        self._call("POST", "/api/admin/pricing", self.stack["admin_token"], fields)

    def prices(self) -> set[str]:
        """The actions that have a price."""
        return {row["action_type"] for row in self._call("GET", "/v1/pricing", self.key)["configs"]}

    def usage(self) -> tuple[str, str]:
        """Events and cents by /v1/usage."""
        summary = self._call("GET", "/v1/usage?period=24h", self.key)["summary"]
        return str(summary["total_events"]), str(summary["total_cents"])

    def events(self) -> list[dict[str, Any]]:
        """What /v1/events lists, newest first."""
        return list(self._call("GET", "/v1/events", self.key)["events"])

    def sql(self) -> tuple[str, str]:
        """Events and cents by the analyst's SQL."""
        user, password = self.stack["analyst"]
        query = (
            f"SELECT count(), sum(total_cents) FROM rev.entries WHERE customer_id = '{self.name}' AND kind = 'event'"
        )
        headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
        with urllib.request.urlopen(
            urllib.request.Request(self.stack["clickhouse"] + "/", query.encode(), headers), timeout=30
        ) as answer:
            count, cents = answer.read().decode().split()
        return count, cents

    async def imports(self, path: Path, *options: str, url: str | None = None) -> asyncio.subprocess.Process:
        """The import, started."""
        return await _rev("import", str(path), "--url", url or self.stack["http"], "--key", self.key, *options)

    async def imported(self, path: Path, *options: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of an import."""
        return await _ended(await self.imports(path, *options))


async def _rev(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "tools.cli", *arguments, stdout=pipe, stderr=pipe)


async def _ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def _line(output: str, name: str) -> str:
    found = re.search(rf"^\s*{name}\s+(\S+)", output, re.M)
    assert found, output
    return found[1]


async def test_the_azure_trace_is_the_same_in_every_view(azure: Path, stack: dict[str, Any], eventually: Any) -> None:
    """Summary, /v1/usage, the analyst's SQL and verify say 8,819 events and 9901.261 cents; again adds nothing."""
    customer = Customer(stack, "azure-whole")
    code, out, err = await customer.imported(azure, *SET)
    assert code == 0, err
    assert (_line(out, "imported"), _line(out, "total_cents"), _line(out, "bad")) == ("8,819", "9901.261", "0")
    await eventually(lambda: customer.sql() == EXACT)
    assert customer.usage() == EXACT
    code, out, err = await customer.imported(azure, *SET)
    assert code == 0, err
    assert (_line(out, "imported"), _line(out, "already there")) == ("0", "8,819")
    code, out, err = await _ended(await _rev("verify", "--data", str(stack["data"]), "--customer", customer.name))
    assert code == 0, out + err
    assert (_line(out, "ledger rows"), _line(out, "sum in cents")) == ("8,819", "9901.261")
    assert customer.sql() == EXACT


async def test_an_import_killed_half_way_ends_exact_when_repeated(
    azure: Path, stack: dict[str, Any], eventually: Any
) -> None:
    """Ctrl-C at the beginning, and kill -9 with some batches charged, one charged without its answer, and some
    never sent."""
    customer = Customer(stack, "azure-killed")
    async with _holding(stack["http"], answered=0) as (url, held):
        process = await customer.imports(azure, *SET, url=url)
        await asyncio.wait_for(held.wait(), 60)
        process.send_signal(signal.SIGINT)
        code, out, err = await _ended(process)
    assert code == 2 and "Traceback" not in err, err
    assert "Repeat the command" in err
    async with _holding(stack["http"], answered=3) as (url, held):
        process = await customer.imports(azure, *SET, "--in-flight", "3", url=url)
        await asyncio.wait_for(held.wait(), 60)
        process.kill()
        await process.communicate()
    code, out, err = await customer.imported(azure, *SET)
    assert code == 0, err
    assert int(_line(out, "already there").replace(",", "")) >= 4000
    assert int(_line(out, "imported").replace(",", "")) > 0
    await eventually(lambda: customer.sql() == EXACT)
    assert customer.usage() == EXACT


@asynccontextmanager
async def _holding(upstream: str, answered: int) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A proxy that answers so many batches; the next one it passes on, but keeps the answer,
    and further ones it does not even pass on. The event is set once the answer is kept."""
    held, done = asyncio.Event(), asyncio.Event()
    batches = 0

    async def pass_on(request: web.Request) -> web.Response:
        nonlocal batches
        body = await request.read()
        number = 0
        if request.path == "/v1/meter/batch":
            batches += 1
            number = batches
        if number > answered + 1:
            await done.wait()
            return web.Response(status=503)
        headers = {"Authorization": request.headers["Authorization"], "Content-Type": "application/json"}
        async with session.request(request.method, upstream + request.path_qs, data=body, headers=headers) as answer:
            text = await answer.read()
        if number == answered + 1:
            held.set()
            await done.wait()
        return web.Response(status=answer.status, body=text, content_type="application/json")

    app = web.Application(client_max_size=16 << 20)
    app.router.add_route("*", "/{path:.*}", pass_on)
    runner = web.AppRunner(app, shutdown_timeout=1)
    async with aiohttp.ClientSession() as session:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", held
        finally:
            done.set()
            await runner.cleanup()


async def test_bad_rows_are_told_by_line_and_column(stack: dict[str, Any], tmp_path: Path, eventually: Any) -> None:
    """Exit 1; what the importer and what the server refuses is named, the rest is charged, with mapped columns
    and with times of the zone that was named."""
    customer = Customer(stack, "import-bad")
    path = tmp_path / "bad.csv"
    recent = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    local = f"{recent.astimezone(timezone(timedelta(hours=5, minutes=30))):%Y-%m-%d %H:%M:%S}"
    path.write_text(
        "ContextTokens,who,action,when\n10,ann,completion,2001-01-01 05:30:00\n10.0,ann,completion,\n"
        f"10,ann,no.such.action,\n20,bob,completion,{local}\n"
    )
    columns = ("--map", "agent_id=who,tokens_input=ContextTokens", "--map", "timestamp=when", "--tz", "+05:30")
    code, out, err = await customer.imported(path, *columns)
    assert code == 1, err
    assert "line 3 (row 2), column ContextTokens: '10.0' is not an integer" in err
    assert re.search(r"line 4 \(row 3\): .*no\.such\.action", err), err
    assert (_line(out, "imported"), _line(out, "bad"), _line(out, "total_cents")) == ("2", "2", "1.009")
    await eventually(lambda: customer.sql() == ("2", "1.009"))
    bob, ann = customer.events()
    assert [(e["event"]["agent_id"], e["event"]["tokens_input"]) for e in (bob, ann)] == [("bob", 20), ("ann", 10)]
    assert bob["timestamp"] == f"{recent:%Y-%m-%dT%H:%M:%S}.000Z" and bob["metadata"] is None
    assert ann["timestamp"] == ann["created_at"] and ann["metadata"] == {"source_time": "2001-01-01T00:00:00.000Z"}


async def test_another_setting_is_refused(stack: dict[str, Any], tmp_path: Path, eventually: Any) -> None:
    """The same file as another action is not charged a second time, whether the ledger shows it yet or not."""
    customer = Customer(stack, "import-other")
    path = tmp_path / "a.jsonl"
    path.write_text('{"tokens": 10}\n{"tokens": 20}\n')
    code, _, err = await customer.imported(path, *SET)
    assert code == 0, err
    code, _, err = await customer.imported(path, "--set", "action=chat")
    assert code == 2 and "imported before with action 'completion'" in err, err
    await eventually(lambda: customer.sql() == ("2", "1.009"))


async def test_quantities_of_a_file_are_charged_at_their_rates(
    stack: dict[str, Any], tmp_path: Path, eventually: Any
) -> None:
    """By the price of each row's model: the preview, the summary, the ledger and verify agree; again adds nothing, and
    other quantities are refused."""
    customer = Customer(stack, "import-quantities")
    rates = {"images": 4, "audio_seconds": {"rate": "0.6", "per": 60}, "cache_read": {"rate": 30, "per": 1_000_000}}
    customer.set_price(action_type="draw", base_rate_cents=1, token_rate_cents="0.01", rates=rates)
    customer.set_price(action_type="draw", model="big", base_rate_cents=2, rates={"images": "4.5"})
    await eventually(lambda: "draw" in customer.prices())
    path = tmp_path / "quantities.csv"
    path.write_text(
        "input_tokens,cache_read_input_tokens,quantities.images,secs,model\n"
        "100,30000,2,12.5,small\n,,3,,big\n10,,,,\n,,1,7,big\n,,1.0000001,,big\n"
    )
    options = ("--set", "action=draw", "--map", "quantities.audio_seconds=secs")
    code, out, err = await customer.imported(path, *options, "--dry-run")
    assert code == 1 and "column quantities.images: '1.0000001' must be a number" in err, err
    why = "quantities.audio_seconds must have a rate in the price of action 'draw'"
    # 1 + 100 * 0.01 + 30000 * 0.00003 + 2 * 4 + 12.5 * 0.01; 2 + 3 * 4.5; 1 + 10 * 0.01
    wanted = ("11.025 cents", "15.5 cents", "1.1 cents", f"error: {why}", "27.625 and the rows without a price")
    assert all(text in out for text in wanted), out
    code, out, err = await customer.imported(path, *options)
    assert code == 1 and f"line 5 (row 4): {why}" in err, err
    assert (_line(out, "imported"), _line(out, "bad"), _line(out, "total_cents")) == ("3", "2", "27.625")
    await eventually(lambda: customer.sql() == ("3", "27.625"))
    _, big, small = customer.events()
    assert big["event"]["quantities"] == {"images": 3}
    assert small["event"]["quantities"] == {
        "input": 100,
        "output": 0,
        "cache_read": 30000,
        "audio_seconds": Decimal("12.5"),
        "images": 2,
    }
    code, out, err = await customer.imported(path, *options)
    assert (code, _line(out, "imported"), _line(out, "already there")) == (1, "0", "3"), err
    code, _, err = await customer.imported(path, *options, "--map", "tokens_cache_read=")
    assert code == 2 and "line 2 (row 1): this row was imported before with tokens 30100, now it has 100" in err, err
    code, _, err = await customer.imported(path, "--set", "action=draw")
    assert code == 2 and "imported before with quantities.audio_seconds 12.5, now it has none" in err, err
    code, out, err = await _ended(await _rev("verify", "--data", str(stack["data"]), "--customer", customer.name))
    assert code == 0, out + err
