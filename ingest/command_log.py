"""The gateway's access to the log: appends a command and awaits the pricer's reply.

A command that is acknowledged is on disk; replies are decided from what is on disk. This module
makes no commands and renders no responses.
"""

import asyncio
from functools import lru_cache
from typing import NamedTuple

from msgspec import UNSET

from ingest import metrics
from ingest.disk_reserve import DiskReserve
from ingest.ports import AppendedAt, CommandAppender, Follower, ReplyPort
from ingest.problems import Decided, MaybeRecorded, NotRecordedYet, PayloadTooLarge, TooMany, Unanswered
from ingest.shedding import ShardLoad, Shedder
from schemas.limits import MAX_RECORD
from schemas.objects import decode_standing, number
from schemas.replies import ConfiguredReply, OutcomeReply, RefusedReply, Reply
from schemas.settings import Settings
from schemas.spending import decode_budget_object
from schemas.topics import CONFIG_KEY, partition_of
from streams.errors import AppendUnknown, NotRecorded

NO_ANSWER = "the customer's shard cannot be read at the moment; try again"
shard_of = lru_cache(maxsize=65536)(partition_of)


class SubmittedCommand(NamedTuple):
    """An acknowledged command. ``reply`` is None if no reply came in time."""

    appended: AppendedAt
    reply: Reply | None


