"""`rev import --undo`: voids what an import charged, once; it can be interrupted and repeated at will."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from schemas.money import parse_cents
from tools.importer.client import ImportClient, ImportStopped
from tools.importer.gateway_responses import Import, cents
from tools.importer.row_keys import UNDO_REASON

LOOKS = 3
"""Number of checks in a row that must find nothing left to void: the ledger is at most a second behind, and an
event accepted before may be priced only now."""
PAUSE = 0.6
TRIES = 100
AT_ONCE = 1000


class Undone(NamedTuple):
    """Result of an undo. ``pico``: the (negative) sum of its voids, in pico-cents; ``left``: what the
    ledger has of the import now, None if it does not know the import."""

    voids: int
    pico: int
    left: Import | None


async def charged(client: ImportClient, customer: str | None, import_id: str) -> AsyncIterator[list[int]]:
    """Yield the ids of an import's events that are not voided, in lists of at most 1000."""
    async for page in client.events_of(customer, import_id):
        ids = [event.event_id for event in page if event.status == "priced"]
        if ids:
            yield ids


async def undo(client: ImportClient, admin: ImportClient, customer: str | None, import_id: str) -> Undone:
    """Void all events and return when the ledger shows it. Raises ImportStopped."""
    voids = pico = quiet = 0
    for _ in range(TRIES):
        left = 0
        now = await client.imported(customer, import_id)
        if now is not None and now.events > now.voided_events:
            for ids in [ids async for ids in charged(client, customer, import_id)]:
                answer = await admin.void(ids, UNDO_REASON + import_id)
                made = [void for void in answer.voids if not void.already]
                voids += len(made)
                pico += sum(parse_cents(cents(void.total_cents)) for void in made)
                left += len(ids)
        quiet = 0 if left else quiet + 1
        if quiet == LOOKS:
            return Undone(voids, pico, now)
        await client.wait(0, PAUSE)
    raise ImportStopped("the ledger still shows events of the import as charged; repeat the command")
