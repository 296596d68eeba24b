"""Reads what customers paid for prepaid credit, and what was drawn of it, from the ledger and a gateway."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from schemas.money import parse_cents
from schemas.months import month_range
from schemas.times import parse
from tools.exporter.credit_postings import PaidGrant, Use

_GRANTS = """
    FROM rev.entries
    WHERE kind = 'config' AND config_type = 'credit.granted' AND NOT test
        AND JSONExtractString(detail, 'category') = 'paid' AND recorded_at < fromUnixTimestamp64Milli({end}, 'UTC')
"""
_USED = """
SELECT
    toString(draw.grant), formatDateTime(recorded_at, '%Y-%m', 'UTC') AS month,
    toString(max(toUnixTimestamp64Milli(recorded_at))), toString(sum(toDecimal256(draw.cents, 12)))
FROM rev.entries ARRAY JOIN draws AS draw
WHERE NOT test AND recorded_at < fromUnixTimestamp64Milli({end}, 'UTC') AND draw.grant IN (SELECT event_id {grants})
GROUP BY draw.grant, month
FORMAT JSONCompactEachRow
"""


def paid_grants(query: Callable[[str], Iterator[bytes]], get: Callable[[str], Any], month: str) -> list[PaidGrant]:
    """Return every grant that was paid for until the end of a month, the first one first. Raises what both raise."""
    end = month_range(month).end
    chosen = _GRANTS.format(end=end)
    made = [row[0] for row in _rows(query(f"SELECT detail {chosen} ORDER BY event_id FORMAT JSONCompactEachRow"))]
    if not made:
        return []
    used: dict[int, dict[str, Use]] = defaultdict(dict)
    for id, of, last, cents in _rows(query(_USED.format(end=end, grants=chosen))):
        used[int(id)][of] = Use(parse_cents(cents), int(last))
    currencies: dict[str, str] = {}
    grants = []
    for detail in made:
        shown = json.loads(detail, parse_float=Decimal, parse_int=Decimal)
        customer, expires = shown["customer_id"], shown["expires_at"]
        if customer not in currencies:
            currencies[customer] = get(f"/api/admin/customers/{quote(customer, safe='')}/billing")["currency"]
        grants.append(
            PaidGrant(
                id=int(shown["id"]),
                customer_id=customer,
                currency=currencies[customer],
                amount=parse_cents(f"{shown['amount_cents']:f}"),
                created_at=parse(shown["created_at"]),
                expires_at=None if expires is None else parse(expires),
                used=used[int(shown["id"])],
            )
        )
    return grants


def _rows(pieces: Iterator[bytes]) -> list[list[str]]:
    return [json.loads(line) for line in b"".join(pieces).splitlines()]
