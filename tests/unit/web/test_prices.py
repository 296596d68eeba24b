"""/prices: what a person types becomes exact cents, and a preview is what the pricer would charge."""

from typing import Any

import pytest

from schemas.commands import Rates
from schemas.money import PICO, format_cents
from schemas.price_match import PriceSlot
from schemas.quantities import QuantityRate
from schemas.rate_rules import canonical_rates
from schemas.tiers import Step, Tiers
from tests.unit.web.conftest import NOW, Server
from tests.unit.web.fake_gateway import FakeGateway
from tests.unit.web.test_replay import FOUND
from warehouse.replay import ChangedPrice
from warehouse.time_range import named
from web.views import price_form
from web.views.dollars import FormProblem
from web.views.price_form import body_of, fields_of, new_row, rows_of, typed_rate
from web.views.price_rows import UnitPrice, price_row
from web.web_refusals import invalid

ALL = "GET /api/admin/pricing?limit=1000"
FIELDS = {
    "action_type": "chat",
    "base": "0.005",
    "token": "3",
    "bonus": "0.0025",
    "quantity_1": "input",
    "rate_1": "$2.50 per million",
    "quantity_2": "images",
    "rate_2": "0.04",
}


@pytest.mark.parametrize(
    ("text", "cents", "per"),
    [
        ("2.50", "250", None),
        ("$2.50 per million", "250", 10**6),
        ("$ 1,234.5/1,000", "123450", 1000),
        (".5 PER 1M", "50", 10**6),
        ("3 per thousand tokens", "300", 1000),
        ("3 per 2 million", "300", 2 * 10**6),
        ("0.04 per unit", "4", 1),
        ("$0.00000000000001", "0.000000000001", None),
        ("10000000", "1000000000", None),
    ],
)
def test_dollars_become_exact_cents(text: str, cents: str, per: int | None) -> None:
    rate = typed_rate("Rate", text)
    assert (format_cents(rate.pico), rate.per) == (cents, per)


@pytest.mark.parametrize(
    "text",
    [
        *("", "$", "x", "-1", "1e3", "2.50 cents", "250¢", "€2", "1.2.3", "٣", "nan", "1 per", "1 per 0", "1 per x"),
        *("0.000000000000001", "10000000.01", "1 per 2 billion", "1 per million million"),
    ],
)
def test_what_is_not_dollars_names_the_field(text: str) -> None:
    with pytest.raises(FormProblem, match=r"^Rate of x must "):
        typed_rate("Rate of x", text)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"action_type": " "}, "Action is required"),
        ({"base": "1 per million"}, "Dollars per event must be an amount"),
        ({"token": "0.000000001"}, "Dollars per million tokens must have at most 12 decimals"),
        ({"rate_1": "2.50"}, "Rate of input must say for how many tokens"),
        ({"rate_1": ""}, "Rate of input must be dollars"),
        ({"quantity_1": "Input"}, "Quantity 1 must have a name"),
        ({"quantity_1": "tokens"}, "Quantity 1 must have a name"),
        ({"quantity_1": ""}, "Quantity 1 must have a name"),
        ({"quantity_2": "input"}, "Quantity input must have one rate"),
        ({"rate_2": "1 per 7"}, "Rate of images must have at most 12 decimals"),
    ],
)
def test_a_form_that_is_no_price_says_why(changes: dict[str, str], problem: str) -> None:
    with pytest.raises(FormProblem, match=f"^{problem}"):
        new_row({**FIELDS, **changes})


def test_a_form_is_the_body_that_the_api_takes() -> None:
    row = new_row({**FIELDS, "customer_id": " acme ", "model": "*", "provider": "p", "ignore_unknown": "1"})
    assert row.slot == PriceSlot("acme", "chat", None, "p")
    assert body_of(row) == {
        "action_type": "chat",
        "customer_id": "acme",
        "provider": "p",
        "base_rate_cents": "0.5",
        "token_rate_cents": "0.0003",
        "outcome_bonus_cents": "0.25",
        "rates": {"input": {"rate": "250", "per": 10**6}, "images": {"rate": "4", "per": 1}},
        "ignore_unknown": True,
    }
    rates = tuple(QuantityRate(name, one["rate"], one["per"]) for name, one in body_of(row)["rates"].items())
    canonical_rates(Rates("0.5", "0.0003", "0.25", rates))


def test_a_row_can_be_typed_again() -> None:
    row = new_row({**FIELDS, "rate_2": "0.07 per 7,000", "token": "0.00000001"})
    assert new_row(fields_of(row)) == row
    assert rows_of(fields_of(row)) == 3 and rows_of({"quantity_3": "x"}, price_form.MORE_ROWS) == 7


