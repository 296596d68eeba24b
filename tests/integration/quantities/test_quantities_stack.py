"""Quantities on a running `rev up`: a provider's price list, from the request to the ledger and back by a void."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]

LIST = {
    "action_type": "qty.chat",
    "base_rate_cents": 0.5,
    "token_rate_cents": "0.0003",
    "outcome_bonus_cents": 0.25,
    "rates": {
        "input": {"rate": 250, "per": 1_000_000},
        "cache_read": {"rate": 25, "per": 1_000_000},
        "output": {"rate": "1500", "per": 1_000_000},
        "images": "1.5",
        "audio_seconds": {"rate": 0.6, "per": 60},
    },
}
EVENT = {
    "agent_id": "a",
    "action": "qty.chat",
    "outcome": "success",
    "quantities": {"input": 1200, "cache_read": 30000, "output": 340, "images": 2, "audio_seconds": 12.5},
}
LINES = [
    ("input", "1200", "250", 1_000_000, "0.3"),
    ("output", "340", "1500", 1_000_000, "0.51"),
    ("cache_read", "30000", "25", 1_000_000, "0.75"),
    ("audio_seconds", "12.5", "0.6", 60, "0.125"),
    ("images", "2", "1.5", 1, "3"),
]
"""1,200 tokens at $2.50 a million, …: by hand."""
TOTAL = Decimal("5.435")
"""0.5 + 1.56 for tokens + 3.125 for the others + 0.25."""


class Api:
    """JSON calls to the stack; numbers with a point are Decimal."""

    def __init__(self, session: aiohttp.ClientSession, run: dict[str, Any]) -> None:
        self.session, self.url, self.admin = session, str(run["http"]), str(run["admin_token"])
        self.clickhouse, self.analyst, self.data = str(run["clickhouse"]), run["analyst"], str(run["data"])

    async def call(self, method: str, path: str, key: str, body: Any = None) -> tuple[int, Any]:
        """Status and answer."""
        headers = {"Authorization": f"Bearer {key}"}
        async with self.session.request(method, self.url + path, json=body, headers=headers) as answer:
            return answer.status, json.loads(await answer.text(), parse_float=Decimal)

    async def key(self, customer: str) -> str:
        """A new key of a customer."""
        status, made = await self.call("POST", "/api/admin/api-keys", self.admin, {"customer_id": customer})
        assert status == 201
        return str(made["api_key"])

    async def price(self, **body: Any) -> Any:
        """A new price."""
        status, made = await self.call("POST", "/api/admin/pricing", self.admin, body)
        assert status == 201, made
        return made

    async def sql(self, query: str) -> list[list[str]]:
        """Rows as text, read as the analyst."""
        headers = {"X-ClickHouse-User": self.analyst[0], "X-ClickHouse-Key": self.analyst[1]}
        async with self.session.post(self.clickhouse, data=f"{query} FORMAT TSV", headers=headers) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            return [line.split("\t") for line in text.splitlines()]


@pytest.fixture
async def api(stack: dict[str, Any]) -> AsyncIterator[Api]:
    """The API of the running stack."""
    async with aiohttp.ClientSession() as session:
        yield Api(session, stack)


async def test_a_price_list_is_charged_line_by_line(api: Api, eventually: Eventually) -> None:
    """The answer, a repeat, the read event, the ledger, its lines and a void all say the same, exactly."""
    made = await api.price(**LIST)
    assert made["rates"]["input"] == {"rate": 250, "per": 1_000_000}
    key = await api.key("qty-acme")
    status, first = await api.call("POST", "/v1/meter", key, {**EVENT, "idempotency_key": "k"})
    assert status == 201, first
    price = first["price"]
    assert (price["total_cents"], price["breakdown"]["token_charge_cents"]) == (TOTAL, Decimal("1.56"))
    assert price["breakdown"]["quantity_charge_cents"] == Decimal("3.125")
    shown = [
        (one["component"], str(one["quantity"]), str(one["rate_cents"]), one["per"], str(one["cents"]))
        for one in price["lines"]
    ]
    assert shown == LINES
    assert first["event"]["tokens"] == 31_540
    assert first["event"]["quantities"] == {**EVENT["quantities"], "audio_seconds": Decimal("12.5")}  # type: ignore[dict-item]
    spelled = {
        **{name: value for name, value in EVENT.items() if name != "quantities"},
        "idempotency_key": "k",
        "tokens_input": 1200,
        "tokens_out": 340,
        "tokens_cache_read": 30000,
        "quantities": {"audio_seconds": "12.50", "images": 2.0},
    }
    assert await api.call("POST", "/v1/meter", key, spelled) == (201, first)
    spelled["quantities"] = {"audio_seconds": "12.5", "images": 3}
    assert (await api.call("POST", "/v1/meter", key, spelled))[0] == 409

    async def there() -> bool:
        return (await api.call("GET", f"/v1/events/{first['event_id']}", key))[1].get("status") == "priced"

    await eventually(there)
    _, read = await api.call("GET", f"/v1/events/{first['event_id']}", key)
    assert {name: read[name] for name in first} == first
    where = f"event_id = {first['event_id']} AND kind = 'event'"
    lines = f"SELECT component, quantity, rate, per, cents FROM rev.lines WHERE {where} ORDER BY component"
    every = [*LINES, ("event", "1", "0.5", 1, "0.5"), ("success", "1", "0.25", 1, "0.25")]
    assert [tuple(row) for row in await api.sql(lines)] == sorted((*line[:3], str(line[3]), line[4]) for line in every)
    path = f"/api/admin/events/{first['event_id']}/void"
    status, void = await api.call("POST", path, api.admin, {"reason": "mistake"})
    assert (status, void["total_cents"]) == (201, -TOTAL)

    async def back() -> bool:
        return await api.sql("SELECT sum(total_cents) FROM rev.entries WHERE customer_id = 'qty-acme'") == [["0"]]

    await eventually(back)
    left = "SELECT component, sum(quantity), sum(cents) FROM rev.lines WHERE customer_id = 'qty-acme' GROUP BY 1"
    assert {tuple(row[1:]) for row in await api.sql(left)} == {("0", "0")}


USAGES = [
    (
        "openai",
        {"prompt_tokens": 31200, "completion_tokens": 340, "total_tokens": 31540,
         "prompt_tokens_details": {"cached_tokens": 30000, "audio_tokens": 0}},
    ),
    ("anthropic", {"input_tokens": 1200, "cache_read_input_tokens": 30000, "output_tokens": 340}),
    (
        "google",
        {"promptTokenCount": 31200, "cachedContentTokenCount": 30000, "candidatesTokenCount": 340,
         "totalTokenCount": 31540},
    ),
]  # fmt: skip
"""The same call as three providers count it."""


@pytest.mark.parametrize(("provider", "usage"), USAGES, ids=[provider for provider, _ in USAGES])
async def test_a_providers_usage_object_is_charged_by_its_buckets(api: Api, provider: str, usage: Any) -> None:
    """1,200 tokens of input, 30,000 read from the cache, 340 of output: 1.56 cents, whoever counted them."""
    await api.price(**LIST)
    key = await api.key("qty-usage")
    event = {"agent_id": "a", "action": "qty.chat", "provider": provider, "usage": usage}
    status, made = await api.call("POST", "/v1/meter", key, event)
    assert (status, made["price"]["breakdown"]["token_charge_cents"]) == (201, Decimal("1.56")), made
    assert (made["event"]["tokens"], made["event"]["quantities"]["cache_read"]) == (31_540, 30_000)


async def test_the_most_specific_row_prices_an_event(api: Api) -> None:
    """Customer before action before model before provider; an event without a model meets no row of one."""
    key = await api.key("qty-rows")
    await api.price(action_type="qty.rows", base_rate_cents=1)
    await api.price(action_type="qty.rows", base_rate_cents=2, provider="openai")
    await api.price(action_type="qty.rows", base_rate_cents=3, model="gpt")
    await api.price(action_type="qty.rows", base_rate_cents=4, model="gpt", provider="azure")
    await api.price(action_type="qty.other", base_rate_cents=5, customer_id="qty-rows", model="*")

    async def cost(action: str, **labels: str) -> Any:
        _, made = await api.call("POST", "/v1/meter", key, {"agent_id": "a", "action": action, **labels})
        return made["price"]["total_cents"]

    assert await cost("qty.rows") == 1
    assert await cost("qty.rows", provider="openai") == 2
    assert await cost("qty.rows", model="gpt", provider="openai") == 3
    assert await cost("qty.rows", model="gpt", provider="azure") == 4
    assert await cost("qty.rows", model="other", provider="azure") == 1
    assert await cost("qty.other", model="gpt") == 5
    _, shown = await api.call("GET", "/v1/pricing", key)
    rows = [row for row in shown["configs"] if row["action_type"].startswith("qty.")]
    named = [(row["action_type"], row.get("model"), row.get("provider"), row["base_rate_cents"]) for row in rows]
    assert ("qty.rows", "gpt", "azure", 4) in named and ("qty.other", None, None, 5) in named


BAD = [
    ({"quantities": {"pages": 1}}, "quantities.pages must have a rate in the price"),
    ({"quantities": {"images": -1}}, "quantities.images must be a number from 0"),
    ({"quantities": {"images": "1.0000001"}}, "at most 6 decimals"),
    ({"quantities": {"images": 10**12 + 1}}, "quantities.images must be a number from 0 to 1000000000000"),
    ({"quantities": {"images": "1.00000000000000000000000000000000000001"}}, "at most 6 decimals"),
    ({"quantities": {"images": None}}, "quantities.images must be a number"),
    ({"quantities": {"images": True}}, "quantities.images must be a number"),
    ({"quantities": {"images": [1]}}, "quantities.images must be a number"),
    ({"quantities": {"images": "NaN"}}, "quantities.images must be a number"),
    ({"quantities": {"Images": 1}}, "quantities.Images must have a name of"),
    ({"quantities": {"": 1}}, "must have a name of 1 to 64"),
    ({"quantities": {"tokens": 1}}, "quantities.tokens has a reserved name"),
    ({"quantities": {"input": 1.5}}, "quantities.input must be an integer"),
    ({"quantities": {"input": 1}, "tokens_input": 2}, "quantities.input and tokens_input must be equal"),
    ({"quantities": {"cache_read": 5}, "tokens": 4}, "tokens must be the sum of quantities.cache_read (5), not 4"),
    ({"quantities": {f"q{n}": 1 for n in range(33)}}, "quantities must have at most 32 names, not 33"),
    ({"quantities": []}, "quantities must be a JSON object"),
    ({"usage": {"input_tokens": 5, "output_tokens": 1}, "tokens_output": 2, "provider": "openai"}, "must be equal"),
    ({"usage": {"calls": 5}}, "usage"),
    ({"usage": [1]}, "usage must be a JSON object"),
    ({"tokens_cache_read": -1}, "tokens_cache_read must be an integer from 0 to"),
]


@pytest.mark.parametrize(("fields", "says"), BAD, ids=[json.dumps(fields)[:60] for fields, _ in BAD])
async def test_bad_quantities_are_refused(api: Api, fields: dict[str, Any], says: str) -> None:
    """A 400 that names the field, alone and in a batch; nothing is recorded."""
    await api.price(**LIST)
    key = await api.key("qty-bad")
    event = {"agent_id": "a", "action": "qty.chat", **fields}
    status, answer = await api.call("POST", "/v1/meter", key, event)
    assert (status, says in answer["error"]) == (400, True), answer
    status, answer = await api.call("POST", "/v1/meter/batch", key, {"events": [{**event}, event]})
    assert (status, says in answer["error"]) == (400, True), answer
    assert await api.sql("SELECT count() FROM rev.entries WHERE customer_id = 'qty-bad'") == [["0"]]


BAD_PRICES = [
    ({"rates": {"images": {"rate": 1, "per": 0}}}, "rates.images: per must be an integer from 1 to"),
    ({"rates": {"images": {"rate": 1, "per": 3}}}, "rates.images must have at most 12 decimals for one unit"),
    ({"rates": {"images": {"per": 3}}}, "rates.images.rate is required"),
    ({"rates": {"images": {"rate": 1, "for": 3}}}, "rates.images: unknown field 'for'"),
    ({"rates": {"images": -1}}, "rates.images"),
    ({"rates": {"images": None}}, "rates.images must be a number"),
    ({"rates": {"IMAGES": 1}}, "rates.IMAGES must have a name of"),
    ({"rates": {"success": 1}}, "rates.success has a reserved name"),
    ({"rates": {f"q{n}": 1 for n in range(65)}}, "at most 64"),
    ({"model": " gpt"}, "model"),
    ({"provider": ""}, "provider"),
]


@pytest.mark.parametrize(("fields", "says"), BAD_PRICES, ids=[json.dumps(fields)[:60] for fields, _ in BAD_PRICES])
async def test_bad_rates_are_refused(api: Api, fields: dict[str, Any], says: str) -> None:
    """A 400 that names the field, and no price comes into force."""
    status, answer = await api.call("POST", "/api/admin/pricing", api.admin, {"action_type": "qty.none", **fields})
    assert (status, says in answer["error"]) == (400, True), answer
    _, page = await api.call("GET", "/api/admin/pricing?limit=1000", api.admin)
    assert all(row["action_type"] != "qty.none" for row in page["configs"])
