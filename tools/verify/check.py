"""Runs the whole comparison: partition by partition, chunk by chunk, in bounded memory."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from schemas.limits import DAY
from schemas.topics import partition_of
from tools.verify.anchor_model import HISTORY as ANCHORS
from tools.verify.anchor_model import AnchorModels
from tools.verify.compare import Difference, compare
from tools.verify.config_model import CONFIG_KEY, Configuration
from tools.verify.derive import derive
from tools.verify.inherit import inherit
from tools.verify.key_model import Keys, Known
from tools.verify.model import ExpectedRows, ShardModel
from tools.verify.outcome_model import OutcomeModels
from tools.verify.price_model import PriceModel, PriceModels, Slot
from tools.verify.row_values import BORROWED, ZERO, Row, add, event_id
from tools.verify.sources import CannotRun, LedgerRows, PriceAsSet, RawLog, RawRecord, Selection, Span
from tools.verify.spending_model import HISTORY, SpendingModels
from tools.verify.void_rules import against

CHUNK = 20_000
"""Approximate number of rows compared at once."""
MAX_WINDOW = 400 * DAY
"""Keys charged up to this long before the log begins are still queried; a window is shorter."""
PAGE = 200
"""Records whose rows are read together where the ledger is asked what a record left."""
STEP = 0.1
"""Seconds between two checks of the ledger's progress."""


@dataclass
class Totals:
    """Counts of what was read and compared. ``cents``: the exact sum of the ledger's rows. ``derived``: rows
    that are older than the log; ``borrowed``: later ones of which only older rows tell the terms."""

    commands: int = 0
    events: int = 0
    rows: int = 0
    derived: int = 0
    borrowed: int = 0
    cents: Decimal = ZERO
    differences: int = 0


class _Page(NamedTuple):
    """The ledger's rows of some records of a partition, by offset."""

    partition: int
    span: range
    rows: Mapping[int, list[Row]]


