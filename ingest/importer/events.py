"""A row of a usage file as a meter event, and rows cut into batches. Pure.

Keys are made of the file's SHA-256 and the row's number, and batches are cut by the file's
content alone, so a second import of the same file, with whatever options, makes the same
keys in the same batches.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import tzinfo
from typing import Any, NamedTuple

import msgspec

from ingest.importer.cells import BadCell, Cells, name
from ingest.importer.columns import NUMBERS, TIME, Columns, Plan
from ingest.importer.sources import Row
from schemas.limits import DAY, HOUR, MAX_EVENTS, MAX_OBJECT, MAX_TOKENS, TIMESTAMP_AHEAD
from schemas.objects import iso

BATCH_BYTES = 1 << 20
"""Where a batch is cut: half of what one record of the log may hold."""
ROW_BYTES = 256
"""What an event's key, names and punctuation take beside the row's own bytes."""
WINDOW = 35 * DAY - HOUR
"""How old an event's time may be and still be its ``timestamp``: the server's bound, less an
hour, so that no event leaves it while its batch is being repeated."""
SOURCE_TIME = "source_time"
DEFAULT_AGENT = "import"
OUTCOMES = ("success", "failure", "pending")


class Prepared(NamedTuple):
    """An event ready to be sent: the fields of POST /v1/meter, key included."""

    row: int
    line: int
    fields: dict[str, Any]

    @property
    def key(self) -> str:
        return str(self.fields["idempotency_key"])

    @property
    def tokens(self) -> int:
        """The total that is charged."""
        if "tokens" in self.fields:
            return int(self.fields["tokens"])
        return int(self.fields.get("tokens_input", 0)) + int(self.fields.get("tokens_output", 0))

    def without_time(self) -> "Prepared":
        """The same with its timestamp in the metadata: the server holds it out of bounds."""
        fields = dict(self.fields)
        metadata = {**fields.get("metadata", {}), SOURCE_TIME: fields.pop(TIME)}
        return self._replace(fields={**fields, "metadata": metadata})


class Events:
    """Makes events of rows. ``header``: the columns of all rows, or None when each row has its
    own; ``now`` gives UTC ms by the server's clock."""

    def __init__(
        self,
        cells: Cells,
        header: list[str] | None,
        columns: Columns,
        zone: tzinfo,
        keep: bool,
        file_hash: str,
        now: Callable[[], int],
    ) -> None:
        self._header = None if header is None else tuple(header)
        self._cells, self._columns, self._zone, self._keep = cells, columns, zone, keep
        self._hash, self._now = file_hash, now
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._fixed = self._read_fixed()
        self.ignored: dict[str, None] = {}
        """Columns that no field was made of, in the order met."""

    def _read_fixed(self) -> dict[str, Any]:
        """The values of --set. Raises BadCell for one that no event could hold."""
        found: dict[str, Any] = {}
        for field, text in self._columns.fixed.items():
            try:
                found[field] = int(text) if field in NUMBERS and text.isascii() and text.isdigit() else name(text)
            except ValueError as error:
                raise BadCell(field, str(error)) from None
            if field in NUMBERS and not isinstance(found[field], int):
                raise BadCell(field, f"{text!r} is not a whole number")
        return found

    def plan(self, columns: tuple[str, ...]) -> Plan:
        """The plan for rows with these columns; what it leaves unused is noted as ignored."""
        plan = self._plans.get(columns)
        if plan is None:
            plan = self._columns.plan(columns)
            if len(self._plans) < 10_000:
                self._plans[columns] = plan
            if not self._keep:
                self.ignored.update(dict.fromkeys(plan.unused))
        return plan

    def of(self, row: Row) -> Prepared:
        """Raises BadCell, which names the column."""
        if row.problem is not None:
            raise row.problem
        plan = self.plan(self._header or tuple(row.cells))
        fields = {k: v for k, v in self._fixed.items() if not k.startswith("metadata.")}
        metadata = {k.removeprefix("metadata."): v for k, v in self._fixed.items() if k.startswith("metadata.")}
        for field, column in plan.sources.items():
            if column in row.cells:
                fields[field] = self._field(field, column, row.cells[column])
        if "agent_id" not in plan.sources and "agent_id" not in self._columns.mapped:
            fields.setdefault("agent_id", DEFAULT_AGENT)
        extra = {**({column: column for column in plan.unused} if self._keep else {}), **plan.metadata}
        for key, column in extra.items():
            if column in row.cells:
                metadata[key] = self._cells.json(row.cells[column])
        self._place_time(fields, metadata)
        self._check(fields, metadata, plan)
        if metadata:
            fields["metadata"] = metadata
        fields["idempotency_key"] = f"import/{self._hash}/{row.number}"
        return Prepared(row.number, row.line, fields)

    def _field(self, field: str, column: str, cell: Any) -> Any:
        try:
            if field in NUMBERS:
                return self._cells.whole(cell)
            if field == TIME:
                return self._cells.moment(cell, self._zone)
            return name(self._cells.text(cell))
        except ValueError as error:
            raise BadCell(column, str(error)) from None

    def _place_time(self, fields: dict[str, Any], metadata: dict[str, Any]) -> None:
        at = fields.pop(TIME, None)
        if isinstance(at, str):  # of --set
            at = self._field(TIME, TIME, at)
        if at is None:
            return
        ahead = at - self._now()
        if -WINDOW <= ahead <= TIMESTAMP_AHEAD:
            fields[TIME] = iso(at)
        else:
            metadata[SOURCE_TIME] = iso(at)

    def _check(self, fields: dict[str, Any], metadata: dict[str, Any], plan: Plan) -> None:
        """What the server would refuse a whole batch for, found here so that it costs one row."""
        for field in ("agent_id", "action"):
            if field not in fields:
                raise BadCell(plan.sources.get(field, field), "is empty" if field in plan.sources else "is missing")
        if fields.get("outcome", "success") not in OUTCOMES:
            raise BadCell(plan.sources.get("outcome", "outcome"), f"must be one of {', '.join(OUTCOMES)}")
        split = [fields[field] for field in NUMBERS[1:] if field in fields]
        total = fields.get("tokens", sum(split))
        if split and total != sum(split):
            raise BadCell(plan.sources.get("tokens", "tokens"), f"{total} is not the sum of its halves, {sum(split)}")
        if total > MAX_TOKENS:
            raise BadCell(plan.sources.get(NUMBERS[1], NUMBERS[1]), f"{total} tokens are more than {MAX_TOKENS}")
        if metadata and len(msgspec.json.encode(metadata)) > MAX_OBJECT:
            raise BadCell("metadata", f"is longer than {MAX_OBJECT} bytes")


def is_named(field: str, columns: Columns, header: list[str] | None) -> bool:
    """Whether --map, --set or an alias in the header gives this field. JSON lines have no
    header: each row tells for itself."""
    if field in columns.fixed or columns.mapped.get(field):
        return True
    return header is not None and field in columns.plan(header).sources


class Batch(NamedTuple):
    """A range of rows that is sent as one: its events, its bad rows, its share of the file."""

    events: list[Prepared]
    bad: list[tuple[Row, BadCell]]
    size: int


def batches(rows: Iterable[Row], events: Events) -> Iterator[Batch]:
    """The rows in batches of at most 1000 rows, cut by what the file holds alone."""
    cut = Batch([], [], 0)
    count = 0
    for row in rows:
        size = row.size + ROW_BYTES
        if count == MAX_EVENTS or (count and cut.size + size > BATCH_BYTES):
            yield cut
            cut, count = Batch([], [], 0), 0
        try:
            cut.events.append(events.of(row))
        except BadCell as problem:
            cut.bad.append((row, problem))
        cut, count = cut._replace(size=cut.size + size), count + 1
    if count:
        yield cut
