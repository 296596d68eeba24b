"""Prepaid credit and budgets: what the owner and the customer see, and what the owner's forms send."""

from typing import Any

import pytest

from tests.unit.web.conftest import NOW, Server
from tests.unit.web.fake_gateway import FakeGateway
from tests.unit.web.test_customers import ID, customer
from tests.unit.web.test_portal import signed_in
from warehouse.account_rows import GrantRow
from web.views import spending_form, spending_view
from web.views.dollars import FormProblem
from web.web_refusals import Refusal

PATH = "/customers/acme%2Fcorp/spending"
API = "/api/admin/customers/acme%2Fcorp"
CREDITS = "GET /api/admin/credits?customer_id=acme%2Fcorp&mode="
BUDGETS = "GET /api/admin/budgets?customer_id=acme%2Fcorp"


def budget(**changes: Any) -> dict[str, Any]:
    made = {"id": 5, "customer_id": ID, "scope": "agent", "value": "<i>", "period": "month", "limit_cents": 500}
    made |= {"hard": True, "spent_cents": 125, "left_cents": 375, "period_start": "2026-04-01T00:00:00.000Z"}
    made |= {"period_end": "2026-05-01T00:00:00.000Z", "created_at": "2026-04-02T00:00:00.000Z", "test": False}
    return {**made, **changes}


def grant(id: int, used: str, expires: str = "null") -> GrantRow:
    detail = (
        f'{{"id":{id},"amount_cents":0.300000000001,"reason":"<b>gift","priority":50,"expires_at":{expires},'
        '"created_at":"2026-04-02T00:00:00.000Z"}'
    )
    return GrantRow(id, "admin", detail, used)


