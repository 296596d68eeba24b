"""/signups: sign-ups by their links, and the links that are made."""

import re
from html import unescape

import pytest

from tests.unit.web.conftest import Server
from warehouse.dashboard_rows import SignupsRow
from web.views.signups_view import CHANNELS

ROWS = [
    SignupsRow("email", "cold_outreach", "wave1", 6),
    SignupsRow("", "", "", 3),
    SignupsRow("twitter", "social", "<b>", 2),
    SignupsRow("email", "cold_outreach", "wave2", 1),
]


async def test_sign_ups_are_counted_by_each_parameter(server: Server) -> None:
    server.reads.signed_up = ROWS
    status, _, text = await server.get("/signups?period=7d", **server.signed_in())
    assert status == 200 and "<b>" not in text and "&lt;b&gt;" in text
    counts = re.findall(r'title="([^"]+)">[^<]+</span>\s*<span class="count">(\d+)<', text)
    assert counts[:3] == [("email", "7"), ("no parameter", "3"), ("twitter", "2")]
    assert ("cold_outreach", "7") in counts and ("wave1", "6") in counts and ("wave2", "1") in counts
    assert ">12<" in text and "75.0 %" in text, "9 of 12 have a parameter"


async def test_an_empty_period_says_what_to_do(server: Server) -> None:
    _, _, text = await server.get("/signups", **server.signed_in())
    assert "Nobody signed up in the last 30 days" in text and "Make a link below" in text


@pytest.mark.parametrize(
    ("query", "link"),
    [
        ("channel=email&campaign=3", "/?utm_source=email&utm_medium=cold_outreach&utm_campaign=wave3"),
        ("campaign=3", "/?utm_source=email&utm_medium=cold_outreach&utm_campaign=wave3"),
        ("channel=twitter&campaign=a+b", "/?utm_source=twitter&utm_medium=social&utm_campaign=a+b"),
        ("channel=directory&campaign=x", "/?utm_source=directory&utm_medium=listing&utm_campaign=x"),
        (
            "channel=linkedin&campaign=%26&page=/docs/quickstart",
            "/docs/quickstart?utm_source=linkedin&utm_medium=social",
        ),
        (
            "channel=other&source=news&medium=mail&campaign=launch&page=/signup",
            "/signup?utm_source=news&utm_medium=mail&utm_campaign=launch",
        ),
    ],
)
async def test_a_link_follows_the_template_of_its_channel(server: Server, query: str, link: str) -> None:
    """It leads to this server, and a sign-up keeps its parameters as they are."""
    status, _, text = await server.get(f"/signups?{query}", **server.signed_in())
    made = re.search(r"<code>(http[^<]+)</code>", text)
    assert status == 200 and made and unescape(made[1]).startswith(server.url + link)
    _, _, text = await server.get(unescape(made[1]).removeprefix(server.url))
    for name, value in re.findall(r"(utm_\w+)=([^&]+)", link):
        shown = re.search(rf'name="{name}" value="([^"]*)"', text)
        assert shown is None or unescape(shown[1]) == value.replace("+", " ").replace("%26", "&")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("channel=fax", "channel must be one of"),
        ("page=//evil.example", "page must be one of"),
        ("channel=other&campaign=x", "utm_source is required"),
        ("channel=other&campaign=x&source=a", "utm_medium is required"),
        (f"campaign={'x' * 300}", "utm_campaign must have at most 256 characters"),
        ("campaign=a%E2%80%8Bb", "utm_campaign must have"),
    ],
)
async def test_a_link_that_cannot_be_made_is_said(server: Server, query: str, says: str) -> None:
    status, _, text = await server.get(f"/signups?{query}", **server.signed_in())
    assert status == 400 and says in text and "<code>http" not in text


def test_the_channels_are_those_of_the_reference() -> None:
    templates = {(one.source, one.medium, one.prefix) for one in CHANNELS.values()}
    assert len(CHANNELS) == 5 and ("email", "cold_outreach", "wave") in templates
