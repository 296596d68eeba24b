"""Responses that are files, and the currency that they are in."""

from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web

from ingest.collector_client import Collector
from ingest.middleware import http_response
from ingest.statements.statement_params import MEDIA_TYPES
from schemas.billing import DEFAULT_CURRENCY


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


async def currency_of(collector: Collector, customer: str) -> str:
    """Return the currency that a customer is billed in. Raises InvoicesAway."""
    return _billed(await collector.call(hdrs.METH_GET, f"/billing/{quote(customer, safe='')}")).currency
