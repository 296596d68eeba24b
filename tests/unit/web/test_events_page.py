"""/events: the filters in the URL, pages, the export, one event, and its void."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from msgspec.structs import replace
from pyarrow import parquet

from schemas.commands import MeterEvent, PriceRef, Rates
from tests.unit.web.activity import FakeActivity, priced_entry
from tests.unit.web.conftest import NOW, Server, event
from tests.unit.web.test_prices import shown
from warehouse.activity_rows import BOTH, EventSearch, OutcomeStateRow, PriceSetRow
from warehouse.time_range import TimeRange
from web import event_export, filters
from web.views.event_view import pretty
from web.web_refusals import Refusal

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
PRICE = PriceRef(id=2, action_type="chat", rates=Rates("0.5", "0.0003", "0.25"), offset=7, is_default=True)
EVENT = MeterEvent("agent-copilot", "chat", 2400, outcome="success")
ENTRY = priced_entry(EVENT, PRICE, base="0.5", token="0.72", bonus="0.25", total="1.47")


async def test_a_url_holds_the_filters(server: Server) -> None:
    """An empty field of the form is no filter; a time without an offset is UTC."""
    url = "/events?customer=acme-corp&agent=&status=voided&outcome=success&mode=both&from=2026-04-26T10:00&to=&model=m"
    url += "&task_id=t&trace_id=0af7&metadata=%22EUR%22"
    server.activity.rows = [event()]
    status, _, text = await server.get(url, **server.signed_in())
    assert status == 200
    (search, *_) = server.activity.searches
    labels = {"model": "m", "task_id": "t", "trace_id": "0af7", "metadata": '"EUR"'}
    expected = EventSearch("acme-corp", **labels, status="voided", outcome="success", tests=BOTH, limit=51)
    assert search == expected._replace(time=TimeRange(NOW - 7_200_000, search.time.end))
    assert 'value="acme-corp"' in text and 'value="2026-04-26T10:00"' in text and "selected>voided" in text
    assert 'name="metadata" type="text" value="&#34;EUR&#34;"' in text
    assert "/events.csv?customer=acme-corp&amp;status=voided" in text and "/events.parquet?customer=" in text


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("status=lost", "status must be one of priced, rejected, voided"),
        ("outcome=won", "outcome must be one of"),
        ("mode=prod", "mode must be one of live, test, both"),
        ("from=yesterday", "from must be an ISO 8601 time"),
        ("from=2026-04-27T00:00&to=2026-04-26T00:00", "from must not be after to"),
        (f"agent={'a' * 257}", "agent must have at most 256 characters"),
        ("after=1", "after must be a position"),
        ("after=1.99999999999999999", "after must be a position"),
        ("limit=3", "unknown query parameter"),
    ],
)
async def test_a_filter_that_is_wrong_is_named(server: Server, query: str, named: str) -> None:
    status, _, text = await server.get(f"/events?{query}", **server.signed_in())
    assert status == 400 and named in text


async def test_pages_follow_each_other_without_gap_or_repeat(server: Server) -> None:
    server.activity.rows = [event(event_id=id, recorded_at=NOW - id // 3, action=f"act-{id}") for id in range(120)]
    seen, url = [], "/events?customer=acme-corp"
    for _ in range(3):
        _, _, text = await server.get(url, **server.signed_in())
        seen += [int(part.split('"')[0]) for part in text.split('href="/events/')[1:]]
        _, _, rest = text.partition('rel="next" href="')
        url = rest.partition('"')[0].replace("&amp;", "&")
    rows = sorted(server.activity.rows, key=lambda row: (row.recorded_at, row.event_id), reverse=True)
    assert seen == [row.event_id for row in rows] and url == ""


async def test_a_list_says_how_events_stand_and_what_to_do_without_any(server: Server) -> None:
    server.activity.rows = [event(event_id=1), event(event_id=2, kind="rejected", reason="no price", price_id=0)]
    server.activity.voids = {1: "wrong"}
    _, _, text = await server.get("/events", **server.signed_in())
    assert '<s title="voided">' in text and ">rejected</span>" in text
    server.activity.rows = []
    assert "No events yet" in (await server.get("/events", **server.signed_in()))[2]
    assert "No event fits" in (await server.get("/events?agent=x", **server.signed_in()))[2]


async def test_the_export_is_exact_and_cannot_be_a_formula(server: Server) -> None:
    server.activity.rows = [
        event(event_id=65536 + 1024, agent_id="=cmd()", total="1.470000000001", metadata='{"n": 1.00, "t": "a,\\"b"}'),
        event(event_id=1, kind="rejected", reason="no price", total="0"),
    ]
    status, headers, text = await server.get("/events.csv?customer=acme-corp", **server.signed_in())
    assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["total_cents"], first["agent_id"], first["status"]) == ("1.470000000001", "'=cmd()", "priced")
    assert (first["partition"], first["offset"], first["index"]) == ("1", "1", "0")
    assert first["metadata"] == '{"n": 1.00, "t": "a,\\"b"}'
    assert (second["total_cents"], second["status"], second["reason"]) == ("", "rejected", "no price")


@pytest.mark.parametrize(("there", "cut"), [(5, False), (6, True)])
async def test_an_export_is_bounded_and_says_so(monkeypatch: pytest.MonkeyPatch, there: int, cut: bool) -> None:
    """Over several reads, every event once."""
    monkeypatch.setattr(event_export, "PAGE", 2)
    reads = FakeActivity()
    reads.rows = [event(event_id=id, recorded_at=NOW - id) for id in range(there)]
    text = b"".join([piece async for piece in event_export.pieces(reads, EventSearch(), most=5)]).decode()
    _, *lines = text.splitlines()
    assert [int(line.split(",")[0]) for line in lines[:5]] == [0, 1, 2, 3, 4]
    assert lines[5:] == (["Cut after 5 events; narrow the filters to export the rest."] if cut else [])


async def test_the_same_events_as_parquet(server: Server) -> None:
    """Amounts are exact decimals, what is absent is null, and nothing is changed for a spreadsheet."""
    server.activity.rows = [
        event(event_id=65536 + 1024, agent_id="=cmd()", total="1.470000000001"),
        event(event_id=1, kind="rejected", reason="no price", total="0"),
    ]
    assert server.session is not None
    async with server.session.get(server.url + "/events.parquet", headers=server.signed_in()) as response:
        table = parquet.read_table(io.BytesIO(await response.read()))
    first, second = table.to_pylist()
    assert (first["total_cents"], first["agent_id"]) == (Decimal("1.470000000001"), "=cmd()")
    assert (first["timestamp"].isoformat(), first["tokens_input"]) == ("2026-04-26T12:00:00+00:00", None)
    assert (second["total_cents"], second["price_id"], second["event_id"]) == (None, 2, 1)


async def test_an_export_that_fails_in_the_middle_is_broken_off(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that half a file does not pass for a whole one; a failure at once is a page that says so."""
    monkeypatch.setattr(event_export, "PAGE", 2)
    server.activity.rows = [event(event_id=id, recorded_at=NOW - id) for id in range(6)]
    for reads_before, broken in ((3, True), (1, False)):
        server.activity.fails_after = len(server.activity.searches) + reads_before - 1
        if broken:
            with pytest.raises(aiohttp.ClientPayloadError):
                await server.get("/events.csv", **server.signed_in())
        else:
            status, _, text = await server.get("/events.csv", **server.signed_in())
            assert status == 503 and "cannot be read" in text


