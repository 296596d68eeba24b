"""/system: each service, whether it is up, how far it is behind, what it does and when it last got on."""

import asyncio

from aiohttp import hdrs, web
from prometheus_client import generate_latest

from web.routes import Audience, WebRoute
from web.service_probes import Probed, ServiceAddress, parsed, problem_of
from web.site import WebSite
from web.views import system_view
from web.visits import Visit

PATH = "/system"
GATEWAY = "gateway"


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_GET, PATH, Audience.OWNER, _system)]


async def _system(visit: Visit) -> web.Response:
    visit.query(())
    site, settings = visit.site, visit.site.settings
    clickhouse, kafka, probed = await asyncio.gather(
        problem_of(site.reads.ready()), problem_of(site.ledger.ends(0)), site.probes.probe(instances(site))
    )
    now = site.clock()
    lines = []
    for one in [*probed, _self(visit, clickhouse)]:
        before = site.observations.get(one.instance)
        after = system_view.observed(one, before, now)
        lines.append(system_view.line(one, before, after))
        if after is None:
            site.observations.pop(one.instance, None)
        else:
            site.observations[one.instance] = after
    lines.append(system_view.part("clickhouse", settings.clickhouse_url, clickhouse))
    lines.append(system_view.part("kafka", settings.kafka, kafka))
    return visit.page(
        "system.html",
        lines=system_view.ordered(lines),
        summary=system_view.worst(lines),
        is_complete=bool(settings.service_urls),
    )


def instances(site: WebSite) -> list[ServiceAddress]:
    """Return the instances to ask: those that are set, or the gateway alone."""
    named = site.settings.service_urls or ((GATEWAY, site.settings.gateway_url.rstrip("/")),)
    return [ServiceAddress(service, url) for service, url in named]


def _self(visit: Visit, clickhouse: str) -> Probed:
    """Return what this process says of itself, without a request."""
    lacking = ["clickhouse: no answer"] if clickhouse else []
    return Probed(ServiceAddress("web", "this process"), True, lacking, parsed(generate_latest().decode()))
