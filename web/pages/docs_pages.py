"""/docs: the documents of docs/ and the search over them."""

from typing import Any

from aiohttp import hdrs, web

from web.documents import DECISIONS, FIRST, Document
from web.pages.public_frame import public_page
from web.routes import Audience, WebRoute
from web.visits import Visit
from web.web_refusals import Refusal

LONGEST = 200
"""Characters of a search that are looked at."""


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    get, everyone = hdrs.METH_GET, Audience.EVERYONE
    return [
        WebRoute(get, "/docs", everyone, _first),
        WebRoute(get, "/docs/{name}", everyone, _document),
        WebRoute(get, f"/docs/{DECISIONS}{{name}}", everyone, _decision),
    ]


async def _first(visit: Visit) -> web.Response:
    words = visit.request.query.get("q", "").strip()[:LONGEST]
    if not words:
        return await _shown(visit, FIRST)
    found = (await visit.site.documents.ready()).search(words)
    return _page(visit, "docs_search.html", None, words, found=found)


async def _document(visit: Visit) -> web.Response:
    return await _shown(visit, visit.request.match_info["name"])


async def _decision(visit: Visit) -> web.Response:
    return await _shown(visit, DECISIONS + visit.request.match_info["name"])


async def _shown(visit: Visit, name: str) -> web.Response:
    document = (await visit.site.documents.ready()).all.get(name)
    if document is None:
        raise Refusal(404, "not_found", "There is no such document.")
    return _page(visit, "docs.html", document, "")


def _page(visit: Visit, template: str, document: Document | None, words: str, **values: Any) -> web.Response:
    documents = visit.site.documents
    return public_page(
        visit,
        template,
        document=document,
        words=words,
        groups=documents.groups(),
        decisions=documents.decisions(),
        **values,
    )
