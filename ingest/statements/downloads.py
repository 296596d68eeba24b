"""Responses that are files, and the currency that they are in."""

import asyncio
from collections.abc import Callable
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web

from ingest.collector_client import Collector
from ingest.context import Context
from ingest.middleware import http_response
from ingest.pdf.document import PdfDocument
from ingest.problems import PayloadTooLarge
from ingest.statements.statement_params import MEDIA_TYPES
from schemas.billing import DEFAULT_CURRENCY

MAX_ROWS = 2000
"""Lines of a PDF: they take about 2 s of CPU."""


class _Billed(msgspec.Struct, frozen=True):
    currency: str = DEFAULT_CURRENCY


_billed = msgspec.json.Decoder(_Billed).decode


def download(body: bytes, format: str, name: str) -> web.Response:
    """Return the response of a format; what is not JSON is a file of that name."""
    response = http_response(body)
    if format != "json":
        response.headers["Content-Type"] = MEDIA_TYPES[format]
        response.headers["Content-Disposition"] = f'attachment; filename="{name}.{format}"'
    return response


async def drawn(context: Context, make: Callable[[], PdfDocument]) -> bytes:
    """Return a document as PDF, drawn in a thread. Raises PayloadTooLarge for more than MAX_ROWS."""
    async with context.drawing:
        return await asyncio.to_thread(lambda: _pdf(make()))


def _pdf(document: PdfDocument) -> bytes:
    if len(document.rows) > MAX_ROWS:
        raise PayloadTooLarge(f"a PDF may have at most {MAX_ROWS} lines; ask for format=csv or json instead")
    from ingest.pdf import layout  # what draws is a tenth of a gateway's memory and start; most never need it

    return layout.pdf(document)


async def currency_of(collector: Collector, customer: str) -> str:
    """Return the currency that a customer is billed in. Raises InvoicesAway."""
    return _billed(await collector.call(hdrs.METH_GET, f"/billing/{quote(customer, safe='')}")).currency
