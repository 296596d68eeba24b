"""Makes a meter event of a row of a usage file. Pure.

The mapping is compiled into one function for each set of columns, since it runs for every row of every
file.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from schemas.labels import Labels
from schemas.limits import MAX_OBJECT, MAX_TOKENS
from schemas.objects import iso
from schemas.quantities import INPUT, MAX_QUANTITIES, OUTPUT, TOKEN_KINDS
from tools.importer.cells import BadCell, Cells, CsvCells, IntegerColumns, NameColumns, customer, own_key
from tools.importer.columns import (
    CUSTOMER,
    KEY,
    KINDS,
    METADATA,
    NUMBERS,
    OF_KIND,
    PARTS,
    QUANTITIES,
    QUANTITY,
    SOURCE_TIME,
    TIME,
    TOKENS,
    ColumnPlan,
    Columns,
    MappingError,
    field_of,
)
from tools.importer.sources import SourceRow
from tools.importer.timestamps import Times

DEFAULT_AGENT = "import"
OUTCOMES = ("success", "failure", "pending")
MAX_PLANS = 10_000


class ImportEvent(Labels, omit_defaults=True, frozen=False, gc=False):  # type: ignore[misc]  # mypy: a dataclass
    """Fields of POST /v1/meter that an import sets. ``quantities``: all but input and output, as canonical text;
    ``metadata``: values that encode to JSON, such as JSON text."""

    agent_id: str | None = None
    action: str | None = None
    tokens: int | None = None
    tokens_input: int | None = None
    tokens_output: int | None = None
    quantities: dict[str, str] | None = None
    outcome: str | None = None
    metadata: dict[str, msgspec.Raw] | None = None
    idempotency_key: str | None = None
    timestamp: str | None = None


BOTH_PARTS = tuple(zip((INPUT, OUTPUT), PARTS, strict=True))
"""Quantities that are fields of their own."""


class Prepared(msgspec.Struct, omit_defaults=True, gc=False):
    """Row as an event. ``at``: its time in UTC ms, not yet a field of the event; ``customer``: the one that
    it names; ``total``: the tokens that are charged; ``late``: the server would not accept its time as a
    timestamp."""

    row: int
    line: int
    event: ImportEvent
    at: int | None = None
    customer: str | None = None
    total: int = 0
    late: bool = False

    @property
    def key(self) -> str:
        return self.event.idempotency_key or ""

    def placed(self, oldest: int, latest: int) -> ImportEvent:
        """Return the event as it is sent: its time is its timestamp if the server accepts it (from
        ``oldest`` to ``latest``, UTC ms), otherwise it is kept in the metadata."""
        event, at = self.event, self.at
        if at is None:
            return event
        if oldest <= at <= latest and not self.late:
            event.timestamp = iso(at)
            return event
        return self.kept_time()

    def kept_time(self) -> ImportEvent:
        """Return the event with its time in the metadata only."""
        assert self.at is not None
        metadata = {**(self.event.metadata or {}), SOURCE_TIME: iso(self.at)}
        return msgspec.structs.replace(self.event, timestamp=None, metadata=metadata)


Make = Callable[[SourceRow], Prepared]
Step = tuple[str, Any, Callable[[Any], Any], str]
"""Field, position of its cell in a row, function that reads the cell, and column."""


class Fixed(NamedTuple):
    """Values that --set puts into every row."""

    fields: dict[str, Any]
    quantities: dict[str, str]
    metadata: dict[str, str]
    at: int | None
    customer: str | None


class EventMaker:
    """Maker of events from rows. ``header``: the columns of all rows, or None if each row has its own;
    ``keep``: keep columns that feed no field as metadata; ``no_tokens``: allow rows without a column of
    tokens."""

    def __init__(
        self,
        cells: Cells,
        header: list[str] | None,
        columns: Columns,
        times: Times,
        keep: bool = False,
        no_tokens: bool = False,
    ) -> None:
        self._cells, self._columns, self._times, self._keep = cells, columns, times, keep
        self._no_tokens = no_tokens
        self._names, self._wholes = NameColumns(), IntegerColumns()
        self._plans: dict[tuple[str, ...], Make] = {}
        self.used: dict[str, str] = {}
        """Field (including ``metadata.x``) to the column that fed it first, in the order met."""
        self.unused: dict[str, None] = {}
        """Columns that feed no field, in the order met."""
        self.columns: dict[str, None] = {}
        """All columns met."""
        self._fixed = self._read_fixed()
        self._header = None if header is None else self.plan(tuple(header))

    def of(self, row: SourceRow) -> Prepared:
        """Return the event of a row, without its key. Raises BadCell, which names the column, or MappingError."""
        if row.problem is not None:
            raise row.problem
        make = self._header
        if make is None:
            columns = row.columns or ()
            make = self._plans.get(columns) or self.plan(columns)
        return make(row)

    def plan(self, columns: tuple[str, ...]) -> Make:
        """Return the function for rows with these columns."""
        plan = self._columns.plan(columns)
        if self._keep:
            plan = self._kept(plan)
        self.used.update({f: c for f, c in plan.sources.items() if f not in self.used})
        self.used.update({METADATA + name: c for name, c in plan.metadata.items()})
        self.unused.update(dict.fromkeys(plan.unused))
        self.columns.update(dict.fromkeys(columns))
        lack = None if self._no_tokens else self._columns.lacks_tokens(plan)
        make = self._compile(plan, columns) if lack is None else _refusing(lack)
        if len(self._plans) < MAX_PLANS:
            self._plans[columns] = make
        return make

    def _kept(self, plan: ColumnPlan) -> ColumnPlan:
        if SOURCE_TIME in plan.unused:
            raise MappingError(
                f"the column {SOURCE_TIME} has a reserved name: map it to timestamp, or keep it under another name"
                f" (--map metadata.NAME={SOURCE_TIME})"
            )
        named = [c for c in plan.unused if c]
        return plan._replace(
            metadata={**dict(zip(named, named, strict=True)), **plan.metadata}, unused=[c for c in plan.unused if not c]
        )

    def _read_fixed(self) -> Fixed:
        """Return the values of --set. Raises BadCell for one that no event could hold."""
        fields: dict[str, Any] = {}
        quantities: dict[str, str] = {}
        metadata: dict[str, str] = {}
        for field, text in self._columns.fixed.items():
            try:
                if field.startswith(METADATA):
                    metadata[field.removeprefix(METADATA)] = self._names[text]
                elif is_quantity(field):
                    quantities[quantity_name(field)] = str(self._reader(field, CsvCells())(text))
                else:
                    fields[field] = self._reader(field, CsvCells())(text)
            except ValueError as error:
                raise BadCell(field, f"--set: {error}") from None
        return Fixed(fields, quantities, metadata, fields.pop(TIME, None), fields.pop(CUSTOMER, None))

    def _reader(self, field: str, cells: Cells) -> Callable[[Any], Any]:
        """Return the function that reads a cell for a field; it raises ValueError for an invalid cell."""
        text = isinstance(cells, CsvCells)
        if field in NUMBERS or field in KINDS:
            return self._wholes.__getitem__ if text else cells.whole
        if field == QUANTITIES:
            return cells.quantities
        if field.startswith(QUANTITY):
            return cells.quantity
        if field == TIME:
            times, moment = self._times, cells.moment
            return times.read if text else lambda cell: moment(cell, times)
        if field in (KEY, CUSTOMER):
            read, id = (own_key if field == KEY else customer), cells.id
            return lambda cell: read(id(cell))
        names, as_text = self._names.__getitem__, cells.text
        return names if text else lambda cell: names(as_text(cell))

    def _add_quantities(self, found: dict[str, str], field: str, value: Any) -> None:
        """Add what a column gives. Raises ValueError for a quantity that another column gives otherwise."""
        if field != QUANTITIES:
            value = {quantity_name(field): str(value)}
        for name, text in value.items():
            if self._columns.mapped.get(field_of(QUANTITY + name)) == "":
                continue
            if found.setdefault(name, text) != text:
                raise ValueError(f"{QUANTITY}{name} is {text}, but another column says {found[name]}")

    def _compile(self, plan: ColumnPlan, columns: tuple[str, ...]) -> Make:
        """Return one function that makes an event of a row with these columns."""
        where: dict[str, Any] = dict(zip(columns, columns if self._cells.named else range(len(columns)), strict=True))
        steps: list[Step] = [(f, where[c], self._reader(f, self._cells), c) for f, c in plan.sources.items()]
        time = next((step for step in steps if step[0] == TIME), None)
        customer_step = next((step for step in steps if step[0] == CUSTOMER), None)
        counted = [step for step in steps if is_quantity(step[0])]
        steps = [step for step in steps if step[0] not in (TIME, CUSTOMER) and not is_quantity(step[0])]
        kept = [(name, where[c], self._cells.json, c) for name, c in plan.metadata.items()]
        fixed, check = self._fixed, _checker(plan)
        template = dict(fixed.fields)
        if "agent_id" not in self._columns.mapped and ("agent_id" not in plan.sources or self._cells.named):
            template.setdefault("agent_id", DEFAULT_AGENT)  # in JSON, null counts as absent

        new: Callable[[], ImportEvent] = ImportEvent(**template).__copy__  # type: ignore[attr-defined]

        def make(row: SourceRow) -> Prepared:
            cells, event = row.cells, new()
            at, whose = fixed.at, fixed.customer
            step: Step | None = None
            try:
                for step in steps:
                    field, place, read, _ = step
                    cell = cells[place]
                    if cell is not None:
                        setattr(event, field, read(cell))
                if time is not None:
                    step = time
                    cell = cells[step[1]]
                    if cell is not None:
                        at = step[2](cell)
                if customer_step is not None:
                    step = customer_step
                    cell = cells[step[1]]
                    if cell is not None:
                        whose = step[2](cell)
                if counted or fixed.quantities:
                    quantities = dict(fixed.quantities)
                    for step in counted:
                        cell = cells[step[1]]
                        if cell is not None:
                            self._add_quantities(quantities, step[0], step[2](cell))
                    _set_quantities(event, quantities)
                if kept or fixed.metadata:
                    metadata: dict[str, Any] = dict(fixed.metadata)
                    for step in kept:
                        field, place, read, _ = step
                        cell = cells[place]
                        if cell is not None:
                            metadata[field] = read(cell)
                    event.metadata = metadata or None
            except ValueError as error:
                raise BadCell(step[3] if step else "", str(error)) from None
            return Prepared(row.number, row.line, event, at, whose, check(event))

        return make


def is_quantity(field: str) -> bool:
    """True for a field that becomes one of an event's quantities, or several."""
    return field in KINDS or field.startswith(QUANTITIES)


