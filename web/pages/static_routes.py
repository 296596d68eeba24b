"""/static/{version}/{name}: styles, scripts and pictures."""

from aiohttp import hdrs, web

from web.routes import Audience, WebRoute
from web.visits import Visit
from web.web_refusals import Refusal


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_GET, "/static/{version}/{name}", Audience.EVERYONE, _file)]


async def _file(visit: Visit) -> web.Response:
    files, given = visit.site.files, visit.request.match_info
    found = files.find(given["name"])
    if found is None:
        raise Refusal(404, "not_found", "There is nothing at this address.")
    headers = {
        hdrs.CONTENT_TYPE: found.content_type,
        hdrs.CACHE_CONTROL: files.caching(given["version"]),
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
    }
    if "gzip" not in visit.request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        return web.Response(body=found.body, headers=headers)
    return web.Response(body=found.compressed, headers={**headers, hdrs.CONTENT_ENCODING: "gzip"})