class Check:
    """One comparison. ``tell`` gets every difference; ``pause`` sleeps for seconds."""

    def __init__(
        self,
        log: RawLog,
        ledger: LedgerRows,
        selection: Selection,
        tell: Callable[[Difference], None],
        *,
        patience: float = 60.0,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chunk: int = CHUNK,
    ) -> None:
        self._log, self._ledger, self._selection, self._tell = log, ledger, selection, tell
        self._tries, self._pause, self._chunk = int(patience / STEP), pause, chunk
        self._reached: dict[int, int] = {}
        self._page = _Page(-1, range(0), {})
        self.totals = Totals()

    async def run(self) -> Totals:
        """Compare everything that the log held at the start, and what it no longer holds."""
        spans = await self._log.spans()
        if not spans:
            raise CannotRun("the log has no partitions")
        count = len(spans)
        home = partition_of(CONFIG_KEY, count)
        configuration = Configuration(spans[home].first == 0, lambda customer: partition_of(customer.encode(), count))
        # Process the shard that decides prices first, so that the price records of the others can be checked.
        order = [home, *(partition for partition in sorted(spans) if partition != home)]
        if self._selection.customer is not None:
            theirs = partition_of(self._selection.customer.encode(), count)
            order = [partition for partition in order if partition in (home, theirs)]
        for partition in order:
            await self._partition(partition, spans[partition], configuration)
        await self._beyond(order, count)
        return self.totals

    async def _partition(self, partition: int, span: Span, configuration: Configuration) -> None:
        with closing(Keys()) as keys, closing(OutcomeModels()) as outcomes:
            shard = await self._shard(partition, span, configuration, keys, outcomes)
            await self._older(partition, span.first)
            start = span.first
            async for chunk in self._chunks(shard, partition, span):
                await self._compare(partition, Span(start, chunk[-1].offset + 1), span.first, chunk)
                start = chunk[-1].offset + 1

    async def _shard(
        self, partition: int, span: Span, configuration: Configuration, keys: Keys, outcomes: OutcomeModels
    ) -> ShardModel:
        """Return the model, with what it inherits from before the log begins."""
        if span.first == 0:
            return ShardModel(partition, keys, outcomes, PriceModels(), configuration)
        began = await self._ledger.began(partition, span.first)
        async for old in self._ledger.old_keys(partition, span.first, began - MAX_WINDOW):
            keys.add(old.customer, old.key, Known(b"", old.at), old.test)
        await self._inherit(partition, span.first, outcomes)
        terms = await self._ledger.terms()
        rows = await self._ledger.inherited(partition, span.first)
        inherited = list(dict.fromkeys(_with_terms(price_model, terms.get(price_model.id)) for price_model in rows))
        self._check_inherited(partition, inherited)
        spending = await self._inherit_spending(partition, span.first)
        return ShardModel(
            partition,
            keys,
            outcomes,
            PriceModels(inherited),
            configuration,
            began=began,
            spending=spending,
            anchors=await self._inherit_anchors(partition, span.first),
        )

    async def _inherit(self, partition: int, first: int, outcomes: OutcomeModels) -> None:
        """Take in outcomes from before the log, whatever times are selected: a later verdict may close one."""
        everything = Selection(self._selection.customer)
        async for row in self._ledger.rows(partition, Span(0, first), everything, outcomes=True):
            for difference in inherit(outcomes, row):
                if self._selection.holds(row):
                    self._differ(difference)

    async def _inherit_spending(self, partition: int, first: int) -> SpendingModels:
        """Return what customers had set and spent before the log begins, as the ledger's rows say."""
        spending = SpendingModels(partition, cut=True)
        for customer in await self._ledger.limited(partition, first, HISTORY):
            if self._selection.customer in (None, customer):
                async for row in self._ledger.rows(partition, Span(0, first), Selection(customer)):
                    originals = await self._ledger.originals([row]) if row["kind"] == "void" else {}
                    spending.inherit(row, originals.get(row["original"]))
        return spending

    async def _inherit_anchors(self, partition: int, first: int) -> AnchorModels:
        """Return the billing anchors that were set before the log begins."""
        anchors = AnchorModels()
        for customer in await self._ledger.limited(partition, first, ANCHORS):
            async for row in self._ledger.rows(partition, Span(0, first), Selection(customer)):
                if row["config_type"] in ANCHORS:
                    anchors.inherit(row)
        return anchors

    def _check_inherited(self, partition: int, inherited: list[PriceModel]) -> None:
        """Check that before the log begins a slot had at most one price for each start: several only if scheduled."""
        known: dict[tuple[Slot, int], PriceModel] = {}
        for price_model in inherited:
            other = known.setdefault((price_model.slot, price_model.start), price_model)
            if other != price_model:
                self._differ(
                    Difference(
                        what="log",
                        partition=partition,
                        offset=price_model.offset,
                        place=0,
                        column="price",
                        expected=str(other),
                        ledger=str(price_model),
                    )
                )

    async def _older(self, partition: int, first: int) -> None:
        """Check rows whose commands are gone by deriving them again from themselves."""
        voids: list[Row] = []
        async for row in self._ledger.rows(partition, Span(0, first), self._selection):
            self.totals.derived += 1
            self._count(row)
            for difference in derive(row):
                self._differ(difference)
            if row["kind"] == "void":
                voids.append(row)
            if len(voids) == self._chunk:
                await self._check_voids(voids, set())
                voids.clear()
        await self._check_voids(voids, set())

    async def _check_voids(self, voids: list[Row], told: set[tuple[int, str]]) -> None:
        """Compare each void with the row that it voids; ``told``: event id and column of known differences."""
        originals = await self._ledger.originals(voids)
        for void in voids:
            at = (void["raw_partition"], void["raw_offset"], void["raw_index"])
            for column, wanted, found in against(void, originals.get(void["original"])):
                if (void["event_id"], column) not in told:
                    self._differ(Difference("value", *at, column, wanted, found))

    async def _chunks(self, shard: ShardModel, partition: int, span: Span) -> AsyncIterator[list[ExpectedRows]]:
        chunk: list[ExpectedRows] = []
        weight = 0
        async for record in self._log.records(partition, span):
            expected = self._apply(shard, record)
            if expected.asked is not None:
                expected = expected.asked(await self._rows_of(partition, expected.offset))
            if len(expected.effects) > 1:
                await self._settle(partition, expected)
            chunk.append(expected)
            weight += 1 + expected.events
            if weight >= self._chunk:
                yield chunk
                chunk, weight = [], 0
        if chunk:
            yield chunk

    def _apply(self, shard: ShardModel, record: RawRecord) -> ExpectedRows:
        expected = shard.apply(record.offset, record.timestamp, record.key, record.value)
        self.totals.commands += 1
        self.totals.events += expected.events
        return expected

    async def _settle(self, partition: int, expected: ExpectedRows) -> None:
        """Apply the effect of the option that the ledger's rows match: later records depend on it."""
        rows = await self._rows_of(partition, expected.offset)
        options = expected.options or ()
        found = [len(compare(partition, expected._replace(options=(option,)), rows)) for option in options]
        expected.effects[found.index(min(found))]()

    async def _rows_of(self, partition: int, offset: int) -> list[Row]:
        """Return the ledger's rows of one record, however few are selected; some records at a time."""
        if partition != self._page.partition or offset not in self._page.span:
            await self._caught_up(partition, offset)
            end = max(offset + 1, min(offset + PAGE, await self._ledger.reached(partition) + 1))
            rows = defaultdict[int, list[Row]](list)
            async for row in self._ledger.rows(partition, Span(offset, end), Selection()):
                rows[row["raw_offset"]].append(row)
            self._page = _Page(partition, range(offset, end), rows)
        return self._page.rows.get(offset, [])

    async def _compare(self, partition: int, span: Span, first: int, chunk: list[ExpectedRows]) -> None:
        leaving = [e.offset for e in chunk if e.options is None or any(e.options)]
        if leaving:
            await self._caught_up(partition, leaving[-1])
        rows: dict[int, list[Row]] = defaultdict(list)
        voids: dict[int, Row] = {}
        async for row in self._ledger.rows(partition, span, self._selection):
            rows[row["raw_offset"]].append(row)
            self._count(row)
            if row["kind"] == "void":
                voids[row["event_id"]] = row
        told: set[tuple[int, str]] = set()
        for expected in chunk:
            chosen = self._chosen(expected)
            for difference in compare(partition, chosen, rows.pop(expected.offset, [])):
                told.add((difference.event_id, difference.column))
                self._differ(difference)
        # The remaining rows are at offsets that no record of the log has.
        for offset, left in rows.items():
            for difference in compare(partition, ExpectedRows(offset, 0, ([],)), left):
                self._differ(difference)
        self.totals.borrowed += sum(event_id(partition, first, 0) > void["original"] for void in voids.values())
        await self._check_voids(list(voids.values()), told)

    def _chosen(self, expected: ExpectedRows) -> ExpectedRows:
        if expected.options is None:
            return expected
        options = tuple([row for row in option if self._selection.holds(row)] for option in expected.options)
        self.totals.borrowed += sum(row.get(BORROWED, False) for row in options[0])
        return expected._replace(options=options)

    async def _caught_up(self, partition: int, offset: int) -> None:
        """Wait until the ledger has reached an offset, or the patience, shared by all partitions, is used up."""
        while self._reached.get(partition, -1) < offset and self._tries > 0:
            self._reached[partition] = await self._ledger.reached(partition)
            if self._reached[partition] < offset:
                self._tries -= 1
                await self._pause(STEP)

    async def _beyond(self, order: list[int], count: int) -> None:
        """Report rows where the log has nothing: beyond its end, or in a partition that it does not have."""
        reached = {partition: await self._ledger.reached(partition) for partition in order}
        spans = await self._log.spans()
        for partition, offset in reached.items():
            if offset >= spans[partition].end:
                self._differ(Difference("extra", partition, offset, 0, ledger="a row beyond the end of the log"))
        for row in await self._ledger.beyond(count):
            at = (row["raw_partition"], row["raw_offset"], row["raw_index"])
            self._differ(Difference("extra", *at, ledger="a row of a partition that is not in the log"))

    def _count(self, row: Row) -> None:
        self.totals.rows += 1
        self.totals.cents = add(self.totals.cents, row["total_cents"])

    def _differ(self, difference: Difference) -> None:
        self.totals.differences += 1
        self._tell(difference)


def _with_terms(price_model: PriceModel, terms: PriceAsSet | None) -> PriceModel:
    """Return a price as it was set. Rows charged by the count of events differ in their base, which is a step's."""
    if terms is None:
        return price_model
    base = ZERO if any(name == "event" for name, _ in terms.terms.tiers) else price_model.base
    return price_model._replace(base=base, start=terms.start, **terms.terms._asdict())
