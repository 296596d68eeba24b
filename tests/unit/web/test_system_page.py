"""/system: what each service says of itself, what is away, and rates from one look to the next."""

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import ClientTimeout, web
from aiohttp.test_utils import TestServer

from schemas.settings import SettingError, read
from tests.unit.deploy.test_alerts import PARTS, in_code
from tests.unit.web.conftest import NOW, Server
from web.service_probes import MAX_BYTES, Probed, ServiceAddress, ServiceProbes, parsed
from web.views.system_view import KINDS, line, observed, worst

LONG = ClientTimeout(total=60)
"""A crowded machine may take longer than the 2 s that a probe has."""
BEGAN = "process_start_time_seconds 1777200000.0\nprocess_resident_memory_bytes 1.048576e+08\n"
PRICER = ServiceAddress("pricer", "http://127.0.0.1:9100")
URLS = "pricer=http://127.0.0.1:9100,pricer=http://127.0.0.1:9101/,ledger=http://127.0.0.1:9102"


def pricer(records: int, began: str = BEGAN, lag: str = "2.0") -> Probed:
    text = f'{began}rev_shard_records_total{{shard="0"}} {records}\nrev_shard_records_total{{shard="1"}} 5\n'
    text += f'rev_shard_lag_records{{shard="0"}} {lag}\nrev_shard_lag_records 1.0\n'
    return Probed(PRICER, True, [], parsed(text))


def test_what_is_shown_is_what_the_services_count() -> None:
    """Each name is a metric of the code, so that a renamed one does not read as nothing done."""
    known = in_code() | {name + part for name in in_code() for part in PARTS}
    for kind in KINDS.values():
        assert {kind.work, *([kind.lag.sample] if kind.lag else []), *([kind.last] if kind.last else [])} <= known


def test_a_rate_is_from_one_look_to_the_next() -> None:
    first = observed(pricer(100), None, NOW)
    assert first is not None and line(pricer(100), None, first).rate == ""
    second = observed(pricer(160), first, NOW + 4000)
    shown = line(pricer(160), first, second)
    assert (shown.rate, shown.lag, shown.is_behind, shown.last) == ("15 records/s", "3 records", False, NOW + 4000)
    assert (shown.memory, shown.since, shown.state) == ("100 MiB", 1_777_200_000_000, "up")
    assert line(pricer(160, lag="20000"), first, second).is_behind
    third = observed(pricer(160), second, NOW + 8000)
    idle = line(pricer(160, lag="0"), second, third)
    assert (idle.rate, idle.last) == ("0 records/s", NOW + 4000), "the last progress stays known"
    again = observed(pricer(3, began="process_start_time_seconds 1777200009.0\n"), third, NOW + 9000)
    assert again is not None and again.moved is None, "a new process counts from its own beginning"
    assert line(pricer(3), third, again).rate == ""


def test_a_ledger_says_itself_when_it_wrote() -> None:
    text = BEGAN + 'rev_ledger_last_insert_timestamp_seconds{partition="0"} 1777204700.5\n'
    assert line(Probed(ServiceAddress("ledger", ""), True, [], parsed(text)), None, None).last == 1_777_204_700_500


@pytest.mark.parametrize(
    ("ready", "reasons", "state"),
    [
        (None, ["refused"], "away"),
        (False, ["kafka"], "not ready"),
        (True, ["clickhouse"], "degraded"),
        (True, [], "up"),
    ],
)
def test_a_state_is_what_readyz_says(ready: bool | None, reasons: list[str], state: str) -> None:
    shown = line(Probed(PRICER, ready, reasons, {}), None, None)
    assert (shown.state, shown.reasons) == (state, reasons)
    assert (
        worst([shown])
        == {
            "away": "pricer is not serving.",
            "not ready": "pricer is not serving.",
            "degraded": "pricer can do less than usual.",
            "up": "Everything is up.",
        }[state]
    )


async def test_the_page_says_what_is_away(serving: Any) -> None:
    server: Server = await serving(REV_SERVICE_URLS=URLS)
    server.probes.says = {"pricer": (True, ["<b>degraded"], pricer(100).metrics)}
    status, _, text = await server.get("/system", **server.signed_in())
    assert status == 200 and text.count(">pricer\n") == 2 and "&lt;b&gt;degraded" in text
    assert "ledger is not serving." in text and "refused" in text and "REV_SERVICE_URLS" not in text
    server.now += 2000
    server.probes.says["pricer"] = (True, [], pricer(300).metrics)
    assert "100 records/s" in (await server.get("/system", **server.signed_in()))[2]
    server.reads.available = server.ledger.available = False
    _, _, text = await server.get("/system", **server.signed_in())
    assert "ledger, clickhouse, kafka are not serving." in text and "clickhouse: no answer" in text


async def test_without_addresses_it_knows_the_gateway_and_itself(server: Server) -> None:
    _, _, text = await server.get("/system", **server.signed_in())
    assert "REV_SERVICE_URLS" in text and "gateway is not serving." in text and "this process" in text


async def test_probes_read_what_a_service_says(server: Server) -> None:
    """Of a real server, and of an address where nobody listens."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        nowhere = ServiceAddress("ledger", f"http://127.0.0.1:{silent.getsockname()[1]}")
        probes = ServiceProbes(LONG)
        try:
            found, away = await probes.probe([ServiceAddress("web", server.url), nowhere])
        finally:
            await probes.close()
    assert found.ready is True and found.reasons == ["gateway: no answer"]
    assert "rev_web_request_seconds_count" in found.metrics and line(found, None, None).state == "degraded"
    assert away.ready is None and away.reasons and away.metrics == {}


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        (100_000 * b"rev_sample 1.0\n", ""),
        (b"", ""),
        (b"rev_ingest_request_seconds_", "/metrics cannot be read"),
        (b"<html>an error</html>", "/metrics cannot be read"),
        ((MAX_BYTES + 1) * b"#", "an answer of more than"),
    ],
)
async def test_metrics_of_any_size_and_shape_are_read_or_told(metrics: bytes, reason: str) -> None:
    """An answer that comes in parts is read whole; one that cannot be read is told of its service alone."""

    async def answer(request: web.Request) -> web.StreamResponse:
        sent = web.StreamResponse()
        await sent.prepare(request)
        body = metrics if request.path == "/metrics" else b"{}"
        for at in range(0, len(body), 40_000):
            await sent.write(body[at : at + 40_000])
            await asyncio.sleep(0)
        return sent

    app = web.Application()
    app.router.add_get("/{any}", answer)
    probes = ServiceProbes(LONG)
    async with TestServer(app) as server:
        try:
            (found,) = await probes.probe([ServiceAddress("pricer", str(server.make_url("")))])
        finally:
            await probes.close()
    assert found.reasons[0].startswith(reason) if reason else found.reasons == []
    assert found.ready is (None if metrics[:1] == b"#" else True)
    assert len(found.metrics.get("rev_sample", [])) == metrics.count(b"rev_sample")
    assert observed(found, None, NOW) is None or found.metrics


@pytest.mark.parametrize("text", ["pricer", "=http://a:1", "pricer=a:1", "pricer=ftp://a", "a=http://b:1;c=d"])
def test_addresses_that_cannot_be_used_are_named(text: str) -> None:
    assert read({"REV_SERVICE_URLS": URLS}).service_urls[1] == ("pricer", "http://127.0.0.1:9101")
    with pytest.raises(SettingError, match="REV_SERVICE_URLS must be of the form"):
        read({"REV_SERVICE_URLS": text})
