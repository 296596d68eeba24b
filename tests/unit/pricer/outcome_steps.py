"""What is done to outcomes over a log in memory, and what is read of the decisions, for the tests of them."""

from typing import Any

import msgspec

from pricer.memory import MemoryShard
from schemas import entries
from schemas.commands import (
    Expire,
    Genesis,
    Meter,
    MeterEvent,
    Rates,
    ReadOutcome,
    Register,
    Resolve,
    SeedPrice,
)
from schemas.entries import EntryRecord
from schemas.replies import ChargedReply, OutcomeReply, RefusedReply
from schemas.topics import CONFIG_KEY, partition_of
from streams.types import Decision

PARTITIONS = 4
WINDOW = 1000
NOW = 1_774_915_200_000
EXPIRES = NOW + 5000
ACME = "acme"
SHARD = partition_of(ACME.encode(), PARTITIONS)
NEIGHBOUR = next(name for name in map(str, range(99)) if partition_of(name.encode(), PARTITIONS) == SHARD)
"""Another customer of the same shard."""


def priced_log() -> MemoryShard:
    """A log at accepted time NOW, with a price for the guides' e-mail."""
    made = MemoryShard(PARTITIONS)
    made.now = NOW
    made.append(CONFIG_KEY, Genesis("e", [SeedPrice("email.sent", Rates("1", "0", "500"))]))
    return made


def register(log: MemoryShard, task: str = "task_abc123", customer: str = ACME, **fields: Any) -> Decision:
    """The reference's contract: $49 if it succeeds."""
    given: dict[str, Any] = {"price_on_success": "4900", "expires_at": EXPIRES, "idempotency_window": WINDOW}
    return log.append(customer.encode(), Register(customer, 3, task, "agent-legal", **given | fields))


def pending(log: MemoryShard, **fields: Any) -> str:
    """The guides' e-mail; the id of its outcome."""
    event = MeterEvent("mailer", "email.sent", outcome="pending", expires_at=EXPIRES, **fields)
    reply = log.append(ACME.encode(), Meter(ACME, 3, [event], WINDOW, 10**9)).reply
    assert isinstance(reply, ChargedReply)
    assert reply.receipt.outcome_id is not None
    return reply.receipt.outcome_id


def resolve(log: MemoryShard, target: str, success: bool = True, customer: str = ACME, **fields: Any) -> Decision:
    """A verdict, given with key 4."""
    return log.append(customer.encode(), Resolve(customer, 4, target, success, WINDOW, **fields))


def read(log: MemoryShard, target: str, customer: str = ACME) -> Decision:
    """A look."""
    return log.append(customer.encode(), ReadOutcome(customer, target))


def expire(log: MemoryShard, outcome_id: str) -> Decision:
    """A reminder."""
    return log.append(ACME.encode(), Expire(ACME, outcome_id))


def written(decision: Decision) -> EntryRecord:
    """The decision's entry record."""
    assert decision.entries is not None
    return entries.decode(decision.entries)


def told(decision: Decision) -> Any:
    """The object of the answer."""
    assert isinstance(decision.reply, OutcomeReply)
    return msgspec.json.decode(decision.reply.result)


def refused(decision: Decision) -> RefusedReply:
    """The refusal."""
    assert isinstance(decision.reply, RefusedReply)
    return decision.reply