async def test_one_event_explains_its_price(server: Server) -> None:
    server.activity.entries = [replace(ENTRY, metadata='{"n": 1.00, "who": "<b>"}', model="gpt", idempotency_key="k 1")]
    record = shown(2, minimum_cents=500, rates={"input": {"rate": 250, "per": 10**6}})
    server.activity.price = PriceSetRow(NOW, "genesis", "", json.dumps(record))
    server.activity.raw = '{"event_id":42,"total_cents":1.470000000001,"agent_id":"<b>"}'
    server.reads.named = {"acme-corp": "Acme Corp"}
    status, _, text = await server.get(f"/events/{ENTRY.event_id}", **server.signed_in())
    assert status == 200
    for words in ("0.5 ¢ per event", "2,400", "0.0003 ¢ per token", "0.72 ¢", "1.47 ¢", "$0.0147", "default price"):
        assert words in text
    assert "by genesis" in text and "Acme Corp" in text and "/events?idempotency_key=k+1" in text
    assert "&#34;n&#34;: 1.00" in text and "&lt;b&gt;" in text
    assert "<dt>Partition</dt><dd>3</dd>" in text and "<dt>Offset</dt><dd>7</dd>" in text
    assert "do not add up" not in text
    assert "input $2.50 per million, at least $5.00 a month" in text and "/prices?history=1&amp;q=chat" in text
    assert "&#34;total_cents&#34;: 1.470000000001" in text and "&#34;agent_id&#34;: &#34;&lt;b&gt;&#34;" in text


