"""Voids: negative entries that take back another entry, once. Nothing is ever deleted.

The amounts and the price of the voided entry are copied from the ledger into the command. The shard
decides whether it may be voided, and voids it only once.
"""

from aiohttp import hdrs, web

from ingest.admin.configure import ACTOR, admin
from ingest.bodies import VoidBody
from ingest.command_log import outcome_reply
from ingest.context import Context
from ingest.outcomes.outcome_handlers import forwarded
from ingest.outcomes.outcome_requests import opened_by, reason_of
from ingest.problems import MaybeRecorded, NotFound, NothingCharged, NotVoidable, Unanswered
from ingest.reads.event_evidence import event_address, evidence
from ingest.reads.event_status import EventStatus, event_status
from ingest.request_body import body_of, query_of
from ingest.routing import Auth, Operation, Route, bound
from schemas.commands import Mode, ReadOutcome, Void
from schemas.commands import encode as encode_command
from schemas.ids import address_of
from schemas.limits import MAX_BODY
from schemas.objects import VoidObject, decode_standing
from schemas.replies import OutcomeReply
from schemas.unpriced import NO_PRICE
from warehouse.row_events import canonical, draws_of_row, event_of_row, lines_of_row, price_of_row
from warehouse.rows import EntryRow

EVENTS, OUTCOMES = "/api/admin/events/{event_id}/void", "/api/admin/outcomes/{outcome_id}/void"
ON_ITS_WAY = "it is not in the ledger yet; try again"


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    post, admins = hdrs.METH_POST, Auth.ADMIN
    made = {200: VoidObject, 201: VoidObject}
    return [
        Route(
            Operation(post, EVENTS, "Void an event or a charge, once.", admins, made, VoidBody),
            bound(context, void_event),
        ),
        Route(
            Operation(post, OUTCOMES, "Void the charge of an outcome, once.", admins, made, VoidBody),
            bound(context, void_outcome),
        ),
    ]


async def void_event(context: Context, request: web.Request) -> web.Response:
    """Handle POST /api/admin/events/{event_id}/void."""
    reason = await _reason(context, request)
    text = request.match_info["event_id"]
    event_address(text)
    entry = await _entry(context, int(text), f"there is no event {text[:40]!r}")
    if entry.kind not in ("event", "charge"):
        if entry.kind in ("void", "config"):
            raise NotFound(f"there is no event {text[:40]!r}")
        if entry.kind == "adjustment":
            raise NotVoidable(f"event {text} is the adjustment of {entry.reason}, and an adjustment cannot be voided")
        raise NothingCharged(f"event {text} charged nothing ({entry.kind}), so there is nothing to void")
    return await _void(context, entry, reason)


async def void_outcome(context: Context, request: web.Request) -> web.Response:
    """Handle POST /api/admin/outcomes/{outcome_id}/void."""
    reason = await _reason(context, request)
    id = request.match_info["outcome_id"]
    unknown = f"there is no outcome {id[:40]!r}"
    event = opened_by(id)
    if event is None:
        raise NotFound(unknown)
    opener = await _entry(context, event, unknown)
    if opener.outcome_id != id or opener.kind not in ("event", "registered"):
        raise NotFound(unknown)
    customer = opener.customer_id
    # the ledger may lack a closing from a moment ago; the shard has it
    mode: Mode = "test" if opener.test else "live"
    read = await context.submitter.read(customer, encode_command(ReadOutcome(customer, id, mode)))
    stands = decode_standing(read.result)
    if stands.status == "pending" or bytes(stands.charge_cents) == b"0":
        problem = NothingCharged(f"outcome {id} is {stands.status} and charged nothing, so there is nothing to void")
        problem.outcome = stands
        raise problem
    entry = await closing_of(context, customer, event)
    if entry is None:
        raise Unanswered(ON_ITS_WAY)
    return await _void(context, entry, reason)


async def closing_of(context: Context, customer_id: str, event_id: int) -> EntryRow | None:
    """Return the entry that closed the outcome that an entry opened, or None if the ledger does not have it yet."""
    closing = (await context.ledger().closings(customer_id, [event_id])).get(event_id)
    return None if closing is None else await context.ledger().entry(closing.event_id, customer_id)


async def _reason(context: Context, request: web.Request) -> str:
    admin(context, request)
    query_of(request, ())
    return reason_of(await body_of(request, MAX_BODY))


async def _entry(context: Context, event_id: int, unknown: str) -> EntryRow:
    """Return the entry with this id. Raises NotFound, or Unanswered while it may be on its way."""
    ledger = context.ledger()
    entry = await ledger.entry(event_id)
    if entry is not None:
        return entry
    address = address_of(event_id)
    if address.partition >= context.settings.partitions:
        raise NotFound(unknown)
    seen = await evidence(context, address.partition)
    # it may have arrived while the evidence was collected
    entry = await ledger.entry(event_id)
    if entry is not None:
        return entry
    if event_status(address, seen) is EventStatus.ACCEPTED:
        raise Unanswered(ON_ITS_WAY)
    raise NotFound(unknown)


async def _void(context: Context, entry: EntryRow, reason: str) -> web.Response:
    return await forwarded(context, entry.customer_id, await void_entry(context, entry, reason))


async def void_entry(context: Context, entry: EntryRow, reason: str, actor: str = ACTOR) -> OutcomeReply:
    """Return the shard's reply: the void, with 201 the first time and 200 after that.

    Raises MaybeRecorded when no reply came in time, and as CommandLog.decide does.
    """
    command = void_of(entry, reason, actor)
    submitted = await context.submitter.decide(entry.customer_id, encode_command(command), True)
    if submitted.reply is None:
        raise MaybeRecorded("the void is recorded but not confirmed yet; retry, an entry is voided only once")
    return outcome_reply(submitted.reply)


def void_of(entry: EntryRow, reason: str, actor: str = ACTOR) -> Void:
    """Return the command that voids an entry, with all its fields and amounts. Pure."""
    return Void(
        customer_id=entry.customer_id,
        event_id=entry.event_id,
        event=event_of_row(entry),
        base=canonical(entry.base),
        token=canonical(entry.token),
        bonus=canonical(entry.bonus),
        quantity=canonical(entry.quantity),
        total=canonical(entry.total),
        lines=lines_of_row(entry),
        credit=None if entry.credit is None else canonical(entry.credit),
        draws=draws_of_row(entry),
        reason=reason,
        price=price_of_row(entry) or (NO_PRICE if entry.kind == "event" else None),
        outcome_id=entry.outcome_id or None,
        charge=entry.kind == "charge",
        test=entry.test,
        actor=actor,
        import_id=entry.import_id or None,
        recorded_at=entry.recorded_at,
        key_id=entry.api_key_id,
    )
