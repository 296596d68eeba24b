"""/api/admin/pricing/replay and /replay: what is refused, what is asked of the ledger, and what is shown."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from schemas.commands import Rates
from schemas.limits import DAY
from schemas.price_match import PriceSlot
from schemas.quantities import QuantityRate
from schemas.tiers import Step, Tiers
from tests.unit.web.conftest import ADMIN, NOW, Server
from warehouse.errors import ReadsTooSlow, ReadsUnavailable
from warehouse.replay import (
    MAX_CHANGES,
    ChangedPrice,
    RegisteredRow,
    Replayed,
    ReplayQuery,
    ReplayRow,
    TooManyCompeting,
    parameters,
)
from warehouse.time_range import TimeRange, named
from web.data.replay_changes import changes_of, row_of
from web.views import replay_view
from web.web_refusals import Refusal

PATH = "/api/admin/pricing/replay"
FOUND = Replayed(
    [
        ReplayRow("action", "chat", "", 2, 2, 1, 0, "1.5", "0", "0", "0"),
        ReplayRow("all", "", "", 3, 2, 1, 1, "2.500000000001", "3", "7", "8"),
        ReplayRow("customer", "acme", "", 3, 2, 1, 1, "2.500000000001", "3", "7", "8"),
        ReplayRow("day", "2026-04-26", "", 1, 0, 0, 0, "1", "1", "0", "0"),
        ReplayRow("day", "2026-04-25", "", 2, 2, 1, 0, "1.500000000001", "2", "0", "0"),
        ReplayRow("refused", "chat", "no_rate:<b>", 1, 1, 1, 0, "1", "0", "0", "0"),
    ],
    RegisteredRow(1, "9.5"),
)
CHANGES: list[dict[str, Any]] = [{"action_type": "chat", "token_rate_cents": 0.0002}]


@pytest.fixture(autouse=True)
def _one_price(server: Server) -> None:
    """One price is in force: the default of chat."""
    chat = {"base_rate_cents": Decimal("0.1"), "token_rate_cents": Decimal("0.0001"), "outcome_bonus_cents": 0}
    server.gateway.pages = [[{"id": 1, "customer_id": None, "action_type": "chat", **chat}]]


async def post(server: Server, body: Any, token: str = ADMIN) -> tuple[int, Any]:
    """Status and JSON of a replay; text is sent as it is."""
    text = body if isinstance(body, str) else json.dumps(body)
    assert server.session is not None
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with server.session.post(server.url + PATH, data=text, headers=headers) as response:
        return response.status, json.loads(await response.text(), parse_float=Decimal)


async def test_the_response_is_exact_and_adds_up(server: Server) -> None:
    server.replay.found = FOUND
    status, found = await post(server, {"from": "2026-04-25", "to": "2026-04-27T00:00:00Z", "changes": CHANGES})
    assert status == 200, found
    (query,) = server.replay.asked
    assert query.time == TimeRange(NOW - NOW % DAY - DAY, NOW - NOW % DAY + DAY)
    assert query.changes == [ChangedPrice(PriceSlot(None, "chat"), Rates("0", "0.0002", "0"))]
    assert query.in_force == [PriceSlot(None, "chat")] and query.customer == ""
    assert (found["from"], found["to"]) == ("2026-04-25T00:00:00.000Z", "2026-04-27T00:00:00.000Z")
    assert found["total"] == {
        "events": 3,
        "repriced": 2,
        "refused": 1,
        "actual_cents": Decimal("2.500000000001"),
        "replayed_cents": 3,
        "difference_cents": Decimal("0.499999999999"),
    }
    others = found["actions"][1]
    assert (others["others"], others["events"], others["replayed_cents"]) == (1, 1, 3)
    assert [day["day"] for day in found["days"]] == ["2026-04-25", "2026-04-26"]
    assert found["refused"] == [
        {"action": "chat", "reason": "no_rate", "quantity": "<b>", "events": 1, "actual_cents": 1}
    ]
    assert found["pending"] == {"outcomes": 1, "actual_cents": 7, "replayed_cents": 8}
    assert found["not_replayed"] == {"registered_outcomes": 1, "charged_cents": Decimal("9.5")}


async def test_absent_times_are_the_last_thirty_days(server: Server) -> None:
    assert (await post(server, {"changes": [], "customer_id": "acme"}))[0] == 200
    assert server.replay.asked[0].time == named("30d", NOW) and server.replay.asked[0].customer == "acme"


def _stepped(*steps: Any) -> Any:
    return {"changes": [{"action_type": "a", "tiers": {"x": list(steps)}}]}


BAD: list[tuple[Any, str]] = [
    ("{", "the body must be JSON"),
    ('{"changes": [], "from": NaN}', "the body must be JSON"),
    ("[" * 100_000, "the body must be JSON"),
    ([], "the body must be a JSON object"),
    ({}, "changes is required"),
    ({"changes": {}}, "changes must be a list"),
    ({"changes": [1]}, "changes[0] must be an object"),
    ({"changes": [], "since": 1}, "since is unknown"),
    ({"changes": [], "from": 5}, "from must be text"),
    ({"changes": [], "from": "yesterday"}, "from must be an ISO 8601 time"),
    ({"changes": [], "to": "2026-02-30"}, "to is not a time that exists"),
    ({"changes": [], "from": "2026-04-26", "to": "2026-04-26"}, "from must be before to"),
    ({"changes": [], "from": "2024-04-26", "to": "2026-04-26"}, "from must be at most 366 days"),
    ({"changes": [{}]}, "changes[0].action_type is required"),
    ({"changes": [{"action_type": ""}]}, "changes[0].action_type must be text"),
    ({"changes": [{"action_type": "a", "x": 1}]}, "changes[0].x is unknown"),
    ({"changes": [{"action_type": "a", "base_rate_cents": -1}]}, "changes[0].base_rate_cents must not be negative"),
    ({"changes": [{"action_type": "a", "base_rate_cents": True}]}, "changes[0].base_rate_cents must be a number"),
    ({"changes": [{"action_type": "a", "token_rate_cents": "1e-13"}]}, "changes[0].token_rate_cents must have at most"),
    (
        {"changes": [{"action_type": "a", "outcome_bonus_cents": 1e10}]},
        "changes[0].outcome_bonus_cents must be at most",
    ),
    ({"changes": [{"action_type": "a", "ignore_unknown": 1}]}, "changes[0].ignore_unknown must be true"),
    ({"changes": [{"action_type": "a", "rates": []}]}, "changes[0].rates must be an object"),
    ({"changes": [{"action_type": "a", "rates": {"A": 1}}]}, "changes[0].rates.A must have a name"),
    ({"changes": [{"action_type": "a", "rates": {"tokens": 1}}]}, "changes[0].rates.tokens has a reserved name"),
    ({"changes": [{"action_type": "a", "rates": {"x": None}}]}, "changes[0].rates.x must be a number"),
    ({"changes": [{"action_type": "a", "rates": {"x": {"per": 2}}}]}, "changes[0].rates.x must have a rate"),
    ({"changes": [{"action_type": "a", "rates": {"x": {"rate": 1, "per": 0}}}]}, "changes[0].rates.x.per must be"),
    (
        {"changes": [{"action_type": "a", "rates": {"x": {"rate": 1, "per": 3}}}]},
        "changes[0].rates.x must have at most",
    ),
    ({"changes": [{"action_type": "a", "minimum_cents": 1}]}, "changes[0].minimum_cents must be absent"),
    ({"changes": [{"action_type": "a", "cap_cents": None}]}, "changes[0].cap_cents must be absent"),
    ({"changes": [{"action_type": "a", "tier_mode": "volume"}]}, "changes[0].tier_mode must be graduated"),
    ({"changes": [{"action_type": "a", "tiers": []}]}, "changes[0].tiers must be an object"),
    ({"changes": [{"action_type": "a", "tiers": {"x": 1}}]}, "changes[0].tiers must be an object"),
    ({"changes": [{"action_type": "a", "tiers": {"x": []}}]}, "changes[0].tiers.x must have 1 to 32 steps"),
    ({"changes": [{"action_type": "a", "tiers": {"x": [1]}}]}, "changes[0].tiers.x[0] must have up_to and rate"),
    (_stepped({"rate": 1}), "changes[0].tiers.x[0] must have up_to and rate"),
    (_stepped({"up_to": None, "rate": 1, "flat": 1}), "changes[0].tiers.x[0] must have up_to and rate, and may have"),
    (_stepped({"up_to": None, "rate": None}), "changes[0].tiers.x[0].rate must be a number"),
    (_stepped({"up_to": None, "rate": -1}), "changes[0].tiers.x[0].rate must not be negative"),
    (_stepped({"up_to": None, "rate": 1, "per": 0}), "changes[0].tiers.x[0].per must be an integer"),
    (_stepped({"up_to": None, "rate": 1, "per": 3}), "changes[0].tiers.x[0] must have at most 12 decimals"),
    (_stepped({"up_to": True, "rate": 1}), "changes[0].tiers.x[0].up_to must be a number"),
    (_stepped({"up_to": "1e3", "rate": 1}), "changes[0].tiers.x[0].up_to must be"),
    (_stepped({"up_to": 5, "rate": 1}), "changes[0].tiers.x must end with a step whose up_to is null"),
    (_stepped({"up_to": 5, "rate": 1}, {"up_to": 5, "rate": 1}, {"up_to": None, "rate": 1}), "changes[0].tiers.x[1]"),
    (
        {"changes": [{"action_type": "a", "base_rate_cents": 1, "tiers": {"event": [{"up_to": None, "rate": 1}]}}]},
        "changes[0].tiers.event must not be given together with base_rate_cents",
    ),
    ({"changes": [{"action_type": "a"}, {"action_type": "a", "model": "*"}]}, "changes[1] is for the same customer"),
    ({"changes": [{"action_type": "a"}] * (MAX_CHANGES + 1)}, "changes must be at most 100 rows"),
]


@pytest.mark.parametrize(("body", "error"), BAD, ids=[error for _, error in BAD])
async def test_bad_input_names_the_field(server: Server, body: Any, error: str) -> None:
    status, refused = await post(server, body)
    assert (status, refused["code"]) == (400, "invalid_request")
    assert refused["error"].startswith(error)
    assert server.replay.asked == []


async def test_failures_are_said(server: Server) -> None:
    for error, status, code in (
        (TooManyCompeting("name a customer_id"), 400, "invalid_request"),
        (ReadsTooSlow("replay"), 503, "too_slow"),
        (ReadsUnavailable("replay"), 503, "reads_unavailable"),
    ):
        server.replay.error = error
        found, refused = await post(server, {"changes": CHANGES})
        assert (found, refused["code"]) == (status, code)
    assert (await post(server, {"changes": CHANGES}, token="wrong"))[0] == 401


def test_a_row_survives_being_written() -> None:
    """The page's address, the API and the form mean the same row."""
    rates = Rates("0.1", "0", "2", (QuantityRate("images", "1.5"), QuantityRate("input", "250", 10**6)), True)
    change = ChangedPrice(PriceSlot("acme", "*", "m", None), rates)
    assert changes_of([row_of(change)]) == [change]
    text = replay_view.rates_text(rates.quantities)
    assert text == "images=1.5, input=250/1000000"
    assert replay_view.rates_from(text, "rates") == rates.quantities
    tiers = (
        Tiers("event", (Step("100", "0"), Step(None, "1.5"))),
        Tiers("input", (Step("1000000", "3", 1000), Step("2000000", "2", 1000), Step(None, "1"))),
    )
    stepped = ChangedPrice(PriceSlot(None, "chat"), Rates("0", "0.1", "0", (), False, tiers))
    assert changes_of([row_of(stepped)]) == [stepped]
    text = replay_view.steps_text(tiers)
    assert text == "event=0 to 100, then 1.5; input=3/1000 to 1000000, then 2/1000 to 2000000, then 1"
    assert replay_view.steps_from(text, "steps") == tiers
    for wrong in ("input", "input=1 to", "input=1/x to 5", "input=1; input=2", "input=1 to 5, 2", "input=1 to x"):
        with pytest.raises(Refusal):
            replay_view.steps_from(wrong, "steps")
    for wrong in ("images", "images=", "images=1/0", "images=1/x", "images=1, images=2", "images=1/"):
        with pytest.raises(Refusal):
            replay_view.rates_from(wrong, "rates")


