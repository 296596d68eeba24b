"""Sends a file's batches to the ledger, each wholly or not at all, each once.

Events that are in the ledger already (`tools.importer.recorded_rows`) are left out. The ledger may not show
events committed less than a second before; the server still remembers them by their keys. It returns them
as replayed, or returns a conflict, which is settled by looking until the ledger shows the event.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

import msgspec

from schemas.limits import DAY, HOUR, TIMESTAMP_AHEAD
from tools.importer.batches import Batch
from tools.importer.cells import BadCell
from tools.importer.client import GatewayResponse, ImportClient, ImportRefused
from tools.importer.columns import TIME
from tools.importer.event_maker import Prepared
from tools.importer.gateway_responses import ChargedRow
from tools.importer.recorded_rows import OtherImport, RecordedRows, check_same, recorded_rows
from tools.importer.row_keys import again
from tools.importer.tally import Tally

WINDOW = 35 * DAY - HOUR
"""Maximum age of an event's time that is sent as its ``timestamp``: the server's bound, less an hour, so
that no event exceeds the bound while its batch is being repeated."""
CONFLICT_TRIES = 12
"""Number of times to look in the ledger for the events of a conflict: it may lag by a second."""

_charged = msgspec.json.Decoder(ChargedRow).decode


def window(now: int) -> tuple[int, int]:
    """Return the earliest and the latest time, UTC ms, that is sent as a timestamp."""
    return now - WINDOW, now + TIMESTAMP_AHEAD


async def shared(batches: Iterator[Batch], in_flight: int, work: Callable[[Batch], Awaitable[None]]) -> None:
    """Run ``work`` on every batch, ``in_flight`` at once. Raises the first ImportStopped."""

    async def worker() -> None:
        # The workers share the iterator: each takes the next batch when it is free, so that at most one batch per
        # worker is in memory.
        for batch in batches:
            await work(batch)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(worker())
    except BaseExceptionGroup as errors:
        raise _first(errors) from None


class BatchSender:
    """Sender of batches; it counts what happens to the rows in the tally."""

    def __init__(self, client: ImportClient, import_id: str, tally: Tally, there: RecordedRows) -> None:
        self._client, self._import, self._tally, self._there = client, import_id, tally, there

    async def deliver(self, batch: Batch) -> None:
        """Send what is missing of the batch. Return when it is settled. Raises ImportStopped if it cannot be."""
        events = self._there.missing(batch)
        self._tally.note_already(len(batch.events) - len(events))
        await self._send(batch.customer, events)

    async def _send(self, customer: str | None, events: Sequence[Prepared]) -> None:
        """Send until all events are charged. ``ours``: events that are replayed were charged by this run."""
        if not events:
            return
        ours, tries = False, 0
        oldest, latest = window(self._client.now())
        placed = [made.placed(oldest, latest) for made in events]
        while True:
            answer = await self._client.meter(customer, self._import, placed)
            ours = ours or answer.unsure
            if answer.status != 202:
                break
            # Accepted and durable, but not priced yet: repeating the same keys returns the prices later.
            ours = True
            await self._client.wait(tries)
            tries += 1
        if answer.status == 201:
            self._note_charged(events, answer, ours)
        elif answer.status == 409:
            await self._conflict(customer, events, answer)
        elif answer.status == 413:
            await self._halve(customer, events)
        else:
            await self._send(customer, self._without_refused(customer, events, answer))

    def _note_charged(self, events: Sequence[Prepared], answer: GatewayResponse, ours: bool) -> None:
        results = _charged(answer.body).results
        if len(results) != len(events):
            raise ImportRefused(f"the response to {len(events)} events has {len(results)} results")
        for result in results:
            if result.replayed and (not ours or result.status == "voided"):
                self._tally.note_already(1)
                self._tally.voided += result.status == "voided"
            else:
                self._tally.note_imported(bytes(result.total_cents))

    async def _halve(self, customer: str | None, events: Sequence[Prepared]) -> None:
        if len(events) == 1:
            self._tally.note_bad(events[0].row, events[0].line, BadCell("", "is too large for the gateway"))
            return
        middle = len(events) // 2
        await self._send(customer, events[:middle])
        await self._send(customer, events[middle:])

    def _without_refused(
        self, customer: str | None, events: Sequence[Prepared], answer: GatewayResponse
    ) -> list[Prepared]:
        """Return the batch without the events that the server named. Nothing of it was charged."""
        reasons = {int(error["index"]): str(error["error"]) for error in answer.fields().get("errors", [])}
        if not reasons and events[0].customer is not None:
            # the problem is the customer, which the rows name
            reasons = dict.fromkeys(range(len(events)), answer.error)
        if not reasons:
            raise ImportRefused(f"the gateway refused a whole batch: {answer.error}")
        left: list[Prepared] = []
        for index, made in enumerate(events):
            reason = reasons.get(index)
            if reason is None:
                left.append(made)
            elif TIME in reason and made.at is not None and not made.late:
                made.late = True  # this server's window is shorter than the usual one
                left.append(made)
            else:
                self._tally.note_bad(made.row, made.line, BadCell("", reason))
        return left

    async def _conflict(self, customer: str | None, events: Sequence[Prepared], answer: GatewayResponse) -> None:
        """Settle a conflict: the server remembers some of these keys with another body. If the ledger shows
        the same rows, only the place of their time differs (it left the window between two imports), and
        they are charged already; otherwise report what differs."""
        named = [int(error["index"]) for error in answer.fields().get("errors", [])]
        keys = [events[index].key for index in named] or [made.key for made in events]
        for tries in range(CONFLICT_TRIES):
            shown = await recorded_rows(self._client, customer, keys)
            if all(key in shown for key in keys):
                break
            await self._client.wait(tries, 0.5)
        else:
            raise OtherImport(f"row {events[named[0] if named else 0].row}: {answer.error}")
        left: list[Prepared] = []
        for made in events:
            found, undone = shown.get(made.key, (None, 0))
            if found is None:
                made.event.idempotency_key = again(made.key, undone)
                left.append(made)
            else:
                check_same(made, found)
                self._tally.note_already(1)
                self._tally.voided += found.status == "voided"
        await self._send(customer, left)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one error to report of several workers' errors."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