class CommandLog:
    """An appender of commands that awaits their replies, for every handler of one gateway."""

    def __init__(
        self, settings: Settings, appender: CommandAppender, replies: ReplyPort, shedder: Shedder, reserve: DiskReserve
    ) -> None:
        self._partitions = settings.partitions
        self._timeout = settings.reply_timeout / 1000
        self._appender = appender
        self._replies = replies
        self._shedder = shedder
        self._reserve = reserve
        self._waiting: set[asyncio.Future[Reply]] = set()

    async def meter(self, customer_id: str, command: bytes, events: int, wait: bool) -> SubmittedCommand:
        """Append a meter command with ``events`` events and, if ``wait``, await its reply.

        Raises PayloadTooLarge, TooMany, NotRecordedYet (nothing was recorded), MaybeRecorded, or
        Decided (the pricer refused it).
        """
        submitted = await self._admitted(customer_id, command, events, wait)
        metrics.EVENTS.inc(events)
        return _accepted(submitted)

    async def decide(self, customer_id: str, command: bytes, wait: bool) -> SubmittedCommand:
        """Append a command that opens or changes an outcome or a budget, or voids an entry.

        Raises the same errors as :meth:`meter`.
        """
        return _accepted(await self._admitted(customer_id, command, 1, wait))

    async def read(self, customer_id: str, command: bytes) -> OutcomeReply:
        """Read an outcome or the budgets from the customer's shard, in order with everything appended before.

        Raises Unanswered when the shard does not reply in time, or Decided.
        """
        key = customer_id.encode()
        if (
            not self._replies.ready
            or self._shedder.decide(shard_of(key, self._partitions), customer_id) != ShardLoad.ANSWER
        ):
            raise Unanswered(NO_ANSWER)
        try:
            submitted = await self._submit(key, command, customer_id, 1, True, True)
        except (NotRecordedYet, MaybeRecorded) as error:
            raise Unanswered(NO_ANSWER) from error
        if submitted.reply is None:
            raise Unanswered(NO_ANSWER)
        return outcome_reply(_accepted(submitted).reply)

    async def configure(self, command: bytes, follower: Follower) -> ConfiguredReply:
        """Append a configuration command and wait until the gateway's own view holds the change.

        Raises NotRecordedYet, MaybeRecorded (also when no reply came in time) or Decided.
        """
        reply = (await self._submit(CONFIG_KEY, command, "", 1, True, True)).reply
        if reply is None:
            metrics.UNKNOWN.inc()
            raise MaybeRecorded("the change is recorded but not confirmed yet; read it back before you try again")
        if isinstance(reply, RefusedReply):
            raise decided(reply)
        if not isinstance(reply, ConfiguredReply):
            raise TypeError(f"unexpected reply to a configuration command: {type(reply).__name__}")
        if reply.view_offset >= 0:
            try:
                async with asyncio.timeout(self._timeout):
                    await follower.reached(reply.view_offset)
            except TimeoutError:
                metrics.UNKNOWN.inc()
                raise MaybeRecorded(
                    "the change is made, but this gateway does not show it yet; read it back before you try again"
                ) from None
        return reply

    def stop_waiting(self) -> None:
        """Stop waiting for replies, since the gateway stops: every waiting request gets a 202."""
        for future in list(self._waiting):
            future.cancel()

    async def _admitted(self, customer_id: str, command: bytes, events: int, wait: bool) -> SubmittedCommand:
        """Append a customer's command if the lag of its shard allows it."""
        key = customer_id.encode()
        shard = shard_of(key, self._partitions)
        load = self._shedder.decide(shard, customer_id)
        if load is ShardLoad.REFUSE:
            metrics.SHED.labels("refused").inc()
            raise TooMany("this customer has too many events that are not priced yet; try again later")
        if load is ShardLoad.ACCEPT and wait:
            metrics.SHED.labels("accepted").inc()
            wait = False
        return await self._submit(key, command, customer_id, events, wait or self._shedder.due(shard), wait)

    async def _submit(
        self, key: bytes, command: bytes, customer_id: str, events: int, asks: bool, wait: bool
    ) -> SubmittedCommand:
        if len(command) > MAX_RECORD:
            raise PayloadTooLarge(f"events must be at most {MAX_RECORD} bytes together; send fewer at once")
        self._require_disk()
        if not (asks and self._replies.ready):
            return SubmittedCommand(await self._append(key, command, ()), None)
        expectation = self._replies.expect()
        try:
            appended = await self._append(key, command, (expectation.header,))
            self._shedder.appended(appended.partition, appended.offset, customer_id, events)
            return SubmittedCommand(appended, await self._answer(expectation.future) if wait else None)
        finally:
            self._replies.forget(expectation.n)

    async def _append(self, key: bytes, command: bytes, headers: tuple[tuple[str, bytes], ...]) -> AppendedAt:
        try:
            return await self._appender.append(key, command, headers)
        except NotRecorded as error:
            metrics.NOT_RECORDED.labels("append").inc()
            raise NotRecordedYet("the log does not accept appends now; nothing was recorded") from error
        except AppendUnknown as error:
            metrics.UNKNOWN.inc()
            raise MaybeRecorded("the log did not acknowledge in time; retry with the same Idempotency-Key") from error

    async def _answer(self, future: "asyncio.Future[Reply]") -> Reply | None:
        """Return the reply, or None after REV_REPLY_TIMEOUT or when the gateway stops."""
        self._waiting.add(future)
        timer = asyncio.get_running_loop().call_later(self._timeout, future.cancel)
        try:
            return await future
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            metrics.UNANSWERED.inc()
            return None
        finally:
            timer.cancel()
            self._waiting.discard(future)

    def _require_disk(self) -> None:
        if self._reserve.problem is not None:
            metrics.NOT_RECORDED.labels("disk").inc()
            raise NotRecordedYet("the gateway's disk is nearly full; nothing was recorded")


def decided(reply: RefusedReply) -> Decided:
    """Return the pricer's refusal as an exception for the caller."""
    stands = decode_standing(reply.outcome) if reply.outcome else None
    budget = decode_budget_object(reply.budget) if reply.budget else None
    balance = UNSET if reply.balance is None else number(reply.balance)
    return Decided(
        reply.status, reply.code, reply.error, reply.errors, outcome=stands, budget=budget, balance_cents=balance
    )


def outcome_reply(reply: Reply | None) -> OutcomeReply:
    """Return a reply that must be about an outcome, a void or a budget. Raises TypeError: a bug."""
    if not isinstance(reply, OutcomeReply):
        raise TypeError(f"unexpected reply about an outcome: {type(reply).__name__}")
    return reply


def _accepted(submitted: SubmittedCommand) -> SubmittedCommand:
    if isinstance(submitted.reply, RefusedReply):
        raise decided(submitted.reply)
    return submitted