@pytest.fixture
def gateway(server: Server, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    made = FakeGateway(server, monkeypatch)
    made.answers[f"GET {API}"] = customer()
    for mode, test in (("live", False), ("test", True)):
        made.answers[CREDITS + mode] = {"customer_id": ID, "balance_cents": 12, "grants": [], "test": test}
    other = budget(id=6, test=True, scope="all", value="", period="total", period_end=None, hard=False)
    made.answers[BUDGETS] = {
        "customer_id": ID,
        "budgets": [budget(), budget(id=7, spent_cents=600, left_cents=0), other],
    }
    server.accounts.granted = [grant(9, "0.1"), grant(8, "0.300000000001"), grant(7, "0", '"2026-04-03T00:00:00.000Z"')]
    return made


async def test_the_owner_sees_one_mode_with_exact_amounts(server: Server, gateway: FakeGateway) -> None:
    """The shard's balance and budgets beside the ledger's grants; markup is text."""
    status, _, text = await server.get(PATH, **server.signed_in())
    assert status == 200 and server.accounts.asked == [(ID, False)]
    for words in (
        *('title="12 cents"', "&lt;b&gt;gift", "&lt;i&gt;", ">used up<", ">expired<", ">reached<", "1 reached"),
        *('title="0.200000000001 cents"', "$3.75", f"{PATH}/budgets/5/delete?mode=live"),
    ):
        assert words in text, words
    assert "/budgets/6/delete" not in text
    _, _, text = await server.get(f"{PATH}?mode=test", **server.signed_in())
    assert "/budgets/6/delete" in text and "/budgets/5/delete" not in text and server.accounts.asked[-1] == (ID, True)
    assert (await server.get(f"{PATH}?mode=both", **server.signed_in()))[0] == 400


async def test_what_reservations_hold_is_shown(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[f"{CREDITS}live"]["held_cents"] = 7
    gateway.answers[BUDGETS]["budgets"][0] |= {"held_cents": 25, "left_cents": 350}
    _, _, text = await server.get(PATH, **server.signed_in())
    assert "$0.07 of it held by reservations" in text and "$0.25</data> held" in text and "$3.50" in text
    _, _, text = await server.get("/portal/spending", **signed_in(server))
    assert "$0.07 of it held by reservations" in text


async def test_nothing_yet_says_what_to_do(server: Server, gateway: FakeGateway) -> None:
    server.accounts.granted = []
    gateway.answers[BUDGETS] = {"customer_id": ID, "budgets": []}
    _, _, text = await server.get(PATH, **server.signed_in())
    assert "Grant some below" in text and "Set one below" in text
    _, _, text = await server.get("/portal/spending", **signed_in(server))
    assert "You have no prepaid credit" in text and "below" not in text


async def test_the_customer_sees_its_own_and_changes_nothing(server: Server, gateway: FakeGateway) -> None:
    status, _, text = await server.get("/portal/spending", **signed_in(server))
    assert status == 200 and "&lt;b&gt;gift" in text and "/delete" not in text and "Grant credit" not in text
    assert server.accounts.asked == [(ID, False)]
    status, headers, _ = await server.get("/portal/spending")
    assert status == 303 and "/portal/login" in headers["Location"]


async def test_a_grant_is_dollars_in_and_exact_cents_out_once(server: Server, gateway: FakeGateway) -> None:
    """One form sent twice has one idempotency key; another page has another."""
    gateway.answers["POST /api/admin/credits"] = {}
    given = {
        "amount": "1,000.005",
        "reason": " gift ",
        "expires": "2026-12-31",
        "priority": "10",
        "mode": "live",
        "category": "paid",
    }
    status, headers, _ = await server.submit(f"{PATH}/credit", **given)
    assert (status, headers["Location"]) == (303, f"{PATH}?mode=live&done=granted")
    call, body = gateway.calls[-1]
    key = body.pop("idempotency_key")
    assert (call, body) == (
        "POST /api/admin/credits",
        {
            **{
                "customer_id": ID,
                "amount_cents": "100000.5",
                "reason": "gift",
                "test": False,
                "priority": 10,
                "category": "paid",
            },
            "expires_at": "2027-01-01T00:00:00Z",
        },
    )
    await server.submit(f"{PATH}/credit", **given)
    assert gateway.calls[-1][1]["idempotency_key"] != key
    assert spending_form.key("a") == spending_form.key("a") != spending_form.key("b")


async def test_a_budget_is_set_and_deleted_after_a_question(server: Server, gateway: FakeGateway) -> None:
    gateway.answers["POST /api/admin/budgets"] = {}
    given = {"scope": "model", "value": "m1", "limit": "5", "period": "day", "hard": "0", "mode": "test"}
    status, headers, _ = await server.submit(f"{PATH}/budget", **given)
    assert (status, headers["Location"]) == (303, f"{PATH}?mode=test&done=budget")
    body = gateway.calls[-1][1]
    del body["idempotency_key"]
    assert body == {
        **{"customer_id": ID, "test": True, "scope": "model", "value": "m1", "period": "day"},
        **{"limit_cents": "500", "hard": False},
    }
    status, _, text = await server.get(f"{PATH}/budgets/5/delete?mode=live", **server.signed_in())
    assert status == 200 and "Delete this budget?" in text and "$1.25" in text
    assert (await server.get(f"{PATH}/budgets/6/delete?mode=live", **server.signed_in()))[0] == 404
    gateway.answers["DELETE /api/admin/budgets/5?customer_id=acme%2Fcorp"] = {"success": True, "deleted_id": 5}
    status, headers, _ = await server.submit(f"{PATH}/budgets/5/delete", mode="live")
    assert (status, headers["Location"]) == (303, f"{PATH}?mode=live&done=deleted")


async def test_what_credit_does_not_cover_can_be_refused(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[f"PATCH {API}"] = customer(on_empty="refuse")
    status, _, _ = await server.submit(f"{PATH}/on-empty", on_empty="refuse", mode="live")
    assert status == 303 and gateway.calls[-1] == (f"PATCH {API}", {"on_empty": "refuse"})
    assert (await server.submit(f"{PATH}/on-empty", on_empty="free"))[0] == 400
    gateway.answers[f"GET {API}"] = customer(on_empty="refuse")
    _, _, text = await server.get(PATH, **server.signed_in())
    assert '<option value="refuse" selected>' in text


@pytest.mark.parametrize(
    ("kind", "given", "problem"),
    [
        ("credit", {"amount": "0"}, "Amount must be more than $0"),
        ("credit", {"amount": "<b>"}, "Amount must be dollars"),
        ("credit", {"amount": "99999999999999"}, "Amount must be at most $10,000,000,000.00"),
        ("credit", {"reason": " "}, "Reason is required"),
        ("credit", {"priority": "7"}, "Drawn must be one of"),
        ("credit", {"category": "bonus"}, "Credit must be one of"),
        ("credit", {"expires": "tomorrow"}, "Last day must be a date"),
        ("budget", {"scope": "team"}, "For must be one of"),
        ("budget", {"scope": "all", "value": "x"}, "Name must be empty for everything"),
        ("budget", {"value": ""}, "Name is required for one Agent"),
        ("budget", {"limit": ""}, "Limit must be dollars"),
        ("budget", {"period": "week"}, "Period must be one of"),
        ("budget", {"hard": "2"}, "A budget must be one of"),
    ],
)
async def test_a_wrong_form_is_shown_again(
    server: Server, gateway: FakeGateway, kind: str, given: dict[str, str], problem: str
) -> None:
    """With what was typed, and nothing is sent."""
    right = {"amount": "5", "reason": "gift"}
    if kind == "budget":
        right = {"scope": "agent", "value": "a", "limit": "5", "period": "day", "hard": "1"}
    fields = {**right, **given}
    status, _, text = await server.submit(f"{PATH}/{kind}", **fields)
    assert status == 400 and problem in text.replace("&lt;", "<")
    assert not any(call.startswith("POST") for call, _ in gateway.calls)
    body_of = spending_form.grant_body if kind == "credit" else spending_form.budget_body
    with pytest.raises(FormProblem):
        body_of(ID, False, fields, "once")


async def test_what_the_api_refuses_is_said_in_the_form(server: Server, gateway: FakeGateway) -> None:
    gateway.answers["POST /api/admin/credits"] = Refusal(409, "too_many", "a customer may have at most 100 grants")
    status, _, text = await server.submit(f"{PATH}/credit", amount="5", reason="more")
    assert status == 400 and "at most 100 grants" in text and 'value="more"' in text


def test_shares_are_whole_and_never_beyond_the_bar() -> None:
    balance = {"balance_cents": 0, "test": False}
    rows = [budget(spent_cents=spent, limit_cents=limit) for spent, limit in ((0, 0), (1, 3), (7, 3), (-1, 3))]
    view = spending_view.assemble(balance, rows, [], NOW)
    assert [one.share for one in view.budgets] == [100, 33, 100, 0]
