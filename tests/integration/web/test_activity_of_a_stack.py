"""Pages of events, agents, actions and outcomes of a whole `rev up`: their figures are those of the ledger."""

import csv
import io
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.web.owner import Owner

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]


async def get(owner: Owner, cookie: str, path: str) -> str:
    """The text of a page."""
    answer = await owner.page("GET", path, Cookie=cookie)
    text = await answer.text()
    assert answer.status == 200, text
    return str(text)


def amounts(text: str) -> list[Decimal]:
    """The exact amounts of a page, in cents."""
    return [Decimal(found) for found in re.findall(r'<data class="money" value="([^"]+)"', text)]


async def in_ledger(owner: Owner, eventually: Eventually, where: str, count: int) -> None:
    async def there() -> bool:
        (row,) = await owner.sql(f"SELECT count() AS n FROM rev.entries WHERE {where}")
        return int(row["n"]) == count

    await eventually(there)


async def test_an_owner_finds_an_event_reads_its_price_and_voids_it(owner: Owner, eventually: Eventually) -> None:
    """The page's terms equal GET /v1/events/{id}; the void goes through the form; list and export follow."""
    price = {"action_type": "act.h", "base_rate_cents": 1, "token_rate_cents": 0.0003, "outcome_bonus_cents": 2,
             "rates": {"images": {"rate": 4, "per": 1}, "cache_read": {"rate": 250, "per": 1_000_000}}}  # fmt: skip
    status, made = await owner.call("POST", "/api/admin/pricing", price)
    assert status in (200, 201), made
    key = await owner.key("act-corp", customer_name="Act Corp")
    body = {"agent_id": "act-agent", "action": "act.h", "outcome": "success", "idempotency_key": "act-key",
            "tokens_input": 1000, "tokens_cache_read": 2000, "quantities": {"images": 2.5}}  # fmt: skip
    status, event = await owner.call("POST", "/v1/meter", body, key)
    assert status == 201, event
    id = event["event_id"]
    await in_ledger(owner, eventually, f"event_id = {id}", 1)
    cookie = await owner.sign_in()
    assert f'href="/events/{id}"' in await get(owner, cookie, "/events?idempotency_key=act-key&customer=act-corp")

    _, shown = await owner.call("GET", f"/v1/events/{id}", key=key)
    text = await get(owner, cookie, f"/events/{id}")
    terms = amounts(text[text.index('<table class="terms">') : text.index("</table>")])
    parts = [shown["price"]["breakdown"]["base_rate_cents"], *(line["cents"] for line in shown["price"]["lines"])]
    parts.append(shown["price"]["breakdown"]["outcome_bonus_cents"])
    total = shown["price"]["total_cents"]
    assert terms == [*parts, total] and sum(terms[:-1]) == total == Decimal("13.8")
    assert "250 ¢ per 1,000,000" in text and "default price" in text and "do not add up" not in text

    token = re.findall(r'name="form_token" value="([^"]+)"', text)[-1]
    form = {"form_token": token, "reason": "billed <twice>", "confirmed": "yes"}
    answer = await owner.page("POST", f"/events/{id}/void", form, Cookie=cookie)
    assert (answer.status, answer.headers["Location"]) == (303, f"/events/{id}?voided=1")
    await in_ledger(owner, eventually, f"original = {id} AND kind = 'void'", 1)
    text = await get(owner, cookie, f"/events/{id}")
    assert "billed &lt;twice&gt;" in text and "Void this charge" not in text
    assert f'href="/events/{id}"' in await get(owner, cookie, "/events?status=voided&agent=act-agent")
    (line,) = csv.DictReader(io.StringIO(await get(owner, cookie, "/events.csv?agent=act-agent")))
    assert (line["event_id"], line["status"], line["total_cents"]) == (str(id), "voided", "13.8")


async def test_rankings_and_outcomes_equal_the_ledger(owner: Owner, eventually: Eventually) -> None:
    """Each figure against an independent query."""
    key = await owner.key("rank-corp")
    for tokens in (1, 2401):
        event = {"agent_id": "rank-agent", "action": "completion", "tokens": tokens, "outcome": "success"}
        assert (await owner.call("POST", "/v1/meter", event, key))[0] == 201
    due = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    for task, amount in (("rank-won", 4900), ("rank-open", 123.4)):
        registered: dict[str, Any] = {"task_id": task, "agent_id": "rank-agent", "price_on_success": amount,
                                      "success_criteria": {"x": 1}, "expires_at": due}  # fmt: skip
        status, made = await owner.call("POST", "/v1/outcomes", registered, key)
        assert status == 201, made
    status, ended = await owner.call("POST", "/v1/outcomes/rank-won/resolve", {"success": True}, key)
    assert status == 200, ended
    await in_ledger(owner, eventually, "customer_id = 'rank-corp'", 5)
    cookie = await owner.sign_in()

    for path, column, peer in (("agents", "agent_id", "action"), ("actions", "action", "agent_id")):
        counted = "NOT test AND kind IN ('event', 'charge', 'void')"
        rows = await owner.sql(
            f"SELECT {column} AS name, sum(total_cents) AS cents FROM rev.entries WHERE {counted} "
            "GROUP BY name ORDER BY cents DESC, name"
        )
        text = await get(owner, cookie, f"/{path}")
        assert amounts(text) == [Decimal(row["cents"]) for row in rows]
        one = next(row for row in rows if row["name"] in ("rank-agent", "completion"))
        text = await get(owner, cookie, f"/{path}?{path[:-1]}={one['name']}")
        assert f'title="{Decimal(one["cents"]):f} cents"'.replace(".000000000000", "") in text
        peers = await owner.sql(
            f"SELECT {peer} AS name, sum(total_cents) AS cents FROM rev.entries WHERE {counted} "
            f"AND {column} = '{one['name']}' GROUP BY name HAVING cents != 0 ORDER BY cents DESC, name LIMIT 6"
        )
        for row in peers:
            assert Decimal(row["cents"]) in amounts(text)
    components = await owner.sql(
        "SELECT component, sum(cents) AS total FROM rev.lines WHERE action = 'completion' GROUP BY component "
        "ORDER BY total DESC, component"
    )
    text = await get(owner, cookie, "/actions?action=completion")
    text = text[text.index("Revenue by component") :]
    assert amounts(text[: text.index("</table>")]) == [Decimal(row["total"]) for row in components]

    text = await get(owner, cookie, "/outcomes?customer=rank-corp")
    assert amounts(text)[-2:] == [Decimal("123.4"), Decimal(4900)]
    text = await get(owner, cookie, f"/outcomes/{ended['outcome_id']}")
    token = re.findall(r'name="form_token" value="([^"]+)"', text)[-1]
    form = {"form_token": token, "reason": "goodwill", "confirmed": "yes"}
    assert (await owner.page("POST", f"/outcomes/{ended['outcome_id']}/void", form, Cookie=cookie)).status == 303
    await in_ledger(owner, eventually, "customer_id = 'rank-corp' AND kind = 'void'", 1)
    text = await get(owner, cookie, "/outcomes?customer=rank-corp&status=succeeded")
    assert ">voided</span>" in text and amounts(text)[-1] == 0
