"""Sign-ups by the links that led to them, and the links to make. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from warehouse.dashboard_rows import SignupsRow
from web import formats
from web.data.dashboard_data import SignupCount, signups
from web.views.overview_view import Figure

DIRECT = "no parameter"
"""What sign-ups without a UTM parameter are listed as."""
LISTED = 8
"""Names in each ranking."""
PAGES = {"/": "Landing page", "/pricing": "Pricing", "/signup": "Sign-up", "/docs/quickstart": "Quickstart"}
"""Where a link may lead."""


class Channel(NamedTuple):
    """A way to share links. ``prefix`` goes before what the person types as the campaign, called ``asks``."""

    label: str
    source: str
    medium: str
    prefix: str
    asks: str
    example: str


CHANNELS = {
    "email": Channel("Cold e-mail", "email", "cold_outreach", "wave", "Number of the wave", "1"),
    "twitter": Channel("Twitter / X", "twitter", "social", "", "Topic", "outcome-pricing"),
    "directory": Channel("Directory", "directory", "listing", "", "Name of the directory", "agent-tools"),
    "linkedin": Channel("LinkedIn", "linkedin", "social", "", "Topic", "outcome-pricing"),
    "other": Channel("Anything else", "", "", "", "Campaign", "launch"),
}


class CountLine(NamedTuple):
    """A name with its sign-ups. ``share``: of the most, in percent."""

    name: str
    signups: int
    share: int


class SignupsView(NamedTuple):
    """``links``: sign-ups by all three parameters, the most first."""

    figures: list[Figure]
    sources: list[CountLine]
    media: list[CountLine]
    campaigns: list[CountLine]
    links: Sequence[SignupsRow]


def assemble(period: str, rows: Sequence[SignupsRow], before: Sequence[SignupsRow]) -> SignupsView:
    """Return the page of a period; ``before``: the sign-ups of the period before."""
    now, then = signups(period, rows), sum(row.signups for row in before)
    tagged = sum(row.signups for row in rows if row.source or row.medium or row.campaign)
    return SignupsView(
        figures=[
            Figure("Sign-ups", formats.grouped(now.total), "", *formats.change(now.total, then)),
            Figure(
                "From a tagged link", formats.percent(tagged, now.total), note=formats.grouped(tagged) if tagged else ""
            ),
            Figure("Sources", formats.grouped(sum(one.name is not None for one in now.by_source))),
            Figure("Campaigns", formats.grouped(sum(one.name is not None for one in now.by_campaign))),
        ],
        sources=_lines(now.by_source),
        media=_lines(now.by_medium),
        campaigns=_lines(now.by_campaign),
        links=rows,
    )


def parameters(channel: Channel, given: Mapping[str, str]) -> dict[str, str]:
    """Return the UTM parameters of a link; '' for what is missing.

    ``given``: ``campaign``, and for a channel without a template ``source`` and ``medium``.
    """
    campaign = given.get("campaign", "").strip()
    return {
        "utm_source": channel.source or given.get("source", "").strip(),
        "utm_medium": channel.medium or given.get("medium", "").strip(),
        "utm_campaign": channel.prefix + campaign if campaign else "",
    }


def link(address: str, page: str, utm: Mapping[str, str]) -> str:
    """Return a link to a page of this server."""
    return f"{address}{page}?{urlencode(utm)}"


def _lines(counts: Sequence[SignupCount]) -> list[CountLine]:
    most = max((one.signups for one in counts), default=0)
    return [CountLine(one.name or DIRECT, one.signups, one.signups * 100 // most) for one in counts[:LISTED]]