def test_parameters_take_only_rows_that_compete() -> None:
    """A row competes if it may win over a change for the same event."""
    change = ChangedPrice(PriceSlot(None, "chat"), Rates("1", "0", "0"))
    rows = [
        PriceSlot(None, "*"),
        PriceSlot(None, "chat"),
        PriceSlot(None, "chat", "m"),
        PriceSlot("a", "*"),
        PriceSlot("b", "chat"),
        PriceSlot("b", "search"),
    ]
    found = parameters(ReplayQuery(TimeRange(0, 1), "", [change], rows))
    assert (found["customers"], found["models"]) == (["", "a", "b"], ["", "m"])
    assert found["changes"] == [-1, 1, 0, 0, 0]
    assert parameters(ReplayQuery(TimeRange(0, 1), "b", [change], rows))["customers"] == ["", "b"]


async def test_the_page_shows_a_scenario_and_how_to_apply_it(server: Server) -> None:
    server.replay.found = FOUND
    changes = quote(json.dumps([{"action_type": "<script>", "base_rate_cents": "3"}]))
    status, _, text = await server.get(f"/replay?from=2026-04-25&to=2026-04-27&changes={changes}", **server.signed_in())
    assert status == 200
    assert "<script>" not in text.replace('<script type="module"', "") and "no rate for &lt;b&gt;" in text
    assert 'title="2.500000000001 cents"' in text and 'title="0.499999999999 cents"' in text
    assert "curl" in text and "base_rate_cents" in text


