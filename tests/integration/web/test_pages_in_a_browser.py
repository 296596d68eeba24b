"""Pages in Debian's chromium: signing in as a person does, at both widths and in both colour schemes.

A new page is a line in PAGES. Screenshots are kept under REV_SCREENSHOTS, if that names a directory.
"""

import os
import re
import shutil
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.web.invoiced_month import invoice_number
from tests.integration.web.owner import Owner

pytestmark = pytest.mark.integration
CHANGES = '[{"action_type":"completion","base_rate_cents":"0.9","token_rate_cents":"0.0003"},{"action_type":"chat"}]'
PAGES = {
    "overview": "/dashboard",
    "landing": "/",
    "pricing": "/pricing",
    "signup": "/signup",
    "docs": "/docs/api",
    "charging": "/docs/charging",
    "reference": "/docs/reference",
    "customers": "/customers",
    "customer": "/customers/browser-corp",
    "spending": "/customers/browser-corp/spending",
    "prices": "/prices",
    "price-form": "/prices/new",
    "replay": "/replay?changes=" + quote(CHANGES),
    "scenarios": "/replay/scenarios",
    "apply": "/replay/apply?changes=" + quote(CHANGES),
    "keys": "/keys",
    "audit": "/audit?about=pricing",
    "agents": "/agents",
    "action": "/actions?action=completion",
    "events": "/events?mode=both",
    "event": "/events/{event}",
    "outcomes": "/outcomes",
    "outcome": "/outcomes/{outcome}",
    "invoices": "/invoices",
    "invoice": "/invoices/{invoice}",
    "webhooks": "/webhooks",
    "webhook": "/webhooks/{webhook}",
    "system": "/system",
    "signups": "/signups?campaign=2",
    "search": "/search?q=browser",
}
PORTAL_PAGES = {
    "portal": "/portal",
    "portal-events": "/portal/events",
    "portal-event": "/portal/events/{event}",
    "portal-outcomes": "/portal/outcomes",
    "portal-outcome": "/portal/outcomes/{outcome}",
    "portal-spending": "/portal/spending",
    "portal-prices": "/portal/prices",
    "portal-webhooks": "/portal/webhooks",
    "portal-webhook": "/portal/webhooks/{webhook}",
}
"""Names in braces are ids that the test made. Agents and actions share templates."""
PICTURES = os.environ.get("REV_SCREENSHOTS_AS") == "webp"
"""Whether screenshots are for docs/: then names are plain instead of markup, and there is more to see."""
NAME = "Northwind" if PICTURES else "<img src=x onerror=alert(1)> and a name as long as a name may well be"
AGENT = "agent-copilot" if PICTURES else "<script>alert(1)</script>-of-a-long-name-of-an-agent"
MARK = "" if PICTURES else " <b>"
LATER = "2031-01-01T00:00:00Z"
WIDTHS = {1280: 900, 390: 844}
SEEN_AS = [(1280, "light"), (390, "dark")]
"""Widths and colour schemes: colours change no layout, so two pairs show all; screenshots are of all four."""
if os.environ.get("REV_SCREENSHOTS"):
    SEEN_AS += [(1280, "dark"), (390, "light")]
MOST_HEIGHT = 4000
"""Pixels of a picture for docs/; WebP itself has room for 16,383, and gives an empty file for more."""
MOST_BYTES = 250_000
"""What a page may cost with its styles and scripts, compressed."""

LEFT = "net::ERR_ABORTED"
"""Why a request ended that was under way when the tab went to the next page; an icon is fetched after the load."""


