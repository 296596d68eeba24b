"""Two walks in a browser: an owner from a replay to prices in force, and a customer from its event to its outcome."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.web.owner import Owner
from tests.integration.web.test_pages_in_a_browser import LATER, keep, open_tab, sign_in, sign_in_to_portal

pytestmark = pytest.mark.integration
__all__ = ["open_tab"]
Eventually = Callable[..., Awaitable[None]]
EVENT = {"agent_id": "agent-walk", "action": "completion", "tokens": 2400, "outcome": "success"}


async def in_ledger(owner: Owner, eventually: Eventually, event: int) -> None:
    async def there() -> bool:
        return bool(await owner.sql(f"SELECT 1 AS one FROM rev.entries WHERE event_id = {event}"))

    await eventually(there)


async def test_a_replay_is_saved_compared_and_applied(
    owner: Owner, open_tab: Callable[..., Any], eventually: Eventually
) -> None:
    """A price for one customer, whose next event then costs what the page said."""
    key = await owner.key("scenario-corp", customer_name="Scenario Corp")
    _, made = await owner.call("POST", "/v1/meter", EVENT, key)
    await in_ledger(owner, eventually, made["event_id"])
    tab = await open_tab(1280, "light")
    page = tab.page
    await sign_in(tab, owner)
    await page.get_by_role("link", name="Replay", exact=True).click()
    await page.get_by_label("Customer", exact=True).fill("scenario-corp")
    await page.get_by_label("Action of another price").fill("completion")
    await page.get_by_label("Customer of another price").fill("scenario-corp")
    await page.get_by_label("Cents for each event of another price").fill("40")
    await page.get_by_role("button", name="Replay", exact=True).click()
    await page.get_by_role("heading", name="Keep or apply").wait_for()
    assert await page.locator(".figures.revenue .number").all_inner_texts() == ["$0.01", "$0.40", "+$0.39"]
    await keep(tab, "replay-of-one")
    await page.get_by_label("Save as").fill("Dearer for one")
    await page.get_by_role("button", name="Save scenario").click()
    await page.wait_for_url("**/replay/scenarios**")
    row = page.get_by_role("row").filter(has_text="Dearer for one")
    assert "$0.39" in await row.inner_text() and "1 more" in await row.inner_text()
    await keep(tab, "scenarios-compared")
    await row.get_by_role("link", name="Apply").click()
    await page.get_by_role("heading", name="Put these prices into force?").wait_for()
    await page.get_by_role("button", name="Put into force").click()
    await page.get_by_text("The prices are in force.").wait_for()
    status, again = await owner.call("POST", "/v1/meter", EVENT, key)
    assert (status, again["price"]["total_cents"]) == (201, Decimal(40))
    await page.goto(owner.url + "/replay/scenarios")
    await page.get_by_role("button", name="Delete Dearer for one").click()
    await page.wait_for_url("**/replay/scenarios**")
    assert await page.get_by_text("Dearer for one").count() == 0
    tab.check()


async def test_a_customer_sees_what_it_pays_for(
    owner: Owner, open_tab: Callable[..., Any], eventually: Eventually
) -> None:
    """Its event with the price explained, and its outcome before and after the verdict."""
    key = await owner.key("portal-walk")
    task = {"task_id": "walk-1", "agent_id": "agent-walk", "price_on_success": 4900, "expires_at": LATER}
    assert (await owner.call("POST", "/v1/outcomes", task, key))[0] == 201
    _, made = await owner.call("POST", "/v1/meter", EVENT, key)
    await in_ledger(owner, eventually, made["event_id"])
    tab = await open_tab(390, "dark")
    page = tab.page
    await sign_in_to_portal(tab, owner, key)
    await page.locator(f'tr[data-event="{made["event_id"]}"]').click()
    await page.get_by_role("heading", name="Price, term by term").wait_for()
    assert await page.locator(".terms tfoot td.n").last.inner_text() == "1.47 ¢"
    await page.goto(owner.url + "/portal/outcomes")
    await page.get_by_text("walk-1").click()
    await page.get_by_role("heading", name="walk-1").wait_for()
    assert "pending" in await page.locator("h1").inner_text()
    assert (await owner.call("POST", "/v1/outcomes/walk-1/resolve", {"success": True}, key))[0] == 200

    async def charged() -> bool:
        await page.reload()
        return "succeeded" in await page.locator("h1").inner_text()

    await eventually(charged)
    assert "$49.00" in await page.locator(".title .amount").inner_text()
    await page.goto(owner.url + "/dashboard")
    assert "/login" in page.url
    tab.check()