def quantity_name(field: str) -> str:
    """Return the name of the quantity that a field gives."""
    return field.removeprefix(OF_KIND if field in KINDS else QUANTITY)


def _set_quantities(event: ImportEvent, quantities: dict[str, str]) -> None:
    """Set the quantities of an event, in one order. Raises ValueError."""
    for name, field in BOTH_PARTS:
        if name in quantities:
            count = int(quantities.pop(name))
            if getattr(event, field) not in (None, count):
                raise ValueError(f"{QUANTITY}{name} is {count}, {field} is {getattr(event, field)}")
            setattr(event, field, count)
    event.quantities = dict(sorted(quantities.items())) or None


def _refusing(reason: str) -> Make:
    """Return a function that refuses rows because of their columns."""

    def make(row: SourceRow) -> Prepared:
        raise BadCell("", reason)

    return make


def _checker(plan: ColumnPlan) -> Callable[[ImportEvent], int]:
    """Return a function that returns the tokens to charge. It raises BadCell for what the server would
    refuse a whole batch for, so that only the row is lost."""
    sources = plan.sources

    def check(event: ImportEvent) -> int:
        if not event.agent_id or not event.action:
            field = "action" if event.agent_id else "agent_id"
            raise BadCell(sources.get(field, field), "is empty" if field in sources else "is missing")
        if event.outcome is not None and event.outcome not in OUTCOMES:
            raise BadCell(sources.get("outcome", "outcome"), f"must be one of {', '.join(OUTCOMES)}")
        if KEY in sources and event.idempotency_key is None:
            raise BadCell(sources[KEY], "is empty: the row has no id")
        total, both = event.tokens, _sum_of_kinds(event)
        if both is not None:
            if total is not None and total != both:
                raise BadCell(sources.get(TOKENS, TOKENS), f"{total} is not the sum of its kinds, {both}")
            if both > MAX_TOKENS:
                raise BadCell(
                    sources.get(PARTS[0], PARTS[0]),
                    f"tokens_input and tokens_output must be at most {MAX_TOKENS} together, not {both}",
                )
            total = both
        if event.quantities is not None and len(event.quantities) > MAX_QUANTITIES - 2:
            _check_number(event)
        if event.metadata is not None and len(msgspec.json.encode(event.metadata)) > MAX_OBJECT:
            raise BadCell("metadata", f"must be at most {MAX_OBJECT} bytes")
        return total or 0

    return check


def _sum_of_kinds(event: ImportEvent) -> int | None:
    """Return the sum of all token kinds that an event gives; None if it gives none."""
    part_in, part_out = event.tokens_input, event.tokens_output
    both = None if part_in is None and part_out is None else (part_in or 0) + (part_out or 0)
    if event.quantities is not None:
        others = [int(text) for name, text in event.quantities.items() if name in TOKEN_KINDS]
        both = sum(others, both or 0) if others else both
    return both


def _check_number(event: ImportEvent) -> None:
    parts = (event.tokens_input is not None) + (event.tokens_output is not None)
    number = parts + len(event.quantities or ())
    if number > MAX_QUANTITIES:
        raise BadCell(QUANTITIES, f"are {number}, more than {MAX_QUANTITIES}")
