"""/signups: who signed up, by source, medium and campaign; and links with UTM parameters to share."""

import asyncio

from aiohttp import hdrs, web

from warehouse.time_range import named
from web import filters, periods
from web.pages.public_frame import kept
from web.routes import Audience, WebRoute
from web.views import signups_view
from web.views.signups_view import CHANNELS, PAGES
from web.visits import Visit
from web.web_refusals import Refusal, invalid

PATH = "/signups"
FIELDS = ("channel", "campaign", "source", "medium", "page")
DEFAULT = "email"
LINKS = 50
"""Rows in the table of links."""


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_GET, PATH, Audience.OWNER, _signups)]


async def _signups(visit: Visit) -> web.Response:
    given = visit.query(("period", *FIELDS))
    period = periods.checked(given.get("period"))
    channel = filters.choice(given, "channel", tuple(CHANNELS)) or DEFAULT
    page = filters.choice(given, "page", tuple(PAGES)) or "/"
    now, reads = visit.site.clock(), visit.site.reads
    time = named(period, now)
    rows, before = await asyncio.gather(reads.signups(time), reads.signups(periods.before(time, now)))
    made, problem = "", ""
    if given.get("campaign"):
        try:
            utm = _checked(signups_view.parameters(CHANNELS[channel], given))
            made = signups_view.link(visit.address, page, utm)
        except Refusal as refusal:
            problem = refusal.sentence
    return visit.page(
        "signups.html",
        400 if problem else 200,
        view=signups_view.assemble(period, rows, before),
        most=LINKS,
        period=period,
        periods=periods.PERIODS,
        labels={name: one.label for name, one in CHANNELS.items()},
        channel=channel,
        chosen=CHANNELS[channel],
        pages=PAGES,
        page=page,
        given={name: given.get(name, "") for name in FIELDS},
        made=made,
        problem=problem,
        is_on=visit.site.settings.signup,
    )


def _checked(utm: dict[str, str]) -> dict[str, str]:
    """Return the parameters if a sign-up keeps them as they are. Raises Refusal naming the one that it does not."""
    read = kept(utm)
    for name, value in utm.items():
        if not value:
            raise invalid(f"{name} is required.")
        if read.get(name) != value:
            raise invalid(f"{name} must have at most 256 characters, none of them invisible, no blanks around.")
    return utm