STEPS = "up to 1,000: $0\nup to 5000.5: $0.05 per unit\nthen: $20 per thousand"


def test_steps_and_a_start_are_typed_as_they_are_shown() -> None:
    """What the page shows of a step is what the form takes; the API gets exact cents."""
    row = new_row({"action_type": "chat", "stepped_1": "pages", "steps_1": STEPS, "effective_at": "2026-12-01T00:00"})
    assert body_of(row)["tiers"] == {
        "pages": [
            {"up_to": "1000", "rate": "0", "per": 1},
            {"up_to": "5000.5", "rate": "5", "per": 1},
            {"up_to": None, "rate": "2000", "per": 1000},
        ]
    }
    assert body_of(row)["effective_at"] == "2026-12-01T00:00:00.000Z"
    assert new_row(fields_of(row)).tiers == row.tiers
    assert row.words == "pages up to 1,000: $0.00 per unit; up to 5,000.5: $0.05 per unit; then: $20.00 per thousand"
    shown_again = price_row(shown(1, **{name: body_of(row)[name] for name in ("tiers", "effective_at")}))
    assert (shown_again.tiers, shown_again.effective_at) == (row.tiers, row.effective_at)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"stepped_1": "Pages"}, "Quantity in steps 1 must be event"),
        ({"stepped_1": "tokens"}, "Quantity in steps 1 must be event"),
        ({"stepped_1": ""}, "Quantity in steps 1 must be event"),
        ({"steps_1": ""}, "Steps of pages must end with"),
        ({"steps_1": "up to 5: $1"}, "Steps of pages must end with"),
        ({"steps_1": "then: $1\nthen: $2"}, "Steps of pages must end with"),
        ({"steps_1": "to 5: $1"}, "Steps of pages must be lines"),
        ({"steps_1": "up to 5: cheap\nthen: $1"}, "Steps of pages must be dollars"),
        ({"steps_1": "then: $1 per 7"}, "Steps of pages must have at most 12 decimals"),
        ({"stepped_1": "input", "steps_1": "then: $1"}, "Steps of input must say for how many tokens"),
        ({"stepped_2": "pages", "steps_2": "then: $1"}, "Steps of pages must be in one field"),
        ({"effective_at": "tomorrow"}, "In force from must be a time"),
    ],
)
def test_steps_that_are_none_say_why(changes: dict[str, str], problem: str) -> None:
    with pytest.raises(FormProblem, match=f"^{problem}"):
        new_row({"action_type": "chat", "stepped_1": "pages", "steps_1": STEPS, **changes})


def test_words_of_a_row_leave_out_what_is_nothing() -> None:
    row = new_row({"action_type": "*"})
    assert (row.words, row.action) == ("free", "any action")
    assert row._replace(rates=(UnitPrice("pages", PICO, 7000),)).words == "pages $0.01 per 7,000"


def shown(id: int, **changes: Any) -> dict[str, Any]:
    made = {"id": id, "customer_id": None, "action_type": "chat", "base_rate_cents": 1, "token_rate_cents": 0}
    made |= {"outcome_bonus_cents": 0, "is_active": True, "created_at": "2026-04-26T12:00:00.000Z", "ended_at": None}
    return {**made, **changes}


