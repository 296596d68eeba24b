"""The landing page and the pricing page: live prices, measured claims, and nothing that runs."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.web.conftest import Server
from web.views.landing_view import MEASURED

ROOT = Path(__file__).parents[3]
ROW = {
    "id": 2,
    "customer_id": None,
    "action_type": "completion",
    "base_rate_cents": Decimal("0.5"),
    "token_rate_cents": Decimal("0.0003"),
    "outcome_bonus_cents": Decimal("0.25"),
    "is_active": True,
}
MARKUP = "\"><img src=x onerror=alert(1)>'"


async def test_prices_are_the_defaults_in_force(server: Server) -> None:
    """Not a customer's, not a model's; asked of the gateway at most every two seconds, all pages of it."""
    others = [
        {**ROW, "id": 7, "customer_id": "acme"},
        {**ROW, "id": 8, "model": "m"},
        {**ROW, "id": 9, "provider": "p"},
    ]
    server.gateway.pages = [others, [{**ROW, "id": 4, "action_type": "<b>", "rates": {"image": {}}}, ROW]]
    for path in ("/", "/pricing"):
        status, _, text = await server.get(path)
        rows = re.findall(r"<tr><th scope=\"row\"><code>(.*?)</code>", text)
        assert (status, rows) == (200, ["completion", "&lt;b&gt;"])
        assert "0.0003¢" in text and "and quantities" in text
    asked = [path for _, path, _ in server.gateway.asked]
    assert asked == ["/api/admin/pricing?limit=1000", "/api/admin/pricing?limit=1000&cursor=1"]
    server.now += 2000
    server.gateway.pages = [[{**ROW, "base_rate_cents": 7}]]
    assert "7¢" in (await server.get("/"))[2]


async def test_the_example_and_the_slider_follow_the_price_in_force(server: Server) -> None:
    server.gateway.pages = [[ROW]]
    _, _, text = await server.get("/")
    assert "<mark>1.47</mark>" in text and '"token_charge_cents"</i>: 0.72' in text
    assert ">$13,000</data>" in text and ">$12,000</data>" in text and "+1,200 %" in text
    server.now += 2000
    server.gateway.pages = [[{**ROW, "token_rate_cents": Decimal("0.0005")}]]
    _, _, text = await server.get("/")
    assert "<mark>1.95</mark>" in text and ">$17,000</data>" in text


async def test_without_the_gateway_the_page_still_stands(server: Server) -> None:
    """It says that the price list is away; the example is that of a new installation."""
    status, _, text = await server.get("/")
    assert status == 200 and "prices cannot be read at the moment" in text and "<mark>1.47</mark>" in text
    server.gateway.pages = [[]]
    assert "No default price is in force." in (await server.get("/"))[2]


async def test_the_simulator_works_without_script(server: Server) -> None:
    """What was chosen and typed comes back with its figures."""
    server.gateway.pages = [[ROW]]
    status, _, text = await server.get("/pricing?calls=1500&tokens=50&success=50&bonus=0.10&utm_source=x")
    assert status == 200
    assert '<option value="1500" selected>' in text and 'name="bonus" value="0.1"' in text
    assert ">$8.48</data>" in text  # 750 + 22.5 + 75 cents
    assert 'name="utm_source" value="x"' in text


@pytest.mark.parametrize("query", ["calls=3", "bonus=-1", f"token={MARKUP}", "flat=1e9"])
async def test_values_that_cannot_be_are_refused(server: Server, query: str) -> None:
    status, _, text = await server.get("/pricing?" + query)
    assert status == 400 and f"{query.split('=')[0]} must" in text and "<img" not in text


def test_every_claim_is_measured() -> None:
    """Each figure of the page stands in its row of docs/figures.md, and nothing claims sub-millisecond times."""
    told = (ROOT / "docs" / "figures.md").read_text()
    for one in MEASURED:
        assert [line for line in told.splitlines() if one.row in line and one.cell in line], one
        assert one.cell.startswith(one.value) or one.cell.endswith(one.value), one
    page = (ROOT / "web" / "templates" / "landing.html").read_text()
    assert not re.search(r"millisecond|instant|fastest|guarantee", page, re.I)
