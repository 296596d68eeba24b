"""A page that is open while a part is killed: it says what is away, and recovers without being loaded again."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from deploy.supervisor.directory import read_json
from tests.integration.web.owner import Owner
from tests.integration.web.test_pages_in_a_browser import open_tab, sign_in

pytestmark = pytest.mark.integration
__all__ = ["open_tab"]
LIGHT = "[data-live-state]"
SAYS = {
    "web": "No connection, trying again",
    "gateway": "No connection, trying again",
    "clickhouse": "The ledger cannot be read at the moment.",
}
"""What the light above the events says while a part is away."""
KEEP_WORDS = (
    "window.stayed = true; window.said = []; const light = document.querySelector('[data-live-state]');"
    " new MutationObserver(() => window.said.push(light.textContent)).observe(light, { childList: true })"
)


@pytest.mark.parametrize("part", SAYS)
async def test_an_open_page_says_what_is_away_and_goes_on(
    owner: Owner, open_tab: Callable[..., Any], eventually: Any, part: str
) -> None:
    """Events that arrive later are on it, without a reload."""
    key = await owner.key("outage")
    event = {"agent_id": "agent-outage", "action": "completion", "tokens": 7}
    assert (await owner.call("POST", "/v1/meter", event, key))[0] == 201
    tab = await open_tab(1280, "light")
    await sign_in(tab, owner)
    await tab.page.goto(owner.url + "/events")
    await tab.page.locator("[data-live-state=live]").wait_for()
    await tab.page.evaluate(KEEP_WORDS)
    killed = 0

    async def said() -> bool:
        """Kill it again when it is back: between two reads a second apart nobody notices that it was away."""
        nonlocal killed
        pid = read_json(owner.run["data"] / "run.json")["pids"].get(part, killed)
        if pid != killed:
            killed = pid
            os.kill(pid, signal.SIGKILL)
        return SAYS[part] in await tab.page.evaluate("window.said")

    await eventually(said, timeout=60)
    await tab.page.locator("[data-live-state=live]").wait_for(timeout=60_000)

    shown: list[int] = []

    async def metered() -> bool:
        status, made = await owner.call("POST", "/v1/meter", {**event, "idempotency_key": f"after-{part}"}, key)
        shown.append(made.get("event_id"))
        return status == 201

    await eventually(metered, timeout=60)
    await tab.page.locator(f'tr[data-event="{shown[-1]}"]').wait_for(timeout=60_000)
    assert await tab.page.evaluate("window.stayed") is True