@pytest.fixture
def gateway(server: Server, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    made = FakeGateway(server, monkeypatch)
    rows = [shown(1), shown(2, customer_id="<b>", action_type="<i>", model="<u>", provider="<s>")]
    made.answers[ALL] = {"configs": rows, "next_cursor": None}
    return made


async def test_prices_are_listed_and_found(server: Server, gateway: FakeGateway) -> None:
    status, _, text = await server.get("/prices", **server.signed_in())
    assert status == 200 and ">default<" in text and "2 prices" in text
    assert not any(f"<{tag}><" in text or f"><{tag}>" in text for tag in ("i", "u")) and "&lt;i&gt;" in text
    _, _, text = await server.get("/prices?q=%3CI", **server.signed_in())
    assert "1 price" in text and ">default<" not in text
    _, _, text = await server.get("/prices?q=nothing", **server.signed_in())
    assert "No price is for “nothing”" in text
    past = shown(3, is_active=False, ended_at="2026-04-27T12:00:00.000Z")
    gateway.answers[f"{ALL}&history=1"] = {"configs": [past], "next_cursor": None}
    _, _, text = await server.get("/prices?history=1", **server.signed_in())
    assert 'class="past"' in text and "/prices/3/end" not in text
    assert (await server.get("/prices?history=2", **server.signed_in()))[0] == 400


async def test_a_whole_list_has_all_pages(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[ALL] = {"configs": [shown(1)], "next_cursor": "c/1"}
    gateway.answers[f"{ALL}&cursor=c%2F1"] = {"configs": [shown(9, action_type="last")], "next_cursor": None}
    _, _, text = await server.get("/prices", **server.signed_in())
    assert "2 prices" in text and ">last<" in text


async def test_a_price_is_previewed_then_saved(server: Server, gateway: FakeGateway) -> None:
    """The preview is a replay and changes nothing; it keeps what was typed for the confirmation in exact cents."""
    server.replay.found = FOUND
    status, _, text = await server.submit("/prices/preview", **FIELDS, step="preview")
    assert status == 200
    (query,) = server.replay.asked
    rates = (QuantityRate("images", "4"), QuantityRate("input", "250", 10**6))
    assert query.changes == [ChangedPrice(PriceSlot(None, "chat"), Rates("0.5", "0.0003", "0.25", rates))]
    assert (query.time, query.customer) == (named("30d", NOW), "")
    assert set(query.in_force) == {PriceSlot(None, "chat"), PriceSlot("<b>", "<i>", "<u>", "<s>")}
    for words in ('title="2.500000000001 cents"', 'title="0.499999999999 cents"', "no rate for &lt;b&gt;"):
        assert words in text, words
    assert "$0.01 per event" in text
    assert all(call.startswith("GET ") for call, _ in gateway.calls)
    for name, value in FIELDS.items():
        assert f'name="{name}" value="{value}"' in text
    gateway.answers["POST /api/admin/pricing"] = shown(3)
    status, headers, _ = await server.submit("/prices", **FIELDS)
    assert (status, headers["Location"]) == (303, "/prices?done=set")
    assert gateway.calls[-1] == ("POST /api/admin/pricing", body_of(new_row(FIELDS)))


async def test_a_wrong_form_is_shown_again(server: Server, gateway: FakeGateway) -> None:
    for path in ("/prices/preview", "/prices"):
        status, _, text = await server.submit(path, **{**FIELDS, "base": "<b>"})
        assert status == 400 and "Dollars per event must be dollars" in text and 'value="&lt;b&gt;"' in text
    gateway.answers["POST /api/admin/pricing"] = invalid("action_type 'outcome_charge' is reserved")
    status, _, text = await server.submit("/prices", **{**FIELDS, "action_type": "outcome_charge"})
    assert status == 400 and "is reserved" in text
    status, _, text = await server.submit("/prices/preview", **FIELDS, step="more")
    assert status == 200 and 'name="quantity_6"' in text and 'name="quantity_7"' not in text
    status, _, text = await server.submit("/prices/preview", **FIELDS, step="edit")
    assert status == 200 and 'value="$2.50 per million"' in text


async def test_a_form_begins_with_a_row_or_a_customer(server: Server, gateway: FakeGateway) -> None:
    _, _, text = await server.get("/prices/new?like=2", **server.signed_in())
    assert 'value="&lt;b&gt;"' in text and 'value="0.01"' in text
    _, _, text = await server.get("/prices/new?customer_id=acme&action_type=chat", **server.signed_in())
    assert 'value="acme"' in text and 'value="chat"' in text
    assert (await server.get("/prices/new?like=77", **server.signed_in()))[0] == 404


async def test_ending_a_price_asks_first(server: Server, gateway: FakeGateway) -> None:
    status, _, text = await server.get("/prices/1/end", **server.signed_in())
    assert status == 200 and "End this price?" in text
    gateway.answers["DELETE /api/admin/pricing/1"] = {"success": True, "deleted_id": 1}
    status, headers, _ = await server.submit("/prices/1/end")
    assert (status, headers["Location"]) == (303, "/prices?done=ended")
    assert gateway.calls[-1][0] == "DELETE /api/admin/pricing/1"
    assert (await server.get("/prices/77/end", **server.signed_in()))[0] == 404


async def test_a_price_with_steps_can_be_changed_and_one_with_more_cannot(server: Server, gateway: FakeGateway) -> None:
    """The form holds the steps, and a replay previews them; what the form has no field for, it does not drop."""
    server.replay.found = FOUND
    steps = {"input": [{"up_to": 5, "rate": 1, "per": 1}, {"up_to": None, "rate": 100, "per": 10**6}]}
    rows = [shown(1, tiers=steps), shown(2, tiers=steps, tier_mode="volume"), shown(3, action_type="other")]
    rows.append(shown(4, action_type="odd", discount_cents=1))
    gateway.answers[ALL] = {"configs": rows, "next_cursor": None}
    _, _, text = await server.get("/prices", **server.signed_in())
    assert "<code>input</code> in steps" in text and "up to 5: $0.01 per unit" in text
    _, _, text = await server.get("/prices/new?like=1", **server.signed_in())
    assert "up to 5: $0.01 per unit\nthen: $1.00 per million</textarea>" in text
    _, _, text = await server.get("/prices/new?like=2", **server.signed_in())
    assert '<option value="volume" selected>' in text
    status, _, text = await server.get("/prices/new?like=4", **server.signed_in())
    assert status == 400 and "has discount_cents" in text
    typed = {"action_type": "chat", "stepped_1": "input", "steps_1": "up to 5: $0.01 per unit\nthen: $1 per million"}
    status, _, text = await server.submit("/prices/preview", **typed, step="preview")
    assert status == 200 and "the last 30 days" in text
    (change,) = server.replay.asked[0].changes
    assert change.rates.tiers == (Tiers("input", (Step("5", "1"), Step(None, "100", 10**6))),)
    _, _, text = await server.submit("/prices/preview", **typed, tier_mode="volume", step="preview")
    assert "Last month and this one" in text and len(server.replay.asked) == 1
    gateway.answers[ALL] = {"configs": [rows[0], {**rows[1], "action_type": "volume"}, rows[2]], "next_cursor": None}
    _, _, text = await server.get("/replay", **server.signed_in())
    assert "<code>other</code>" in text and 'value="input=1 to 5, then 100/1000000"' in text
    assert "<code>volume</code>" not in text, "a replay does not settle months"


def test_a_month_is_typed_as_it_is_shown() -> None:
    """Minimum, cap and volume steps, in dollars, there and back; nothing is no bound, and 0 is one."""
    typed = {"action_type": "chat", "minimum": "5", "cap": "$1,000.50", "tier_mode": "volume"}
    row = new_row({**typed, "stepped_1": "pages", "steps_1": STEPS})
    body = body_of(row)
    assert (body["minimum_cents"], body["cap_cents"], body["tier_mode"]) == ("500", "100050", "volume")
    again = price_row(shown(1, **{name: body[name] for name in ("tiers", "minimum_cents", "cap_cents", "tier_mode")}))
    assert new_row(fields_of(again)) == row._replace(base=again.base)
    assert again.beyond == () and again.is_monthly
    assert again.words.endswith("of the whole month, at least $5.00 a month, at most $1,000.50 a month")
    free = new_row({"action_type": "chat", "cap": "0"})
    assert (free.minimum, free.cap, free.is_monthly) == (None, 0, True)
    assert new_row(fields_of(free)) == free
    plain = body_of(new_row({"action_type": "chat", "tier_mode": "graduated"}))
    assert not {"minimum_cents", "cap_cents", "tier_mode"} & set(plain)
    with pytest.raises(FormProblem, match="At most, a month must be dollars"):
        new_row({"action_type": "chat", "cap": "many"})


async def test_a_price_with_a_cap_is_not_replayed(server: Server, gateway: FakeGateway) -> None:
    """A replay does not settle months, and would write the row without its cap."""
    rows = [shown(1, minimum_cents=0, cap_cents=10000), shown(3, action_type="other")]
    gateway.answers[ALL] = {"configs": rows, "next_cursor": None}
    _, _, text = await server.get("/prices", **server.signed_in())
    assert "at least $0.00 a month, at most $100.00 a month" in text
    _, _, text = await server.get("/prices/new?like=1", **server.signed_in())
    assert 'value="100.00"' in text and 'name="minimum" type="text" autocomplete="off" value="0"' in text
    _, _, text = await server.submit("/prices/preview", action_type="chat", cap="100", step="preview")
    assert "Last month and this one" in text and server.replay.asked == []
    _, _, text = await server.get("/replay", **server.signed_in())
    assert "other" in text and "<code>chat</code>" not in text


async def test_a_price_can_wait_for_its_day(server: Server, gateway: FakeGateway) -> None:
    """It is previewed as if it were in force, scheduled with its start, listed apart, and can be cancelled."""
    server.replay.found = FOUND
    later = {"effective_at": "2026-12-01T00:00:00.000Z", "scheduled": True}
    gateway.answers[ALL] = {"configs": [shown(1), shown(2, action_type="later", **later)], "next_cursor": None}
    _, _, text = await server.get("/prices", **server.signed_in())
    assert "Scheduled" in text and "1 price<" in text and 'href="/prices/2/end">Cancel' in text
    _, _, text = await server.get("/prices/2/end", **server.signed_in())
    assert "It then never comes into force" in text
    typed = {**FIELDS, "effective_at": "2026-12-01T00:00"}
    _, _, text = await server.submit("/prices/preview", **typed, step="preview")
    assert "In force from" in text and ">Schedule</button>" in text
    gateway.answers["POST /api/admin/pricing"] = shown(3)
    _, headers, _ = await server.submit("/prices", **typed)
    assert headers["Location"] == "/prices?done=scheduled"
    assert gateway.calls[-1][1]["effective_at"] == "2026-12-01T00:00:00.000Z"
