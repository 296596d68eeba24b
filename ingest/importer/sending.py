"""Getting a file's batches into the ledger, each wholly or not at all, each once.

Before a batch is sent the ledger is asked for its witnesses: the first and the last event of
each action in it. The server charges a batch as one, so either all are there (it was imported
before, however long ago) or none is. What the ledger does not show yet, at most a second
after its commit, the server itself still remembers by its keys and answers as replayed.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ingest.importer.cells import BadCell
from ingest.importer.client import Answer, Charged, Client, ImportStopped, Refused
from ingest.importer.columns import TIME
from ingest.importer.events import Batch, Prepared
from ingest.importer.tally import Tally

Found = list[tuple[Prepared, dict[str, Any] | None]]
"""Events, each with what the ledger shows under its key."""

_charged = msgspec.json.Decoder(Charged).decode
CONFLICT_TRIES = 12
"""How often the ledger is asked for what a conflict says is there: it may lag by a second."""
ASKED_AT_ONCE = 50


class OtherImport(ImportStopped):
    """The ledger holds this file's rows already, but with other values."""


class Sender:
    """Sends batches with ``in_flight`` workers; what became of the rows goes into the tally."""

    def __init__(self, client: Client, tally: Tally, in_flight: int) -> None:
        self._client, self._tally, self._in_flight = client, tally, in_flight

    async def run(self, batches: Iterator[Batch]) -> None:
        """Returns when every batch is settled. Raises ImportStopped when one cannot be."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._in_flight):
                    group.create_task(self._work(batches))
        except BaseExceptionGroup as errors:
            raise _first(errors) from None

    async def _work(self, batches: Iterator[Batch]) -> None:
        # The workers share the iterator: each reads on when it is free, so that no more than
        # one batch a worker is ever in memory.
        for batch in batches:
            for row, problem in batch.bad:
                self._tally.note_bad(row.number, row.line, problem)
            await self._deliver(batch.events)

    async def _deliver(self, events: Sequence[Prepared]) -> None:
        if not events:
            return
        found = await self._find(_witnesses(events))
        there = sum(shown is not None for _, shown in found)
        if there == 0:
            await self._send(events)
        elif there == len(found):
            self._tally.note_already(len(events))
        else:
            await self._deliver_rest(events)

    async def _deliver_rest(self, events: Sequence[Prepared]) -> None:
        """Part of the batch is there: an earlier import was refused some of its rows. Ask for each."""
        found: Found = []
        for at in range(0, len(events), ASKED_AT_ONCE):
            found += await self._find(events[at : at + ASKED_AT_ONCE])
        missing = [event for event, shown in found if shown is None]
        self._tally.note_already(len(events) - len(missing))
        if missing:
            await self._send(missing)

    async def _find(self, events: Sequence[Prepared]) -> Found:
        """What the ledger shows of these events. Raises OtherImport when it is not what they say."""
        shown = await asyncio.gather(*(self._client.find(event.key) for event in events))
        found = list(zip(events, shown, strict=True))
        for event, entry in found:
            if entry is not None:
                _check_same(event, entry)
        return found

    async def _send(self, events: Sequence[Prepared]) -> None:
        """Send one batch until it is charged. ``ours``: what is replayed was charged by this run."""
        ours, tries = False, 0
        while True:
            answer = await self._client.meter([event.fields for event in events])
            ours = ours or answer.unsure
            if answer.status != 202:
                break
            # Accepted and durable, but not priced yet: the same keys get the prices later.
            ours = True
            await self._client.wait(tries)
            tries += 1
        if answer.status == 201:
            self._note_charged(events, answer, ours)
        elif answer.status == 409:
            await self._conflict(events, answer)
        elif answer.status == 413:
            await self._halve(events)
        else:
            await self._deliver(self._without_refused(events, answer))

    def _note_charged(self, events: Sequence[Prepared], answer: Answer, ours: bool) -> None:
        results = _charged(answer.body).results
        if len(results) != len(events):
            raise Refused(f"the answer to {len(events)} events holds {len(results)} results")
        for result in results:
            if result.replayed and not ours:
                self._tally.note_already(1)
            else:
                self._tally.note_imported(bytes(result.total_cents).decode())

    async def _halve(self, events: Sequence[Prepared]) -> None:
        if len(events) == 1:
            self._tally.note_bad(events[0].row, events[0].line, BadCell("", "is too large for the server"))
            return
        middle = len(events) // 2
        await self._deliver(events[:middle])
        await self._deliver(events[middle:])

    def _without_refused(self, events: Sequence[Prepared], answer: Answer) -> list[Prepared]:
        """The batch without the events that the server named. Nothing of it was charged."""
        reasons = {int(error["index"]): str(error["error"]) for error in answer.fields().get("errors", [])}
        if not reasons:
            raise Refused(f"a batch was refused whole: {answer.error}")
        left: list[Prepared] = []
        for index, event in enumerate(events):
            reason = reasons.get(index)
            if reason is None:
                left.append(event)
            elif TIME in reason and TIME in event.fields:
                left.append(event.without_time())  # this server's window is shorter than the usual one
            else:
                self._tally.note_bad(event.row, event.line, BadCell("", reason))
        return left

    async def _conflict(self, events: Sequence[Prepared], answer: Answer) -> None:
        """The server remembers some of these keys with another body. When the ledger shows the
        same rows, only the place of their time differs (it left the window between two
        imports), and they are there; otherwise _find says what differs."""
        for tries in range(CONFLICT_TRIES):
            found = await self._find(_witnesses(events))
            if all(shown is not None for _, shown in found):
                self._tally.note_already(len(events))
                return
            await self._client.wait(tries, 0.5)
        raise OtherImport(f"row {events[0].row} and following: {answer.error}")


def _witnesses(events: Sequence[Prepared]) -> list[Prepared]:
    """The first and the last event of each action: a refusal by price hits all of an action."""
    first: dict[str, Prepared] = {}
    last: dict[str, Prepared] = {}
    for event in events:
        first.setdefault(event.fields["action"], event)
        last[event.fields["action"]] = event
    return list({event.row: event for event in (*first.values(), *last.values())}.values())


def _check_same(event: Prepared, shown: dict[str, Any]) -> None:
    ledger: dict[str, Any] = shown.get("event", shown)
    wanted = {"agent_id": event.fields["agent_id"], "action": event.fields["action"], "tokens": event.tokens}
    for field, value in wanted.items():
        if ledger.get(field) != value:
            raise OtherImport(
                f"line {event.line}: this file was imported before with {field} {ledger.get(field)!r}, now {value!r};"
                " import it with the same --map and --set"
            )


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error to tell of several workers' errors."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
