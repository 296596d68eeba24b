"""Customers, prices, keys and the audit trail on a whole `rev up`: a walk in a browser, and figures against SQL."""

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest

from tests.integration.web.owner import Owner
from tests.integration.web.test_pages_in_a_browser import keep, open_tab, sign_in

pytestmark = pytest.mark.integration
__all__ = ["open_tab"]
Eventually = Callable[..., Awaitable[None]]
COUNTED = "NOT test AND kind IN ('event', 'charge', 'void')"
EVENT = {"agent_id": "agent-walk", "action": "completion", "tokens": 2400, "outcome": "success"}
PREVIEWED = {"action_type": "completion", "customer_id": "figures-corp", "base": "0.01", "token": "5", "bonus": "0"}


async def test_a_key_is_made_used_priced_and_revoked(
    owner: Owner, open_tab: Callable[..., Any], eventually: Eventually
) -> None:
    """As an owner does it: copy the key, see its event, set a price for its customer, see it apply, revoke the key."""
    tab = await open_tab(1280, "light")
    page = tab.page
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await sign_in(tab, owner)

    await page.get_by_role("link", name="API keys").click()
    await page.get_by_label("Customer id").fill("walk/corp")
    await page.get_by_label("Customer name").fill("Walk & Co")
    await page.get_by_role("button", name="Create key").click()
    await page.get_by_role("button", name="Copy").click()
    await page.get_by_text("Copied", exact=True).wait_for()
    await keep(tab, "key-made")
    key = await page.evaluate("navigator.clipboard.readText()")
    status, made = await owner.call("POST", "/v1/meter", EVENT, key)
    assert (status, made["price"]["total_cents"]) == (201, Decimal("1.47"))

    async def arrived() -> bool:
        await page.goto(owner.url + "/customers/walk%2Fcorp")
        return bool(await page.locator(f'a[href="/events/{made["event_id"]}"]').count())

    await eventually(arrived)
    assert await page.get_by_text("$0.0147", exact=True).count() == 1

    await page.get_by_role("link", name="Set a price").click()
    assert await page.get_by_label("Customer id").input_value() == "walk/corp"
    await page.get_by_label("Action").fill("completion")
    await page.get_by_label("Dollars per event").fill("0.10")
    await page.get_by_label("Quantity 1").fill("input")
    await page.get_by_label("Dollars, and per how many").first.fill("$2.50 per million")
    await page.get_by_role("button", name="Preview").click()
    await page.get_by_role("heading", name="Put this price into force?").wait_for()
    assert await page.locator(".figure .number").all_inner_texts() == ["$0.01", "$0.10", "+$0.09"]
    await keep(tab, "price-preview")
    await page.get_by_role("button", name="Put into force").click()
    await page.get_by_text("The price is in force.").wait_for()
    row = page.locator("tr", has_text="Walk & Co")
    assert "$2.50 per million" in await row.inner_text()
    status, made = await owner.call("POST", "/v1/meter", {**EVENT, "tokens_input": 2000, "tokens_output": 400}, key)
    assert (status, made["price"]["total_cents"]) == (201, Decimal("10.5"))

    await page.goto(owner.url + "/keys")
    await page.locator("tr", has_text="Walk & Co").get_by_role("link", name="Revoke").click()
    await page.get_by_role("button", name="Revoke key").click()
    await page.get_by_text("The key is revoked").wait_for()

    async def refused() -> bool:
        return (await owner.call("POST", "/v1/meter", EVENT, key))[0] == 401

    await eventually(refused)

    async def audited() -> bool:
        await page.goto(owner.url + "/audit")
        return bool(await page.locator("li", has_text="Revoked API key").count())

    await eventually(audited)
    assert await page.locator("li", has_text="Set the price of completion").count() >= 1
    tab.check()


@pytest.fixture
async def charged(owner: Owner, eventually: Eventually) -> Owner:
    """A stack whose customer figures-corp has events of two actions, an open outcome and one that succeeded."""
    key = await owner.key("figures-corp", customer_name="Figures")
    for body in ({"action": "completion", "tokens": 2401, "outcome": "success"}, {"action": "chat", "tokens": 7}):
        assert (await owner.call("POST", "/v1/meter", {"agent_id": "f", **body}, key))[0] == 201
    pending = {"agent_id": "g", "action": "completion", "tokens": 100, "outcome": "pending"}
    opened = [(await owner.call("POST", "/v1/meter", pending, key))[1]["outcome_id"] for _ in range(2)]
    assert (await owner.call("POST", f"/v1/outcomes/{opened[0]}/resolve", {"success": True}, key))[0] == 200

    async def all_there() -> bool:
        (row,) = await owner.sql(f"SELECT count() AS n FROM rev.entries WHERE outcome_id = '{opened[0]}'")
        return bool(row["n"] == "2")

    await eventually(all_there)
    return owner


