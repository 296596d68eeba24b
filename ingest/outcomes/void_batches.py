"""POST /api/admin/events/void: void many entries in one request, each as ingest.outcomes.voids does.

If the outcome of an event has charged, the charge is voided too. The events are voided first: after
that their open outcomes charge nothing, so the shard then knows every charge that is left to void.
A request that was cut off can be repeated unchanged.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
from aiohttp import hdrs, web

from ingest.admin.configure import admin
from ingest.bodies import VoidsBody
from ingest.context import Context
from ingest.middleware import http_response
from ingest.outcomes.outcome_requests import voids_body
from ingest.outcomes.voids import ON_ITS_WAY, void_entry
from ingest.problems import Decided, Unanswered
from ingest.reads.event_evidence import evidence
from ingest.reads.event_status import EventStatus, event_status
from ingest.request_body import body_of, query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from schemas.commands import Mode, ReadOutcome
from schemas.commands import encode as encode_command
from schemas.ids import Address, address_of
from schemas.limits import MAX_BODY
from schemas.money import format_cents, parse_cents
from schemas.objects import Number, VoidObject, decode_standing, number
from schemas.unpriced import NOT_VOIDABLE
from warehouse.rows import EntryRow

PATH = "/api/admin/events/void"
IN_FLIGHT = 128
"""Commands of one request that await their replies at the same time."""
Item = TypeVar("Item")
Result = TypeVar("Result")
_void = msgspec.json.Decoder(VoidObject).decode


class VoidResult(msgspec.Struct, frozen=True):
    """A void. ``already``: it existed before this request."""

    event_id: int
    voided_event_id: int
    total_cents: Number
    already: bool
    test: bool


class VoidResults(msgspec.Struct, frozen=True):
    """The voids of a request.

    ``missing``: ids that are unknown, charged nothing or are of adjustments. ``total_cents``: the sum of the voids that
    this request made, without those that existed already.
    """

    voids: list[VoidResult]
    missing: list[int]
    total_cents: Number


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    words = "Void up to 1000 events or charges, once, with the charges of these events' outcomes."
    asked = Operation(hdrs.METH_POST, PATH, words, Auth.ADMIN, {200: VoidResults}, VoidsBody)
    return [Route(asked, bound(context, void_many))]


async def void_many(context: Context, request: web.Request) -> web.Response:
    """Handle POST /api/admin/events/void."""
    admin(context, request)
    query_of(request, ())
    ids, reason = voids_body(await body_of(request, MAX_BODY))
    voiding = VoidRequest(context, reason)
    found = await voiding.entries(ids)
    named = [found[id] for id in ids if id in found and found[id].kind in ("event", "charge")]
    made = await _each(voiding.void, named)
    charges = [entry for entry in await voiding.charges(named) if entry.event_id not in found]
    made += await _each(voiding.void, charges)
    voids = [void for void in made if void is not None]
    there = {void.voided_event_id for void in voids}
    total = sum(parse_cents(bytes(void.total_cents).decode()) for void in voids if not void.already)
    missing = [id for id in ids if id not in there]
    return http_response(encode(VoidResults(voids, missing, number(format_cents(total)))))


class VoidRequest:
    """One request that voids entries."""

    def __init__(self, context: Context, reason: str) -> None:
        self._context, self._reason = context, reason

    async def entries(self, ids: Sequence[int]) -> dict[int, EntryRow]:
        """Return the entries with these ids. Raises Unanswered while one may be on its way to the ledger."""
        ledger = self._context.ledger()
        addresses = {id: where for id in ids if (where := self._index(id)) is not None}
        found = {entry.event_id: entry for entry in await ledger.entries(list(addresses))}
        absent = {id: where for id, where in addresses.items() if id not in found}
        if not absent:
            return found
        shards = {where.partition for where in absent.values()}
        seen = {shard: await evidence(self._context, shard) for shard in shards}
        # some may have arrived while the evidence was collected
        found |= {entry.event_id: entry for entry in await ledger.entries(list(absent))}
        for id, where in absent.items():
            if id not in found and event_status(where, seen[where.partition]) is EventStatus.ACCEPTED:
                raise Unanswered(ON_ITS_WAY)
        return found

    async def void(self, entry: EntryRow) -> VoidResult | None:
        """Void an entry. Return None if the shard does not have it, or it was charged by an adjustment since."""
        try:
            reply = await void_entry(self._context, entry, self._reason)
        except Decided as refused:
            if refused.status == 404 or refused.code == NOT_VOIDABLE:
                return None
            raise
        shown = _void(reply.result)
        return VoidResult(shown.event_id, shown.voided_event_id, shown.total_cents, reply.status == 200, shown.test)

    async def charges(self, entries: Sequence[EntryRow]) -> list[EntryRow]:
        """Return the charges that the outcomes of these voided entries made before, in the same order."""
        opened = [entry for entry in entries if entry.kind == "event" and entry.outcome_id]
        closed = await self._closings(opened)
        unknown = [entry for entry in opened if entry.event_id not in closed]
        charged = await _each(self._has_charged, unknown)
        late = [entry for entry, has in zip(unknown, charged, strict=True) if has]
        closed |= await self._closings(late)
        if any(entry.event_id not in closed for entry in late):
            raise Unanswered(ON_ITS_WAY)
        found = await self._context.ledger().entries([id for id in closed.values() if id is not None])
        order = {entry.outcome_id: event_index for event_index, entry in enumerate(opened)}
        return sorted(found, key=lambda entry: order[entry.outcome_id])

    async def _closings(self, opened: Sequence[EntryRow]) -> dict[int, int | None]:
        """Map each opener of an outcome closed in the ledger to its charge; None if it charged nothing."""
        closed: dict[int, int | None] = {}
        for customer in {entry.customer_id for entry in opened}:
            events = [entry.event_id for entry in opened if entry.customer_id == customer]
            rows = await self._context.ledger().closings(customer, events)
            closed |= {id: row.event_id if row.kind == "charge" else None for id, row in rows.items()}
        return closed

    async def _has_charged(self, opened: EntryRow) -> bool:
        """True if the shard has a charge for the outcome, which the ledger does not have yet."""
        mode: Mode = "test" if opened.test else "live"
        command = encode_command(ReadOutcome(opened.customer_id, opened.outcome_id, mode))
        stands = decode_standing((await self._context.submitter.read(opened.customer_id, command)).result)
        return stands.status != "pending" and bytes(stands.charge_cents) != b"0"

    def _index(self, id: int) -> Address | None:
        """Return the address of an entry; None for an id that no entry can have."""
        try:
            where = address_of(id)
        except ValueError:
            return None
        return where if where.partition < self._context.settings.partitions else None


async def _each(work: Callable[[Item], Awaitable[Result]], items: Sequence[Item]) -> list[Result]:
    """Return the results of ``work`` for the items, in order, with at most IN_FLIGHT at once.

    The first failure cancels the rest and is raised.
    """
    results: dict[int, Result] = {}
    waiting = iter(enumerate(items))

    async def worker() -> None:
        for index, item in waiting:
            results[index] = await work(item)

    workers = [asyncio.create_task(worker()) for _ in range(min(IN_FLIGHT, len(items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for one in workers:
            one.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [results[index] for index in range(len(items))]
