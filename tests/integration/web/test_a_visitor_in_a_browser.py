"""A visitor in Debian's chromium: moves the sliders, signs up, sends the first event and is charged for it."""

import re
import shlex
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.web.owner import Owner
from tests.integration.web.test_pages_in_a_browser import WIDTHS, keep, open_tab

pytestmark = pytest.mark.integration
__all__ = ["open_tab"]
NAME = "<img src=x onerror=alert(1)> & Co"


async def send_as_curl(owner: Owner, command: str) -> tuple[int, Any]:
    """Send the request of a curl command, its words as a shell would read them."""
    words = shlex.split(command.replace("\\\n", " "))
    assert words[0] == "curl" and words[1] == owner.url + "/v1/meter"
    headers = dict(value.split(": ", 1) for flag, value in pairwise(words) if flag == "-H")
    body = words[words.index("-d") + 1]
    async with owner.session.post(words[1], data=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_a_visitor_signs_up_and_is_charged(owner: Owner, open_tab: Callable[..., Any], eventually: Any) -> None:
    """The key is copied, the command of the page works as it stands, and the ledger has the charge and the sign-up."""
    tab = await open_tab(1280, "light")
    await tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await tab.page.goto(owner.url + "/?utm_source=directory&utm_medium=listing&utm_campaign=%3Cb%3E")
    await tab.page.get_by_label("Name").fill(NAME)
    await tab.page.get_by_label("E-mail").fill("ann@example.com")
    await tab.page.locator("form.signup").get_by_role("button").click()
    await tab.page.get_by_role("heading", name="Your API key").wait_for()
    await keep(tab, "signed-up")
    await tab.page.locator(".key").get_by_role("button", name="Copy").click()
    key = await tab.page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(r"rg_[0-9a-f]{40}", key)
    command = await tab.page.locator(".done > .code code").inner_text()
    status, made = await send_as_curl(owner, command)
    assert (status, made["price"]["total_cents"], made["event"]["agent_id"]) == (201, 1.47, "agent-copilot")
    customer = made["event"]["customer_id"]
    assert customer in await tab.page.locator(".done").inner_text()
    tab.check()

    async def charged() -> bool:
        _, usage = await owner.call("GET", "/v1/usage?period=24h", key=key)
        return bool(usage["summary"]["total_cents"] == Decimal("1.47"))

    await eventually(charged)
    rows = await owner.sql(
        "SELECT actor, JSONExtractString(detail, 'name') AS name, JSONExtractString(detail, 'email') AS email,"
        " JSONExtractString(detail, 'utm_campaign') AS campaign FROM rev.entries"
        f" WHERE config_type = 'signup.created' AND JSONExtractString(detail, 'customer_id') = '{customer}'"
    )
    assert rows == [{"actor": "signup", "name": NAME, "email": "ann@example.com", "campaign": "<b>"}]
    shown = await owner.dashboard("signups?period=30d")
    counted = await owner.sql("SELECT count() AS n FROM rev.entries WHERE config_type = 'signup.created'")
    assert shown["total"] == int(counted[0]["n"])
    assert {"name": "directory", "signups": 1} in shown["by_source"]


async def test_the_api_signs_up_with_bad_names_refused(owner: Owner) -> None:
    """Through the gateway's address; a name that is not in NFC is refused with the field of the request."""
    given = {"email": "ann@example.com", "name": "Cafe\u0301"}
    async with owner.session.post(owner.url + "/api/signup", json=given) as answer:
        refused = await answer.json()
    assert answer.status == 400 and refused["error"].startswith("name must be in Unicode NFC")
    async with owner.session.post(owner.url + "/api/signup", json={**given, "name": "Café"}) as answer:
        made = await answer.json()
    assert answer.status == 201 and set(made) == {"customer_id", "api_key"}
    status, _ = await owner.call("GET", "/v1/pricing", key=made["api_key"])
    assert status == 200
    body = {"customer_id": made["customer_id"], "signup": {"email": "m@example.com"}}
    status, refused = await owner.call("POST", "/api/admin/api-keys", body)
    assert (status, refused["code"]) == (409, "customer_exists")


async def test_the_sliders_reproduce_the_example_and_follow_the_hand(
    owner: Owner, open_tab: Callable[..., Any]
) -> None:
    """$1,000 flat and $13,000 with Rev before anything moves; then what the server says for the same values."""
    tab = await open_tab(1280, "dark")
    await tab.page.goto(owner.url + "/pricing")

    async def sums() -> list[str]:
        return [str(text) for text in await tab.page.locator(".models .sum").all_inner_texts()]

    assert await sums() == ["$1,000", "$6,000", "$2,000", "$13,000"]
    assert "$12,000 more" in await tab.page.locator(".verdict").inner_text()
    assert "+1,200 %" in await tab.page.locator(".verdict").inner_text()
    sliders = tab.page.get_by_role("slider")
    assert await sliders.count() == 3
    await sliders.nth(0).press("End")
    await sliders.nth(1).press("Home")
    await sliders.nth(2).press("ArrowRight")
    await tab.page.get_by_label("Per success").fill("0.333")
    moved = await sums()
    await tab.page.goto(owner.url + "/pricing?calls=10000000&tokens=50&success=81&bonus=0.333")
    assert await sums() == moved == ["$10,000", "$1,500", "$26,973", "$78,473"]
    tab.check()


@pytest.mark.parametrize("width", WIDTHS)
async def test_the_demo_agent_earns_while_one_looks(owner: Owner, open_tab: Callable[..., Any], width: int) -> None:
    """Its calls come in by themselves with their charges, the sum is theirs, and the ledger has them as tests."""
    tab = await open_tab(width, "light")
    await tab.page.clock.install()
    await tab.page.goto(owner.url + "/")
    earned_24h = await tab.page.locator("[data-demo-earned-24h]").inner_text()
    rows = tab.page.locator("[data-demo] tbody tr")
    await rows.nth(2).wait_for()
    demo = tab.page.locator("[data-demo]")
    assert await demo.locator("[data-live-state=live]").inner_text() == "Live"
    assert "POST /v1/" in await rows.first.inner_text()
    charged = [Decimal(text.split()[0]) for text in await rows.locator("td:last-child").all_inner_texts()]
    earned = Decimal((await demo.locator("[data-demo-earned]").inner_text()).removeprefix("$"))
    assert earned > 0 and earned * 100 >= sum(charged)
    await tab.page.clock.fast_forward(5000)
    await demo.locator("[data-demo-earned-24h]").filter(has_not_text=earned_24h).wait_for()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") == width
    assert await tab.page.evaluate("window.shift") < 0.01
    await demo.scroll_into_view_if_needed()
    await keep(tab, "demo")
    tab.check()
    (row,) = await owner.sql("SELECT countIf(NOT test) AS live FROM rev.entries WHERE customer_id = 'live-demo'")
    assert row["live"] == "0"