async def test_figures_of_customers_equal_the_ledger(charged: Owner) -> None:
    """The list, one customer, and the preview of a price, each to the last decimal against a query of its own."""
    cookie = await charged.sign_in()

    async def shown(path: str) -> str:
        answer = await charged.page("GET", path, Cookie=cookie)
        assert answer.status == 200
        return str(await answer.text())

    rows = await charged.sql(
        "SELECT customer_id AS id, sum(total_cents) AS cents FROM rev.entries "
        # other modules charge for the month before, which the page leaves out
        f"WHERE {COUNTED} AND event_time > now() - INTERVAL 25 DAY GROUP BY id ORDER BY cents DESC, id"
    )
    text = await shown("/customers")
    listed = re.findall(r'href="/customers/([^"?]+)".*?<data class="money" value="([^"]+)"', text, re.DOTALL)
    sums = {unquote(id): Decimal(cents) for id, cents in listed}
    assert {row["id"]: Decimal(row["cents"]) for row in rows}.items() <= sums.items()
    (row,) = [row for row in rows if row["id"] == "figures-corp"]
    text = await shown("/customers/figures-corp")
    assert f'title="{Decimal(row["cents"]).normalize():f} cents"' in text
    assert "Figures" in text and text.count("/events/") >= 4

    token = re.search(r'name="form_token" value="([^"]+)"', text)
    assert token
    form = {"form_token": token[1], **PREVIEWED}
    answer = await charged.page("POST", "/prices/preview", form, Cookie=cookie)
    numbers = re.findall(r'<span class="number" title="([^" ]+) cents?"', await answer.text())
    (row,) = await charged.sql(
        "WITH action = 'completion' AS changed SELECT sum(total_cents) AS actual, sumIf(total_cents, NOT changed)"
        " + sumIf(1 + tokens * toDecimal128('0.0005', 12), kind = 'event' AND changed) AS would_be "
        f"FROM rev.entries WHERE {COUNTED} AND customer_id = 'figures-corp'"
    )
    assert [Decimal(number) for number in numbers[:2]] == [Decimal(row["actual"]), Decimal(row["would_be"])]
    assert "1 outcome is still pending and in no sum" in await answer.text()


async def test_a_price_with_a_cap_is_previewed_by_month(
    owner: Owner, open_tab: Callable[..., Any], eventually: Eventually
) -> None:
    """What the page says it would have charged is what the ledger's counts give."""
    price = {"action_type": "pages.translated", "base_rate_cents": 3}
    assert (await owner.call("POST", "/api/admin/pricing", price))[0] == 201
    for customer, count in (("capped-one", 1), ("capped-two", 5)):
        key = await owner.key(customer)
        events = [{"agent_id": "agent-translate", "action": "pages.translated"}] * count
        assert (await owner.call("POST", "/v1/meter/batch", {"events": events}, key))[0] == 201
    counts = (
        "SELECT customer_id, toStartOfMonth(recorded_at) AS month, count() AS n FROM rev.entries"
        " WHERE kind = 'event' AND action = 'pages.translated' AND NOT test GROUP BY customer_id, month"
    )
    totals = f"SELECT toString(sum(n)) AS events, toString(sum(least(n * 2, 6)) / 100) AS capped FROM ({counts})"

    async def counted() -> bool:
        return bool((await owner.sql(totals))[0]["events"] == "6")

    await eventually(counted)
    tab = await open_tab(390, "dark")
    await sign_in(tab, owner)
    await tab.page.goto(owner.url + "/prices/new?action_type=pages.translated")
    await tab.page.get_by_label("Dollars per event").fill("0.02")
    await tab.page.get_by_label("At most, in dollars").fill("0.06")
    tab.axe = True
    await tab.page.get_by_role("button", name="Preview").click()
    await tab.page.get_by_role("heading", name="By month").wait_for()
    figures = await tab.page.locator(".figure .number").all_inner_texts()
    assert figures == ["$0.18", f"${(await owner.sql(totals))[0]['capped']}", "−$0.10"]
    assert await tab.page.evaluate("document.documentElement.scrollWidth") == 390
    await keep(tab, "price-months")
    tab.check()
