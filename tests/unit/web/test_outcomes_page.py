"""/outcomes: open ones with what is at stake, closed ones with what they cost, and one in full."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.web.conftest import NOW, Server
from tests.unit.web.test_events_page import ENTRY
from warehouse.activity_rows import OutcomeSearch, OutcomeStateRow

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
ID = f"oc_{ENTRY.event_id}"
OPEN = OutcomeStateRow(
    outcome_id=ID,
    customer_id="acme-corp",
    task_id="task-9",
    agent_id="agent-sdr",
    action="outcome_charge",
    opened_by="registered",
    event_id=ENTRY.event_id,
    on_expiry="failure",
    voided=False,
    closed_by=None,
    detail='{"success_criteria":{"meetings":1.0},"evidence":null}',
    test=False,
    on_success="4900",
    on_failure="0.5",
    charge=None,
    revenue="0",
    opened=NOW - 1000,
    due=NOW + 1000,
    ended=None,
    state="pending",
    place=NOW + 1000,
)
CLOSED = replace(
    OPEN,
    outcome_id="oc_1",
    event_id=1,
    task_id="task-1",
    state="succeeded",
    charge="4900",
    revenue="4900",
    ended=NOW,
    place=-NOW,
    detail='{"success_criteria":null,"evidence":{"call":"<b>"}}',
)
REGISTERED = replace(ENTRY, kind="registered", outcome="", outcome_id=ID, total="0", base="0", token="0", bonus="0")
CHARGE = replace(REGISTERED, kind="charge", event_id=ENTRY.event_id + 65536, original=ENTRY.event_id, bonus="4900",
                 total="4900", verdict="succeeded")  # fmt: skip


async def test_open_and_closed_stand_apart(server: Server) -> None:
    server.activity.states = [OPEN, CLOSED, replace(CLOSED, outcome_id="oc_2", event_id=2, voided=True, revenue="0")]
    status, _, text = await server.get("/outcomes", **server.signed_in())
    assert status == 200
    for words in ("Open, by deadline", "Closed, newest first", "task-9", "task-1", "$49.00", ">voided</span>"):
        assert words in text
    assert "$98.00" in text and "at stake in 2 open" in text


async def test_the_url_holds_the_filters(server: Server) -> None:
    server.activity.states = [CLOSED]
    _, _, text = await server.get("/outcomes?status=expired&customer=acme&agent=a&mode=test", **server.signed_in())
    assert server.activity.searches == [OutcomeSearch(NOW, ("expired",), "acme", "a", tests=(1,), limit=51)]
    assert "No outcome fits" in text
    server.activity.states = []
    assert "No outcomes yet" in (await server.get("/outcomes", **server.signed_in()))[2]


@pytest.mark.parametrize("query", ["status=won", "mode=x", "after=x", "outcome=y"])
async def test_a_filter_that_is_wrong_is_refused(server: Server, query: str) -> None:
    assert (await server.get(f"/outcomes?{query}", **server.signed_in()))[0] == 400


async def test_pages_follow_each_other(server: Server) -> None:
    server.activity.states = [
        replace(OPEN, outcome_id=f"oc_{id}", event_id=id, place=NOW + id // 3) for id in range(120)
    ]
    url, seen = "/outcomes", []
    for _ in range(3):
        _, _, text = await server.get(url, **server.signed_in())
        seen += [part.split('"')[0] for part in text.split('href="/outcomes/')[1:]]
        url = text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert seen == [f"oc_{id}" for id in range(120)] and url == ""


async def test_one_outcome_shows_its_terms_and_history(server: Server) -> None:
    server.activity.states = [OPEN]
    server.activity.entries = [REGISTERED]
    status, _, text = await server.get(f"/outcomes/{ID}", **server.signed_in())
    assert status == 200
    for words in ("task-9", "&#34;meetings&#34;: 1.0", "Outcome registered", "$49.00", "as on failure", "not yet"):
        assert words in text
    assert "Evidence" not in text and "Void this charge" not in text


async def test_the_charge_of_an_outcome_can_be_voided(server: Server) -> None:
    closed: Any = replace(CLOSED, outcome_id=ID, event_id=ENTRY.event_id)
    server.activity.states, server.activity.entries = [closed], [REGISTERED, CHARGE]
    _, _, text = await server.get(f"/outcomes/{ID}", **server.signed_in())
    assert f'action="/outcomes/{ID}/void"' in text and "&lt;b&gt;" in text and "Outcome charged" in text
    _, headers, _ = await server.get(f"/events/{CHARGE.event_id}", **server.signed_in())
    assert headers["Location"] == f"/outcomes/{ID}"
    server.activity.states = [replace(closed, voided=True, revenue="0")]
    void = replace(
        CHARGE, kind="void", config_type="charge", original=CHARGE.event_id, total="-4900", reason="goodwill"
    )
    server.activity.entries = [REGISTERED, CHARGE, replace(void, event_id=void.event_id + 65536)]
    server.activity.related = lambda entry: _these(server.activity.entries)  # type: ignore[method-assign]
    _, _, text = await server.get(f"/outcomes/{ID}", **server.signed_in())
    assert "goodwill" in text and "Void of the charge" in text and "Void this charge" not in text


async def _these(rows: Any) -> Any:
    return rows


@pytest.mark.parametrize("id", ["x", "oc_", "oc_01", "oc_12345", "12"])
async def test_an_unknown_outcome_is_a_404(server: Server, id: str) -> None:
    status, _, text = await server.get(f"/outcomes/{id}", **server.signed_in())
    assert status == 404 and "There is no outcome" in text


async def test_markup_is_shown_as_text(server: Server) -> None:
    detail = f'{{"success_criteria":{{"x":"{MARKUP[:25]}"}},"evidence":null}}'
    server.activity.states = [replace(OPEN, task_id=MARKUP, agent_id=MARKUP, customer_id=MARKUP, detail=detail)]
    server.activity.entries = [REGISTERED]
    for path in ("/outcomes", f"/outcomes/{ID}"):
        status, _, text = await server.get(path, **server.signed_in())
        assert status == 200 and "<script>alert" not in text and "<img" not in text and "&lt;script&gt;" in text
