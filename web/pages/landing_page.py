"""/ and /pricing: what a visitor sees before there is a key."""

from aiohttp import hdrs, web

from schemas.money import format_cents
from warehouse.errors import ReadsUnavailable
from web.data import demo_api
from web.default_prices import PriceLine
from web.demo_agent import DemoStats
from web.pages.public_frame import public_page
from web.routes import Audience, WebRoute
from web.views import estimate, landing_view
from web.visits import Visit
from web.web_refusals import Refusal


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [
        WebRoute(hdrs.METH_GET, "/", Audience.EVERYONE, _landing),
        WebRoute(hdrs.METH_GET, "/pricing", Audience.EVERYONE, _pricing),
    ]


async def _landing(visit: Visit) -> web.Response:
    lines = await _lines(visit)
    line = landing_view.line_of(lines or [])
    rates = landing_view.model_rates(line)
    return public_page(
        visit,
        "landing.html",
        lines=lines,
        example=landing_view.example(line),
        measured=landing_view.MEASURED,
        line=line,
        flat_rate=rates.flat,
        simulator=_simulator(estimate.Workload(), rates),
        demo=await _demo(visit),
    )


async def _pricing(visit: Visit) -> web.Response:
    query = visit.request.query
    lines = await _lines(visit)
    known = landing_view.model_rates(landing_view.line_of(lines or []))
    simulator = _simulator(estimate.workload(query), estimate.rates(query, known))
    return public_page(visit, "pricing.html", lines=lines, simulator=simulator)


async def _demo(visit: Visit) -> DemoStats | None:
    """Return what the demo agent earned; None where it is off, or while the ledger cannot be read."""
    try:
        return await demo_api.stats(visit)
    except (Refusal, ReadsUnavailable):
        return None


def _simulator(work: estimate.Workload, rates: estimate.ModelRates) -> dict[str, object]:
    """Return what templates/simulator.html needs."""
    return {
        "work": work._asdict(),
        "choices": estimate.CHOICES,
        "rates": {name: format_cents(rate) for name, rate in rates._asdict().items()},
        "figures": estimate.figures(work, rates),
    }


async def _lines(visit: Visit) -> list[PriceLine] | None:
    """Return the default prices in force; None while the gateway does not answer: the page does without."""
    try:
        return await visit.site.prices.lines()
    except Refusal:
        return None
