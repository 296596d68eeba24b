"""Finds which rows of a file are charged already, and whether they match what would be recorded now.

A row whose event is found is compared in everything that would be recorded: a difference in any row stops
the import before anything of the file is charged. A row whose event was voided by the undo of an import may
be charged again, under its next key; one that was voided for another reason may not.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from schemas.labels import LABELS
from schemas.limits import MAX_NAME
from schemas.objects import iso
from schemas.quantities import INPUT, OUTPUT
from tools.importer.batches import BadRow, Batch
from tools.importer.cells import quantity
from tools.importer.client import ImportClient, ImportStopped
from tools.importer.columns import QUANTITY, SOURCE_TIME
from tools.importer.event_maker import Prepared
from tools.importer.gateway_responses import EventSubject, Import, ShownRow
from tools.importer.row_keys import again, was_undone

ASKED_AT_ONCE = 1000


class OtherImport(ImportStopped):
    """Error: the ledger holds a row of this file already, but with other values."""


class RecordedRows:
    """Rows of a file that the ledger shows. Filled batch by batch; queried by row."""

    def __init__(self) -> None:
        self._there: dict[int, int] = {}
        self._undone: dict[int, int] = {}
        self.rows = self.voided = 0
        self.of_import: Counter[str | None] = Counter()
        """By customer: events in the ledger that belong to this import and are not voided."""

    def note(self, batch: int, place: int, voided: bool) -> None:
        """Note that the event at a place of a batch is charged already."""
        self._there[batch] = self._there.get(batch, 0) | 1 << place
        self.rows += 1
        self.voided += voided

    def note_undone(self, row: int, times: int) -> None:
        """Note how many times a row was charged and undone."""
        self._undone[row] = times

    def missing(self, batch: Batch) -> list[Prepared]:
        """Return the events of a batch that are still to be sent, with the keys to send them under."""
        there = self._there.get(batch.number, 0)
        events = [made for place, made in enumerate(batch.events) if not there >> place & 1] if there else batch.events
        if self._undone:
            for made in events:
                made.event.idempotency_key = again(made.key, self._undone.get(made.row, 0))
        return events


class Comparer:
    """Comparer of batches with the ledger. ``known``: what the ledger has of this import, by customer;
    ``charged``: customers that bad rows may have been charged to; ``refused``: customers that the server
    does not have, because their ids are not valid."""

    def __init__(
        self,
        client: ImportClient,
        there: RecordedRows,
        import_id: str,
        known: Mapping[str | None, Import],
        charged: Collection[str | None],
        refused: Collection[str | None],
    ) -> None:
        self._client, self._there, self._id = client, there, import_id
        self._known, self._charged, self._refused = known, charged, refused

    async def compare(self, batch: Batch) -> None:
        """Note which events of a batch are in the ledger. Raises OtherImport."""
        if batch.customer in self._refused:
            return
        shown = await recorded_rows(self._client, batch.customer, [made.key for made in batch.events])
        for place, made in enumerate(batch.events):
            found, undone = shown.get(made.key, (None, 0))
            if undone:
                self._there.note_undone(made.row, undone)
            if found is not None:
                check_same(made, found)
                self._there.note(batch.number, place, found.status == "voided")
                if found.import_id == self._id and found.status != "voided":
                    self._there.of_import[batch.customer] += 1
        for customer in self._charged if batch.bad else ():
            await self._check_bad(customer, batch.bad)

    def check_whole(self) -> None:
        """Check the whole import once all batches are compared. Raises OtherImport if it charged more
        events than were recognised: those had other keys then and would be charged again."""
        for customer, one in self._known.items():
            unknown = one.events - one.voided_events - self._there.of_import[customer]
            if unknown > 0:
                raise OtherImport(
                    f"{unknown:,} events of this file were charged to {one.customer_id!r} with other keys or from"
                    " other rows: use the same options as before, or undo the import first (--undo)"
                )

    async def _check_bad(self, customer: str | None, bad: Sequence[BadRow]) -> None:
        shown = await recorded_rows(self._client, customer, [row.key for row in bad])
        for row in bad:
            found, _ = shown.get(row.key, (None, 0))
            if found is not None:
                raise OtherImport(
                    f"line {row.line} (row {row.row}): the row was imported before, and now {row.column or 'it'}"
                    f" {row.reason}; use the same options as before, or undo the import"
                )


async def recorded_rows(
    client: ImportClient, customer: str | None, keys: Sequence[str]
) -> dict[str, tuple[ShownRow | None, int]]:
    """Return by key: the event recorded under it (or under a later one, after undos), and the number of
    undos before."""
    found: dict[str, tuple[ShownRow | None, int]] = {}
    asked = {key: (key, 0) for key in keys}
    while asked:
        names = list(asked)
        shown: dict[str, ShownRow] = {}
        for at in range(0, len(names), ASKED_AT_ONCE):
            shown |= await client.lookup(customer, names[at : at + ASKED_AT_ONCE])
        following: dict[str, tuple[str, int]] = {}
        for name, event in shown.items():
            key, undone = asked[name]
            if event.status == "voided" and was_undone(event.void_reason):
                found[key] = None, undone + 1
                following[again(key, undone + 1)] = key, undone + 1
            else:
                found[key] = event, undone
        asked = {name: whose for name, whose in following.items() if len(name) <= MAX_NAME}
    return found


def check_same(made: Prepared, shown: ShownRow) -> None:
    """Raise OtherImport, naming the first field that differs."""
    for field, old, new in differences(made, shown):
        hint = "use the same options as before, or undo the import first (--undo; repeat an undo that was interrupted)"
        raise OtherImport(
            f"line {made.line} (row {made.row}): this row was imported before with {field} {_described(old)}, now it"
            f" has {_described(new)}; {hint}"
        )


def differences(made: Prepared, shown: ShownRow) -> list[tuple[str, Any, Any]]:
    """Return each field that differs, what the ledger has, and what would be recorded now."""
    event, ledger = made.event, shown.event
    if ledger is None:
        return [("event", None, made.key)]
    split = event.tokens_input is not None or event.tokens_output is not None
    pairs: list[tuple[str, Any, Any]] = [
        ("agent_id", ledger.agent_id, event.agent_id),
        ("action", ledger.action, event.action),
        ("tokens", ledger.tokens, made.total),
        ("tokens_input", ledger.tokens_input, event.tokens_input or 0 if split else None),
        ("tokens_output", ledger.tokens_output, event.tokens_output or 0 if split else None),
        *_quantities(ledger, event.quantities or {}),
        ("outcome", ledger.outcome, event.outcome),
        *((label, getattr(shown, label), getattr(event, label)) for label in LABELS),
    ]
    found = [pair for pair in pairs if pair[1] != pair[2]]
    if not found:
        found = _other_data(made, shown)
    return found


def _quantities(ledger: EventSubject, now: Mapping[str, str]) -> list[tuple[str, Any, Any]]:
    """Return each quantity besides input and output: its name, what the ledger has, and what would be recorded now."""
    shown = {name: quantity(bytes(number).decode()) for name, number in ledger.quantities.items()}
    names = sorted({*shown, *now} - {INPUT, OUTPUT})
    return [(QUANTITY + name, _number(shown.get(name)), _number(now.get(name))) for name in names]


def _number(text: str | None) -> "_ComparedNumber | None":
    return None if text is None else _ComparedNumber(text)


def _other_data(made: Prepared, shown: ShownRow) -> list[tuple[str, Any, Any]]:
    metadata: Any = _loads(bytes(shown.metadata)) or {}
    kept = metadata.pop(SOURCE_TIME, None)
    at = None if made.at is None else iso(made.at)
    told = kept if kept is not None else shown.timestamp if shown.timestamp != shown.created_at else None
    if told != at and not (kept is None and at is not None and shown.timestamp == at):
        return [("timestamp", told, at)]
    now = _loads(msgspec.json.encode(made.event.metadata)) or {}
    if metadata == now:
        return []
    for name in sorted({*metadata, *now}):
        if metadata.get(name) != now.get(name) or (name in metadata) != (name in now):
            return [(f"metadata.{name}", metadata.get(name), now.get(name))]
    return []


class _ComparedNumber(str):
    """JSON number compared by its text: 1.0 is not 1, and a number never equals a text."""

    def __eq__(self, other: object) -> bool:
        return type(other) is _ComparedNumber and str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def _loads(text: bytes) -> Any:
    return json.loads(text, parse_int=_ComparedNumber, parse_float=_ComparedNumber, parse_constant=_ComparedNumber)


def _described(value: Any) -> str:
    text = "none" if value is None else str(value) if isinstance(value, int | _ComparedNumber) else repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