async def test_a_price_record_of_a_form_that_is_unknown_is_shown_as_json(server: Server) -> None:
    server.activity.entries = [ENTRY]
    server.activity.price = PriceSetRow(NOW, "genesis", "", '{"id":2,"rate":0.50}')
    _, _, text = await server.get(f"/events/{ENTRY.event_id}", **server.signed_in())
    assert "&#34;rate&#34;: 0.50" in text and "<dt>Charges</dt>" not in text


async def test_a_voided_event_shows_its_void_and_cannot_be_voided_again(server: Server) -> None:
    void = replace(ENTRY, kind="void", event_id=ENTRY.event_id + 65536, original=ENTRY.event_id, total="-1.47",
                   reason="billed twice", actor="admin")  # fmt: skip
    server.activity.entries = [ENTRY, void]
    _, _, text = await server.get(f"/events/{ENTRY.event_id}", **server.signed_in())
    assert "billed twice" in text and ">voided</span>" in text and "Void this charge" not in text
    _, headers, _ = await server.get(f"/events/{void.event_id}", **server.signed_in())
    assert headers["Location"] == f"/events/{ENTRY.event_id}"


async def test_a_rejected_event_says_why(server: Server) -> None:
    server.activity.entries = [replace(ENTRY, kind="rejected", price_id=0, reason="the key was used before")]
    _, _, text = await server.get(f"/events/{ENTRY.event_id}", **server.signed_in())
    assert "nothing was charged: the key was used before" in text
    assert "term by term" not in text and "Void this charge" not in text


async def test_a_pending_event_says_what_it_may_add(server: Server) -> None:
    id = f"oc_{ENTRY.event_id}"
    server.activity.entries = [replace(ENTRY, outcome="pending", outcome_id=id, bonus="0", total="1.22")]
    server.activity.states = [
        OutcomeStateRow(
            outcome_id=id, customer_id="acme-corp", task_id="", agent_id="a", action="chat", opened_by="event",
            event_id=ENTRY.event_id, on_expiry="failure", voided=False, closed_by=None, detail="", test=False,
            on_success="0.25", on_failure="0", charge=None, revenue="0", opened=NOW, due=NOW + 1, ended=None,
            state="pending", place=NOW + 1,
        )
    ]  # fmt: skip
    _, _, text = await server.get(f"/events/{ENTRY.event_id}", **server.signed_in())
    assert "0.25 ¢</data> more if its outcome succeeds" in text and f'href="/outcomes/{id}"' in text