async def test_the_form_becomes_an_address(server: Server) -> None:
    """Only rows that differ from what is in force are changes; an empty new row is none."""
    cookies = server.signed_in()
    _, _, page = await server.get("/replay", **cookies)
    token = page.split('name="form_token" value="')[1].split('"')[0]
    slot = json.dumps(PriceSlot(None, "chat"))
    form = {"form_token": token, "from": "2026-04-25", "to": "2026-04-27", "customer_id": "acme"}
    rates = {"slot:1": slot, "base:1": "0.10", "token:1": "0.0001", "bonus:1": "", "rates:1": ""}
    status, headers, _ = await server.send("POST", "/replay", form | rates, **cookies)
    assert status == 303 and "changes" not in headers["Location"]
    new = {"action:new": "a b", "model:new": "m", "customer:new": "", "base:new": "2", "rates:new": "images=1/4"}
    changed = {**rates, "token:1": "0.0003", **new}
    _, headers, _ = await server.send("POST", "/replay", form | changed, **cookies)
    query = parse_qs(urlsplit(headers["Location"]).query)
    assert query["customer_id"] == ["acme"]
    assert json.loads(query["changes"][0]) == [
        {"action_type": "chat", "base_rate_cents": "0.1", "token_rate_cents": "0.0003"},
        {"action_type": "a b", "model": "m", "base_rate_cents": "2", "rates": {"images": {"rate": "1", "per": 4}}},
    ]
    steps = {"steps:1": "event=0 to 100, then 1.5", "base:1": ""}
    _, headers, _ = await server.send("POST", "/replay", form | rates | steps, **cookies)
    (row,) = json.loads(parse_qs(urlsplit(headers["Location"]).query)["changes"][0])
    assert row["tiers"] == {"event": [{"up_to": "100", "rate": "0"}, {"up_to": None, "rate": "1.5"}]}
    fields = {"base:1": "x", "slot:1": "[1]", "rates:1": "images", "steps:1": "event", "from": "x"}
    for wrong in (*({name: text} for name, text in fields.items()), {"slot:1": "{"}, {"steps:1": "=1"}):
        assert (await server.send("POST", "/replay", form | changed | wrong, **cookies))[0] == 400
    assert (await server.send("POST", "/replay", {**form, "form_token": "x"}, **cookies))[0] == 403


@pytest.mark.parametrize(
    ("rates", "summed"),
    [
        (Rates("0", "333", "0"), True),
        (Rates("0", "334", "0"), False),
        (Rates("1000000000", "0", "1000000000", (QuantityRate("images", "9979", 1),)), True),
        (Rates("1000000000", "0", "1000000000", (QuantityRate("images", "9981", 1),)), False),
        (Rates("0", "0", "0", (QuantityRate("input", "334", 1),)), False),
        (Rates("0", "0", "0", (QuantityRate("input", "1000000", 10**6),)), True),
    ],
)
def test_events_are_summed_while_none_can_cost_too_much(rates: Rates, summed: bool) -> None:
    """At most 10^9 tokens of three kinds and 10^8 units, each at the highest rate, stay within 10^12 cents."""
    change = ChangedPrice(PriceSlot(None, "chat"), rates)
    assert parameters(ReplayQuery(TimeRange(0, 1), "", [change], []))["summed"] is summed
