"""Reads rev.entries for verify: over ClickHouse's HTTP interface, in ranges of raw offsets, as text.

Read permission suffices. Every number is read as text, so that no client library can round it.
"""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import aiohttp

from tools.verify.price_model import PriceModel, terms_shown
from tools.verify.row_values import COLUMNS, FLAGS, LISTS, MONEY, TIMES, WHOLES, Row, loads
from tools.verify.sources import KEYED, OUTCOMES, CannotRun, OldKey, PriceAsSet, Selection, Span

PAGE = 20_000
"""Approximate rows in one response. A range of fewer raw offsets than this is queried at once."""
ORIGINALS = 2_000
"""Maximum rows queried by their ids at once, since the length of a query is limited."""
LIMIT = 600.0


class ClickHouseLedger:
    """Ledger in ClickHouse. ``user`` and ``password``: of any user who may SELECT from rev.entries."""

    def __init__(self, session: aiohttp.ClientSession, url: str, user: str, password: str) -> None:
        self._session, self._url = session, url.rstrip("/")
        self._headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}

    async def reached(self, partition: int) -> int:
        where = f"raw_partition = {partition}"
        (row,) = await self._all(f"SELECT toString(count()), toString(max(raw_offset)) FROM rev.entries WHERE {where}")
        return int(row[1]) if int(row[0]) else -1

    async def beyond(self, partitions: int) -> list[Row]:
        where = f"raw_partition >= {partitions} LIMIT 1000"
        return [_row(found) for found in await self._all(f"SELECT {_SELECTED} FROM rev.entries WHERE {where}")]

    async def rows(
        self, partition: int, span: Span, selection: Selection, outcomes: bool = False
    ) -> AsyncIterator[Row]:
        """Yield the rows, with one query for each page of about PAGE rows, so that the engine never sorts many."""
        at, more = span.first, _OUTCOMES if outcomes else ""
        while at < span.end:
            upto = await self._page_end(partition, Span(at, span.end), more)
            where = f"raw_partition = {partition} AND raw_offset >= {at} AND raw_offset < {upto}{more}"
            where += _chosen(selection)
            order = "ORDER BY raw_offset, raw_index, entries_offset"
            async for row in self._stream(f"SELECT {_SELECTED} FROM rev.entries WHERE {where} {order}"):
                yield _row(row)
            at = upto

    async def originals(self, voids: Sequence[Row]) -> dict[int, Row]:
        found: dict[int, Row] = {}
        for start in range(0, len(voids), ORIGINALS):
            some = voids[start : start + ORIGINALS]
            customers = ", ".join(sorted({_quoted(void["customer_id"]) for void in some}))
            ids = ", ".join(str(void["original"]) for void in some if void["original"] is not None)
            if ids:
                where = f"customer_id IN ({customers}) AND event_id IN ({ids})"
                async for row in self._stream(f"SELECT {_SELECTED} FROM rev.entries WHERE {where}"):
                    made = _row(row)
                    found[made["event_id"]] = made
        return {v["original"]: found[v["original"]] for v in voids if _of_the_same(v, found.get(v["original"]))}

    async def _page_end(self, partition: int, span: Span, more: str) -> int:
        """Return where to cut a span so that about PAGE rows are before the cut."""
        if span.end - span.first <= PAGE:
            return span.end
        where = f"raw_partition = {partition} AND raw_offset >= {span.first} AND raw_offset < {span.end}{more}"
        page = f"SELECT raw_offset FROM rev.entries WHERE {where} ORDER BY raw_offset LIMIT {PAGE}"
        (found,) = await self._all(f"SELECT toString(count()), toString(max(raw_offset)) FROM ({page})")
        return int(found[1]) + 1 if int(found[0]) == PAGE else span.end

    async def began(self, partition: int, first: int) -> int:
        where = f"raw_partition = {partition} AND raw_offset < {first}"
        latest = "toString(toUnixTimestamp64Milli(max(recorded_at)))"
        (row,) = await self._all(f"SELECT toString(count()), {latest} FROM rev.entries WHERE {where}")
        return int(row[1]) if int(row[0]) else 0

    async def inherited(self, partition: int, first: int) -> list[PriceModel]:
        customer = "if(price_is_default, '', customer_id)"
        columns = f"toString(price_id), {customer}, price_action, {_money('price_base')}, {_money('price_token')}"
        columns += f", {_money('price_bonus')}, toString(price_offset), price_is_default, price_model, price_provider"
        columns += f", {_list('price_rates')}, price_ignore_unknown"
        where = f"raw_partition = {partition} AND raw_offset >= {first} AND price_offset < {first} AND price_id != 0"
        # a void or charge has the price of an older event, which may have ended
        where += " AND kind IN ('event', 'config')"
        found = await self._all(f"SELECT DISTINCT {columns} FROM rev.entries WHERE {where}")
        price_models = [
            PriceModel(
                id=int(id),
                customer=None if default else customer,
                action=action,
                base=Decimal(b),
                token=Decimal(t),
                bonus=Decimal(s),
                offset=int(offset),
                model=model,
                provider=provider,
                rates=_read_list("price_rates", rates),
                ignore_unknown=bool(ignores),
            )
            for id, customer, action, b, t, s, offset, default, model, provider, rates, ignores in found
        ]
        return sorted(price_models, key=lambda price_model: (price_model.offset, price_model.id))

    async def terms(self) -> dict[int, PriceAsSet]:
        start = "parseDateTime64BestEffortOrZero(JSONExtractString(detail, 'effective_at'), 3, 'UTC')"
        columns = f"toString(JSONExtractUInt(detail, 'id')), toString(toUnixTimestamp64Milli({start}))"
        columns += ", detail"
        where = "customer_id = '_config' AND config_type = 'pricing.updated'"
        where += " AND (JSONHas(detail, 'effective_at') OR JSONHas(detail, 'tiers')"
        where += " OR JSONHas(detail, 'minimum_cents') OR JSONHas(detail, 'cap_cents'))"
        found = await self._all(f"SELECT DISTINCT {columns} FROM rev.entries WHERE {where}")
        return {int(id): PriceAsSet(int(start), terms_shown(loads(detail))) for id, start, detail in found}

    async def limited(self, partition: int, first: int, types: Sequence[str]) -> list[str]:
        where = f"raw_partition = {partition} AND raw_offset < {first}"
        where += f" AND config_type IN ({', '.join(map(_quoted, types))})"
        found = await self._all(f"SELECT DISTINCT customer_id FROM rev.entries WHERE {where} ORDER BY customer_id")
        return [customer for (customer,) in found]

    async def old_keys(self, partition: int, first: int, since: int) -> AsyncIterator[OldKey]:
        columns = "customer_id, idempotency_key, toString(toUnixTimestamp64Milli(recorded_at)), test"
        where = (
            f"raw_partition = {partition} AND raw_offset < {first} AND kind IN {KEYED} AND idempotency_key != ''"
            f" AND recorded_at >= {_moment(since)}"
        )
        async for customer, key, at, test in self._stream(f"SELECT {columns} FROM rev.entries WHERE {where}"):
            yield OldKey(customer, key, int(at), bool(test))

    async def _all(self, query: str) -> list[list[Any]]:
        return [row async for row in self._stream(query)]

    async def _stream(self, query: str) -> AsyncIterator[list[Any]]:
        """Yield rows as JSON arrays. Raises CannotRun."""
        try:
            async with self._session.post(
                self._url + "/",
                params={"wait_end_of_query": "1"},
                data=f"{query} FORMAT JSONCompactEachRow".encode(),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=LIMIT),
            ) as response:
                if response.status != 200:
                    raise CannotRun(f"ClickHouse at {self._url}: {(await response.text())[:500]}")
                async for line in _lines(response.content):
                    yield json.loads(line)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CannotRun(f"ClickHouse at {self._url}: {type(error).__name__}: {error}") from error
        except json.JSONDecodeError as error:
            raise CannotRun(
                f"ClickHouse at {self._url} returned a line that is not a row: {error.doc[:500]}"
            ) from error


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield lines of any length."""
    rest = b""
    async for block in content.iter_any():
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if line:
                yield line
    if rest:
        yield rest


def _of_the_same(void: Row, original: Row | None) -> bool:
    return original is not None and original["customer_id"] == void["customer_id"]


def _money(column: str) -> str:
    return f"toString({column})"


def _whole(column: str) -> str:
    return f"toString({column})"


def _time(column: str) -> str:
    return f"toString(toUnixTimestamp64Milli({column}))"


def _list(column: str) -> str:
    """Return a column of tuples as arrays of text; a map as its pairs, sorted by name."""
    pairs = f"arraySort(arrayZip(mapKeys({column}), mapValues({column})))" if column == "quantities" else column
    if column == "budgets_exceeded":
        return f"arrayMap(id -> [toString(id)], {column})"
    texts = ", ".join(f"toString(t.{place})" for place in range(1, len(LISTS[column]) + 1))
    return f"arrayMap(t -> [{texts}], {pairs})"


def _read_list(column: str, found: Sequence[Sequence[str]]) -> tuple[tuple[Any, ...], ...]:
    types = LISTS[column]
    return tuple(tuple(make(text) for make, text in zip(types, one, strict=True)) for one in found)


_SQL: dict[str, Callable[[str], str]] = {
    **dict.fromkeys(MONEY, _money),
    **dict.fromkeys(WHOLES, _whole),
    **dict.fromkeys(TIMES, _time),
    **dict.fromkeys(LISTS, _list),
}
_SELECTED = ", ".join(_SQL[column](column) if column in _SQL else column for column in COLUMNS)
_OUTCOMES = f" AND (kind IN {OUTCOMES} OR kind = 'event' AND outcome = 'pending')"
_READ: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(MONEY, Decimal),
    **dict.fromkeys((*WHOLES, *TIMES), int),
    **dict.fromkeys(FLAGS, bool),
    **{column: partial(_read_list, column) for column in LISTS},
}
_READERS = [_READ.get(column, str) for column in COLUMNS]


def _row(found: Sequence[Any]) -> Row:
    triples = zip(COLUMNS, _READERS, found, strict=True)
    return {column: None if value is None else read(value) for column, read, value in triples}


def _chosen(selection: Selection) -> str:
    text = ""
    if selection.customer is not None:
        text += f" AND customer_id = {_quoted(selection.customer)}"
    if selection.start is not None:
        text += f" AND recorded_at >= {_moment(selection.start)}"
    if selection.end is not None:
        text += f" AND recorded_at < {_moment(selection.end)}"
    return text


def _moment(at: int) -> str:
    return f"fromUnixTimestamp64Milli(toInt64({at}), 'UTC')"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