@pytest.mark.parametrize("id", ["x", "01", "99999999999999999", "12345"])
async def test_an_unknown_event_is_a_404(server: Server, id: str) -> None:
    status, _, text = await server.get(f"/events/{id}", **server.signed_in())
    assert status == 404 and "There is no event" in text


async def test_markup_is_shown_as_text(server: Server) -> None:
    marked = {"agent_id": MARKUP, "action": MARKUP, "model": MARKUP, "trace_id": MARKUP, "idempotency_key": MARKUP}
    server.activity.entries = [replace(ENTRY, **marked, customer_id=MARKUP, import_id=MARKUP, metadata=f'{{"{MARKUP}')]
    server.activity.rows = [event(agent_id=MARKUP, action=MARKUP, customer_id=MARKUP)]
    for path in ("/events", f"/events/{ENTRY.event_id}"):
        status, _, text = await server.get(path, **server.signed_in())
        assert status == 200 and "<script>alert" not in text and "<img" not in text and "&lt;script&gt;" in text


@pytest.fixture
async def voids(serving: Callable[..., Any], unused_tcp_port: int) -> Any:
    """A server whose gateway keeps what it was asked to void."""
    asked: list[Any] = []

    async def void(request: web.Request) -> web.Response:
        asked.append((request.path, await request.json(), request.headers["Authorization"]))
        if request.match_info["id"] == "13":
            return web.json_response({"error": "event 13 charged nothing", "code": "nothing_charged"}, status=409)
        return web.json_response({"event_id": 1}, status=201)

    app = web.Application()
    app.router.add_post("/api/admin/{what}/{id}/void", void)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    yield await serving(REV_GATEWAY_URL=f"http://127.0.0.1:{unused_tcp_port}"), asked
    await runner.cleanup()


async def test_a_void_needs_a_token_a_reason_and_a_confirmation(voids: Any) -> None:
    server, asked = voids
    session = server.signed_in()
    token = server.signer.form_token(session["Cookie"].removeprefix("rev_session=").partition(".")[0])
    form = {"form_token": token, "reason": " billed twice ", "confirmed": "yes"}
    for wrong, status, words in (
        ({**form, "form_token": "x"}, 403, "out of date"),
        ({**form, "reason": " "}, 400, "reason is required"),
        ({**form, "confirmed": ""}, 400, "confirmed must be checked"),
    ):
        answer = await server.send("POST", "/events/42/void", wrong, **session)
        assert answer[0] == status and words in answer[2]
    assert asked == []
    status, headers, _ = await server.send("POST", "/events/42/void", form, **session)
    assert (status, headers["Location"]) == (303, "/events/42?voided=1")
    assert asked == [("/api/admin/events/42/void", {"reason": "billed twice"}, "Bearer the-admin-token")]
    status, _, text = await server.send("POST", "/events/13/void", form, **session)
    assert status == 409 and "charged nothing" in text


def test_json_is_shown_digit_by_digit() -> None:
    assert pretty('{"a":[1.00,{}],"b":{"c":12345678901234567890.10,"d":null,"e":"ü"}}') == "\n".join(
        ["{", '  "a": [', "    1.00,", "    {}", "  ],", '  "b": {', '    "c": 12345678901234567890.10,',
         '    "d": null,', '    "e": "ü"', "  }", "}"]
    )  # fmt: skip
    assert (pretty(""), pretty("null"), pretty("{broken")) == ("", "", "{broken")
    assert pretty("[" * 100_000) == "[" * 100_000


def test_a_time_with_an_offset_is_taken_as_it_is() -> None:
    assert filters.moment({"from": "2026-04-26T14:00:00.001+02:00"}, "from") == NOW + 1
    assert filters.field_value(NOW) == "2026-04-26T12:00" and filters.field_value(NOW + 1) == "2026-04-26T12:00:00.001"
    with pytest.raises(Refusal):
        filters.moment({"from": "0001-01-01T00:00:00+14:00"}, "from")
