"""In-memory log and ledger for tests of verify. No I/O."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime

from tools.verify.price_model import PriceModel, price_of, terms_shown
from tools.verify.row_values import EMPTY, Row, loads
from tools.verify.sources import KEYED, OUTCOMES, OldKey, PriceAsSet, RawRecord, Selection, Span


class MemoryRawLog:
    """Partitions of records, each ordered by offset. ``firsts``: first offsets that retention has left."""

    def __init__(self, partitions: Mapping[int, Sequence[RawRecord]], firsts: Mapping[int, int] | None = None) -> None:
        self.partitions = dict(partitions)
        self.firsts = dict(firsts or {})

    async def spans(self) -> dict[int, Span]:
        return {
            partition: Span(self.firsts.get(partition, 0), records[-1].offset + 1 if records else 0)
            for partition, records in self.partitions.items()
        }

    async def records(self, partition: int, span: Span) -> AsyncIterator[RawRecord]:
        for record in self.partitions[partition]:
            if span.first <= record.offset < span.end:
                yield record


class MemoryLedger:
    """Rows in any order. ``late`` rows arrive after the next call of `reached`."""

    def __init__(self, rows: Iterable[Row], late: Iterable[Row] = ()) -> None:
        self.all = [{**EMPTY, **row} for row in rows]
        self.late = [{**EMPTY, **row} for row in late]

    async def reached(self, partition: int) -> int:
        highest = max((row["raw_offset"] for row in self.all if row["raw_partition"] == partition), default=-1)
        self.all, self.late = self.all + self.late, []
        return highest

    async def beyond(self, partitions: int) -> list[Row]:
        return [row for row in self.all if row["raw_partition"] >= partitions][:1000]

    async def rows(
        self, partition: int, span: Span, selection: Selection, outcomes: bool = False
    ) -> AsyncIterator[Row]:
        for row in self._of(partition):
            wanted = not outcomes or row["kind"] in OUTCOMES or (row["kind"], row["outcome"]) == ("event", "pending")
            if wanted and span.first <= row["raw_offset"] < span.end and selection.holds(row):
                yield row

    async def originals(self, voids: Sequence[Row]) -> dict[int, Row]:
        wanted = {(void["customer_id"], void["original"]) for void in voids}
        return {row["event_id"]: row for row in self.all if (row["customer_id"], row["event_id"]) in wanted}

    async def began(self, partition: int, first: int) -> int:
        return max((row["recorded_at"] for row in self._of(partition) if row["raw_offset"] < first), default=0)

    async def inherited(self, partition: int, first: int) -> list[PriceModel]:
        found = {
            price_of(r)
            for r in self._of(partition)
            if r["raw_offset"] >= first > r["price_offset"] and r["price_id"] and r["kind"] in ("event", "config")
        }
        return sorted(found, key=lambda price_model: (price_model.offset, price_model.id))

    async def terms(self) -> dict[int, PriceAsSet]:
        found = {}
        for shown in (loads(row["detail"]) for row in self.all if row["config_type"] == "pricing.updated"):
            if {"effective_at", "tiers", "minimum_cents", "cap_cents"} & shown.keys():
                start = _ms(shown["effective_at"]) if "effective_at" in shown else 0
                found[shown["id"]] = PriceAsSet(start, terms_shown(shown))
        return found

    async def limited(self, partition: int, first: int, types: Sequence[str]) -> list[str]:
        rows = self._of(partition)
        return sorted({r["customer_id"] for r in rows if r["raw_offset"] < first and r["config_type"] in types})

    async def old_keys(self, partition: int, first: int, since: int) -> AsyncIterator[OldKey]:
        for row in self._of(partition):
            old = row["kind"] in KEYED and row["raw_offset"] < first and row["recorded_at"] >= since
            if old and row["idempotency_key"]:
                yield OldKey(row["customer_id"], row["idempotency_key"], row["recorded_at"], row["test"])

    def _of(self, partition: int) -> list[Row]:
        rows = [row for row in self.all if row["raw_partition"] == partition]
        return sorted(rows, key=lambda row: (row["raw_offset"], row["raw_index"]))


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000 + 0.5)