class Watched:
    """A browser tab and everything that it should not have done. ``axe``: whether axe-core judges what it shows."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.axe = False
        self.wrong: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("requestfailed", lambda request: self._failed(request.url, request.failure))
        page.on("request", lambda request: self.asked.append(request.url))

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.wrong.append(f"{kind}: {text}")

    def _failed(self, url: str, reason: str) -> None:
        if reason != LEFT:
            self.wrong.append(f"failed: {url}: {reason}")

    async def judge(self, name: str) -> None:
        """Keep what axe-core calls serious or critical on this page: the rule and where."""
        if not self.axe:
            return
        await self.page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
        found = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        self.wrong += [
            f"{name}: {one['id']}: {node['target'][0]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"][:3]
        ]

    def check(self) -> None:
        """Nothing went wrong, and no other host was asked."""
        assert self.wrong == []
        assert [url for url in self.asked if not url.startswith(self.url + "/")] == []


@pytest.fixture
async def open_tab(owner: Owner) -> AsyncIterator[Callable[..., Any]]:
    """``await open_tab(width, scheme)``: a tab of a new browser profile, which records layout shifts."""
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("not run: chromium is absent")
    playwright = pytest.importorskip("playwright.async_api", reason="not run: playwright is absent")
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=binary, args=["--no-sandbox"])

        async def tab(width: int, scheme: str) -> Watched:
            context = await browser.new_context(
                viewport={"width": width, "height": WIDTHS[width]}, color_scheme=scheme, timezone_id="Europe/Berlin"
            )
            await context.add_init_script(
                "window.shift = 0; window.shifted = []; new PerformanceObserver((list) => {"
                " for (const { value, sources } of list.getEntries()) { window.shift += value;"
                " for (const { node } of sources) window.shifted.push(node?.outerHTML ?? node?.textContent); }"
                " }).observe({type: 'layout-shift', buffered: true});"
            )
            return Watched(await context.new_page(), owner.url)

        yield tab
        await browser.close()


async def sign_in(tab: Watched, owner: Owner) -> None:
    await tab.page.goto(owner.url + "/dashboard")
    assert re.search(r"/login\?next=", tab.page.url)
    await keep(tab, "login")
    await tab.page.get_by_label("Admin token").fill(owner.admin)
    await tab.page.get_by_role("button", name="Sign in").click()
    await tab.page.wait_for_url("**/dashboard")


async def sign_in_to_portal(tab: Watched, owner: Owner, key: str) -> None:
    await tab.page.goto(owner.url + "/portal")
    assert re.search(r"/portal/login\?next=", tab.page.url)
    await keep(tab, "portal-login")
    await tab.page.get_by_label("API key").fill(key)
    await tab.page.get_by_role("button", name="Sign in").click()
    await tab.page.wait_for_url("**/portal")


async def keep(tab: Watched, name: str) -> None:
    """Judge the page, and keep a screenshot if they are wanted: PNG, or small files with REV_SCREENSHOTS_AS=webp."""
    await tab.judge(name)
    directory = os.environ.get("REV_SCREENSHOTS")
    if not directory:
        return
    size = tab.page.viewport_size["width"]
    scheme = await tab.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'")
    file = Path(directory) / f"{name}-{scheme}-{size}"
    if not PICTURES:
        await tab.page.screenshot(path=file.with_suffix(".png"), full_page=True)
        return
    height = min(MOST_HEIGHT, await tab.page.evaluate("document.documentElement.scrollHeight"))
    chromium = await tab.page.context.new_cdp_session(tab.page)
    clip = {"x": 0, "y": 0, "width": size, "height": height, "scale": 1}
    how = {"format": "webp", "quality": 60, "captureBeyondViewport": True, "clip": clip}
    taken = await chromium.send("Page.captureScreenshot", how)
    picture = b64decode(taken["data"])
    assert picture
    file.with_suffix(".webp").write_bytes(picture)


@pytest.mark.parametrize(("width", "scheme"), SEEN_AS)
async def test_every_page_is_whole_at_this_width(
    owner: Owner, open_tab: Callable[..., Any], eventually: Any, width: int, scheme: str
) -> None:
    """No error, no other host, nothing wider than the window, nothing that moves after it was drawn; and axe-core finds
    nothing serious, on the owner's pages in light and the customers' in dark colours."""
    key, ids = await made_things(owner, eventually, f"{width}-{scheme}")
    tab = await open_tab(width, scheme)
    tab.axe = (width, scheme) == (1280, "light")
    await sign_in(tab, owner)
    await look_at(tab, PAGES, ids)
    tab.axe = (width, scheme) == (390, "dark")
    await sign_in_to_portal(tab, owner, key)
    await look_at(tab, PORTAL_PAGES, ids)
    tab.check()


async def made_things(owner: Owner, eventually: Any, name: str) -> tuple[str, dict[str, Any]]:
    """A key of a customer with markup in every name, and the ids of what it has; ``name`` makes its tasks unique."""
    key = await owner.key("browser-corp", customer_name=NAME)
    if PICTURES:
        await _a_busy_month(owner, key)
    body = {"agent_id": AGENT, "action": "completion", "tokens": 9, "outcome": "success"}
    status, made = await owner.call("POST", "/v1/meter", {**body, "metadata": {"<b>": 1}, "model": "gpt-4o"}, key)
    assert status == 201
    hook = {"url": "https://hook.invalid/" + 80 * "a", "events": ["meter.created", "outcome.succeeded"]}
    status, hooked = await owner.call("POST", "/v1/webhooks", hook, key)
    assert status == 201
    invoice = await invoice_number(owner, eventually, NAME)
    await _prices_and_credit(owner)
    outcome = await _outcome(owner, key, name)
    ids = {"event": made["event_id"], "outcome": outcome, "invoice": invoice, "webhook": hooked["id"]}

    async def there() -> bool:
        (row,) = await owner.sql(f"SELECT count() AS n FROM rev.entries WHERE event_id = {made['event_id']}"
                                 f" OR outcome_id = '{ids['outcome']}'")  # fmt: skip
        return bool(row["n"] == "3")

    await eventually(there)
    return key, ids


async def _a_busy_month(owner: Owner, key: str) -> None:
    """Events of three customers over the last weeks, for pictures of pages; once."""
    keys = {"browser-corp": key}
    for id, name in (("lumen-labs", "Lumen Labs"), ("harbor-ai", "Harbor AI")):
        keys[id] = await owner.key(id, customer_name=name)
    rng, now = Random(4), datetime.now(UTC)
    for secret in keys.values():
        events = [
            {
                "agent_id": rng.choice(("agent-copilot", "agent-support", "agent-research")),
                "action": rng.choice(("completion", "completion", "chat", "tool_call", "search", "lead.qualified")),
                "tokens": rng.randrange(200, 9000),
                "outcome": rng.choice(("success", "success", "success", "failure")),
                "timestamp": (now - timedelta(minutes=rng.randrange(5, 27 * 1440))).isoformat(),
                "idempotency_key": f"picture-{number}",
            }
            for number in range(rng.randrange(250, 600))
        ]
        assert (await owner.call("POST", "/v1/meter/batch", {"events": events}, secret))[0] in (201, 409)


async def _prices_and_credit(owner: Owner) -> None:
    """Once: a price with steps, one that is scheduled, two grants and two budgets."""
    steps = [{"up_to": 1000, "rate": 0}, {"up_to": 50_000, "rate": 5}, {"up_to": None, "rate": 2}]
    price = {"customer_id": "browser-corp", "action_type": "pages.read", "tiers": {"pages": steps}}
    later = {"customer_id": "browser-corp", "action_type": "chat", "effective_at": LATER, "base_rate_cents": 1}
    for row in (price, later):
        assert (await owner.call("POST", "/api/admin/pricing", row))[0] in (201, 409)
    for amount, reason in ((250_000, f"Prepaid for the year{MARK}"), ("0.5", "Welcome")):
        grant = {"customer_id": "browser-corp", "amount_cents": amount, "reason": reason, "idempotency_key": reason}
        assert (await owner.call("POST", "/api/admin/credits", grant))[0] == 201
    for scope, value, limit in (("all", None, 100_000), ("agent", AGENT, 1)):
        budget = {"customer_id": "browser-corp", "scope": scope, "value": value, "period": "month", "hard": False}
        budget |= {"limit_cents": limit, "idempotency_key": f"budget-{scope}"}
        assert (await owner.call("POST", "/api/admin/budgets", budget))[0] == 201


async def look_at(tab: Watched, pages: dict[str, str], ids: dict[str, Any]) -> None:
    """Open each page, and check what holds for all."""
    width = tab.page.viewport_size["width"]
    cut_off = []
    for name, path in pages.items():
        answer = await tab.page.goto(tab.url + path.format(**ids), wait_until="load")
        assert answer.status == 200, name
        assert await tab.page.evaluate("document.documentElement.scrollWidth") == width, name
        assert await tab.page.evaluate("window.shift") < 0.01, (name, await tab.page.evaluate("window.shifted"))
        await keep(tab, name)
        # no table is wider than its card: nothing in it is cut off
        wide = "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth).length"
        if await tab.page.evaluate(wide):
            cut_off.append(name)
    assert cut_off == []


async def _outcome(owner: Owner, key: str, name: str) -> str:
    """The id of an outcome that succeeded; another one stays open."""
    for task in (f"open-{name}", f"done-{name}"):
        due = (datetime.now(UTC) + timedelta(days=3)).isoformat()
        body = {"task_id": task, "agent_id": "agent-sdr", "success_criteria": {"meetings": 1}, "price_on_success": 4900}
        status, made = await owner.call("POST", "/v1/outcomes", {**body, "expires_at": due}, key)
        assert status == 201, made
    status, _ = await owner.call("POST", f"/v1/outcomes/{task}/resolve", {"success": True, "evidence": {"a": 1}}, key)
    assert status == 200
    return str(made["outcome_id"])


async def test_a_person_looks_around(owner: Owner, open_tab: Callable[..., Any]) -> None:
    """The period changes, the chart explains itself, the menu opens on a narrow screen, and one can leave."""
    tab = await open_tab(390, "light")
    await sign_in(tab, owner)
    await tab.page.get_by_role("link", name="7 days", exact=True).click()
    await tab.page.wait_for_url("**/dashboard?period=7d")
    assert await tab.page.get_by_text("Last 7 days").count() >= 1
    await tab.page.locator(".menu-toggle").check()
    await tab.page.get_by_role("button", name="Sign out").click()
    await tab.page.wait_for_url("**/login")
    await tab.page.goto(owner.url + "/dashboard")
    assert "/login?next=" in tab.page.url
    tab.check()


async def test_the_chart_explains_itself(owner: Owner, open_tab: Callable[..., Any], eventually: Any) -> None:
    """The tooltip says what the table says."""
    key = await owner.key("browser-chart")
    assert (await owner.call("POST", "/v1/meter", {"agent_id": "a", "action": "chat"}, key))[0] == 201
    tab = await open_tab(1280, "light")
    await sign_in(tab, owner)

    async def drawn() -> bool:
        await tab.page.reload()
        return bool(await tab.page.locator(".plot svg").count())

    await eventually(drawn)
    box = await tab.page.locator(".plot svg").bounding_box()
    await tab.page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 80)
    row = tab.page.locator(".chart tbody tr").last
    told = await tab.page.locator(".tip .whole").inner_text()
    day, total = await row.locator("th").text_content(), await row.locator("td").last.text_content()
    assert told.split("\n") == [day, total]
    tab.check()


async def test_an_event_arrives_live(owner: Owner, open_tab: Callable[..., Any]) -> None:
    """On the overview and in the list, without a reload; the table keeps its length, and nothing is in it twice."""
    key = await owner.key("browser-live")
    tab = await open_tab(1280, "light")
    await sign_in(tab, owner)
    for path in ("/dashboard", "/events"):
        await tab.page.goto(owner.url + path)
        await tab.page.locator("[data-live-state=live]").wait_for()
        before = await tab.page.locator("tr[data-event]").count()
        await tab.page.evaluate("window.stayed = true")
        body = {"agent_id": "<b>live</b>", "action": "completion", "tokens": 7}
        status, made = await owner.call("POST", "/v1/meter", body, key)
        assert status == 201
        row = tab.page.locator(f'tr[data-event="{made["event_id"]}"]')
        await row.wait_for()
        assert "<b>live</b>" in await row.inner_text()
        assert await tab.page.evaluate("window.stayed") is True and await row.count() == 1
        most = {"/dashboard": 10, "/events": 50}[path]
        assert await tab.page.locator("tr[data-event]").count() == min(before + 1, most)
        await tab.page.locator("[data-live-minute]", has_text="in the last minute").wait_for()
        if path == "/dashboard":
            await tab.page.locator("[data-live-run-rate]", has_text="Money is flowing").wait_for()
        await keep(tab, f"live{path.replace('/', '-')}")
    tab.check()


async def test_a_page_is_light(owner: Owner, open_tab: Callable[..., Any]) -> None:
    tab = await open_tab(1280, "light")
    await sign_in(tab, owner)
    sizes = await tab.page.evaluate(
        "performance.getEntries().filter((one) => one.transferSize !== undefined).map((one) => one.transferSize)"
    )
    assert 0 < sum(sizes) < MOST_BYTES
