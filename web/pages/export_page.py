"""/export/{file}: the tables of the owner's pages as CSV and Parquet, such as customers.csv or audit.parquet; and
/portal/export/{file}: those of a customer.

Filters are those of the page's URL. Events have addresses of their own (web/event_export.py).
"""

from aiohttp import hdrs, web

from schemas import table_files
from schemas.table_files import Groups
from web.pages import exported_rows
from web.pages.exported_tables import TABLES
from web.routes import Audience, WebRoute
from web.visits import PORTAL, Visit
from web.web_refusals import Refusal


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [
        WebRoute(hdrs.METH_GET, "/export/{file}", Audience.OWNER, _export),
        WebRoute(hdrs.METH_GET, PORTAL + "/export/{file}", Audience.PORTAL, _export),
    ]


async def _export(visit: Visit) -> web.StreamResponse:
    file = visit.request.match_info["file"]
    name, _, kind = file.partition(".")
    known = {
        name: table.parameters if visit.user is None else table.portal
        for name, table in TABLES.items()
        if visit.user is None or table.portal is not None
    }
    parameters = known.get(name)
    if parameters is None or kind not in table_files.TYPES:
        names = ", ".join(known)
        raise Refusal(404, "not_found", f"There is no such file; there are {names}, each as .csv and .parquet.")
    table, given = TABLES[name], visit.query(parameters)
    pieces = table_files.pieces(kind, table.columns, bounded(table.groups(visit, given)))
    return await visit.file(file, table_files.TYPES[kind], pieces)


async def bounded(groups: Groups) -> Groups:
    """Yield at most MOST rows in groups of at most PAGE, so that none is compressed for long while others wait."""
    left = exported_rows.MOST
    async for group in groups:
        if isinstance(group, str):
            yield group
            continue
        here = group[:left]
        for begin in range(0, max(len(here), 1), exported_rows.PAGE):
            yield here[begin : begin + exported_rows.PAGE]
        if len(group) > left:
            yield f"Cut after {exported_rows.MOST} rows; narrow the filters to export the rest."
            return
        left -= len(group)
