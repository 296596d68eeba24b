"""Commands: the values of rev.raw. Everything that changes anything is one of these.

Times are integer milliseconds since the epoch, UTC. Money is decimal text in cents
(schemas.money). A command carries every setting that its decision depends on, so that
the log alone says what every event cost.
"""

from typing import Literal

import msgspec

EMPTY = msgspec.Raw(b"")
"""An absent JSON object."""

EventOutcome = Literal["success", "failure", "pending"]
OnExpiry = Literal["failure", "success"]


class MeterEvent(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One thing that an agent did, validated and normalized by the gateway.

    ``tokens`` is the total that is charged; the halves are None unless the sender gave a
    split. ``event_time`` is None when the sender gave no timestamp (then it is the accepted
    time). ``metadata`` is the sender's own JSON text, or empty.
    """

    agent_id: str
    action: str
    tokens: int = 0
    tokens_input: int | None = None
    tokens_output: int | None = None
    outcome: EventOutcome | None = None
    expires_at: int | None = None
    on_expiry: OnExpiry | None = None
    metadata: msgspec.Raw = EMPTY
    idempotency_key: str | None = None
    event_time: int | None = None
    task_id: str | None = None
    model: str | None = None
    provider: str | None = None
    trace_id: str | None = None


class Meter(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="command", tag="meter"):
    """One POST /v1/meter (one event) or /v1/meter/batch (``batch``, 1 to 1000 events)."""

    customer_id: str
    api_key_id: int
    events: list[MeterEvent]
    idempotency_window: int
    """How long keys are remembered, ms."""
    outcome_ttl: int
    """When a pending event without expires_at expires, ms after its accepted time."""
    batch: bool = False
    test: bool = False


class Rates(msgspec.Struct, frozen=True, gc=False):
    """The three parts of a price: cents per event, cents per token, cents on success."""

    base: str
    token: str
    bonus: str


class SeedPrice(msgspec.Struct, frozen=True, gc=False):
    """A default price that is set when the log is created."""

    action_type: str
    rates: Rates


class Genesis(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="genesis"):
    """The first command of a log: its random epoch and the default prices. Repeats are ignored."""

    epoch: str
    prices: list[SeedPrice]


class CreateKey(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="key.create"):
    """A new API key. Its secret never enters the log, only hash (SHA-256, hex) and mask."""

    customer_id: str
    hash: str
    mask: str
    customer_name: str | None = None
    test: bool = False
    actor: str = "admin"


class RevokeKey(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="key.revoke"):
    id: int
    actor: str = "admin"


class SetPrice(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="price.set"):
    """A price for an action (or ``*``), for everyone or for one customer."""

    action_type: str
    rates: Rates
    customer_id: str | None = None
    actor: str = "admin"


class DeletePrice(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="price.delete"):
    id: int
    actor: str = "admin"


class UpdateCustomer(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="customer.update"):
    """Change what is not None of a customer; ``external_ids`` maps system name to id."""

    customer_id: str
    name: str | None = None
    external_ids: dict[str, str] | None = None
    test: bool | None = None
    actor: str = "admin"


class InstallPrice(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="price"):
    """A numbered price record, sent by the configuration shard to every shard (an override:
    to its customer's). A shard ignores every ``number`` that is not above its last one.
    """

    number: int
    id: int
    action_type: str
    rates: Rates
    customer_id: str | None = None
    active: bool = True


Configure = Genesis | CreateKey | RevokeKey | SetPrice | DeletePrice | UpdateCustomer
Command = Meter | Configure | InstallPrice

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Command).decode
"""Command of a raw record's value. Raises msgspec.DecodeError or ValidationError."""
