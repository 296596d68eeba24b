"""Budgets and prepaid credit of a customer: their state in the customer's shard, and as the API shows them. Pure.

Money in the state is decimal text in cents, times are milliseconds UTC. Test and live each have their own.
"""

from functools import lru_cache
from typing import Annotated, NamedTuple
from zlib import crc32

import msgspec
from msgspec import UNSET, Meta, UnsetType

from schemas.commands import BudgetPeriod, Category, Scope
from schemas.limits import DAY
from schemas.money import format_cents, parse_cents
from schemas.months import month_around
from schemas.objects import Number, iso, number
from schemas.state import LIMITED, SEPARATOR, namespace, with_mark

MAX_BUDGETS = 1000
"""Budgets of one customer and mode."""
MAX_GRANTS = 100
"""Grants of one customer and mode that have credit left."""
MAX_SLOT = 10
"""Budgets of one customer and mode with the same scope and value."""
GRANTS_PREFIX = b"grants/"
FILTER = 512
"""Bytes of the filter of customers with a SpendingIndex, at the end of state.PRICE_SCOPED. Each has 7 bits and is no
letter."""


class Subject(NamedTuple):
    """What an amount is spent on, as the budgets see it: the labels of an entry."""

    agent_id: str | None
    action: str | None
    model: str | None
    api_key_id: int

    def value(self, scope: Scope) -> str | None:
        """Return the value that a budget of this scope must have to count the amount; None if none can."""
        match scope:
            case "agent":
                return self.agent_id
            case "action":
                return self.action
            case "model":
                return self.model
            case "key":
                return str(self.api_key_id)
            case _:
                return ""


class SpendingIndex(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a customer has in one mode, so that an event of one without budgets and credit reads nothing else.

    ``budgets``: how many of each scope. ``granted``: the customer has ever had a grant. ``reserved``: how many
    reservations are open; ``held``: cents of credit that they hold.
    """

    budgets: dict[Scope, int] = {}
    granted: bool = False
    reserved: int = 0
    held: str = "0"
    low: str | None = None
    """The balance in cents of which a notice is given; None: of no balance, not even of 0."""
    noticed: str = ""
    """Type of the last notice since the latest grant."""


class Budget(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A budget and what was spent in its latest period with an amount."""

    id: int
    """The event id of the command that made it."""
    period: BudgetPeriod
    limit: str
    hard: bool
    created_at: int
    start: int = 0
    """Start of the period that ``spent`` is of; 0 for ``total``."""
    spent: str = "0"
    notified: int = 0
    """The highest percentage of the limit that a notice of this period gave; OVER beyond the limit."""
    held: str = "0"
    """Cents that open reservations hold, in whatever period."""


class Grant(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Prepaid credit: ``amount`` cents, of which ``left`` are not drawn."""

    id: int
    """The event id of the command that granted it."""
    amount: str
    left: str
    created_at: int
    reason: str
    priority: int
    expires_at: int | None = None
    ended: bool = False
    """Its expiry is recorded."""
    category: Category = "promotional"

    @property
    def order(self) -> tuple[bool, int, int, int]:
        """What grants are drawn in the order of."""
        return self.expires_at is None, self.expires_at or 0, self.priority, self.id

    def expired(self, at: int) -> bool:
        """True if nothing may be drawn any more at an accepted time."""
        return self.expires_at is not None and self.expires_at <= at


class GrantObject(msgspec.Struct, frozen=True, kw_only=True):
    """Prepaid credit. Grants are drawn by ``expires_at``, those that never expire last, then ``priority``, then id."""

    id: int
    customer_id: str
    amount_cents: Number
    left_cents: Number
    expires_at: str | None
    priority: int
    reason: str
    created_at: str
    test: bool
    low_percent: Annotated[
        int | UnsetType, Meta(description="In the response to a grant: of which part of the balance a webhook tells.")
    ] = UNSET
    category: Annotated[
        Category | UnsetType, Meta(description="paid, if the customer paid for it; absent if it is promotional.")
    ] = UNSET


class BalanceObject(msgspec.Struct, frozen=True):
    """The prepaid credit that can be drawn now, and the grants that hold it, in the order in which they are drawn."""

    customer_id: str
    balance_cents: Number
    grants: list[GrantObject]
    test: bool
    held_cents: Annotated[
        Number | UnsetType, Meta(description="Of the balance, what open reservations hold; absent if none does.")
    ] = UNSET


class CreditNotice(msgspec.Struct, frozen=True):
    """A customer whose prepaid credit is low or used up since the entry ``event_id``."""

    customer_id: str
    balance_cents: Number
    low_cents: Number
    """The balance from which on it counts as low."""
    event_id: int
    test: bool


class BudgetObject(msgspec.Struct, frozen=True, kw_only=True):
    """A budget.

    ``value``: the agent, action, model or key id that it is for, empty for ``all``. ``fits``: a given amount would fit.
    """

    id: int
    customer_id: str
    scope: Scope
    value: str
    period: BudgetPeriod
    limit_cents: Number
    hard: bool
    spent_cents: Number
    left_cents: Number
    """Neither spent nor held; 0 when more than the limit is."""
    period_start: str | None
    """None for ``total``, as period_end."""
    period_end: str | None
    created_at: str
    test: bool
    fits: bool | UnsetType = UNSET
    held_cents: Annotated[Number | UnsetType, Meta(description="What open reservations hold; absent if none does.")] = (
        UNSET
    )


class BudgetNotice(BudgetObject, frozen=True, kw_only=True):
    """A budget that reached a threshold with the entry ``event_id``."""

    threshold_percent: int
    event_id: int


class BudgetList(msgspec.Struct, frozen=True):
    """The budgets of a customer, by id. ``fits``: every hard one of them would let a given amount pass."""

    customer_id: str
    budgets: list[BudgetObject]
    fits: Annotated[bool | UnsetType, Meta(description="Present with amount_cents.")] = UNSET


class BudgetSlot(NamedTuple):
    """The budgets of one scope and value."""

    customer_id: str
    test: bool
    scope: Scope
    value: str

    def key(self) -> bytes:
        """Return the key of their list in the shard's state."""
        return budget_prefix(self.customer_id, self.test) + self.scope.encode() + SEPARATOR + self.value.encode()


@lru_cache(maxsize=16384)
def index_key(customer_id: str, test: bool) -> bytes:
    """Return the key of a customer's SpendingIndex."""
    return b"spending/" + namespace(customer_id, test)


def may_have(marks: bytes, customer_id: str, test: bool) -> bool:
    """False if a customer has never had a budget or credit in a mode, by the shard's marks; mostly, if there is none.

    A shard that has had a budget since before the filter has none, and every customer may have one.
    """
    if len(marks) <= FILTER:
        return LIMITED in marks
    place, bit = _bit_of(customer_id, test)
    return marks[place] & bit != 0


def with_customer(marks: bytes | None, customer_id: str, test: bool) -> bytes:
    """Return the marks of a shard in which a customer has a budget or credit."""
    if marks is None or LIMITED not in marks:
        marks = with_mark((marks or b"") + b"\x80" * FILTER, LIMITED)
    if len(marks) <= FILTER:
        return marks
    place, bit = _bit_of(customer_id, test)
    changed = bytearray(marks)
    changed[place] |= bit
    return bytes(changed)


@lru_cache(maxsize=16384)
def _bit_of(customer_id: str, test: bool) -> tuple[int, int]:
    """Return the place from the end, and the bit there, of a customer in the filter."""
    place, bit = divmod(crc32(namespace(customer_id, test)) % (FILTER * 7), 7)
    return -1 - place, 1 << bit


def request_key(customer_id: str, test: bool, key: str) -> bytes:
    """Return the key of the first reply to an administrator's request with this idempotency key."""
    return b"spending-request/" + namespace(customer_id, test) + key.encode()


def grants_key(customer_id: str, test: bool) -> bytes:
    """Return the key of the grants with credit left whose expiry is not recorded, in the order of draws."""
    return GRANTS_PREFIX + namespace(customer_id, test)


def grant_key(customer_id: str, test: bool, id: int) -> bytes:
    """Return the key of a grant that is used up or expired."""
    return b"grant/" + namespace(customer_id, test) + b"%d" % id


def budget_prefix(customer_id: str, test: bool) -> bytes:
    """Return the prefix of the budgets of one mode. That of live is also one of test."""
    return b"budget/" + namespace(customer_id, test)


def slot_of(customer_id: str, key: bytes) -> BudgetSlot:
    """Return the slot of a key of a customer's budgets."""
    rest = key.removeprefix(budget_prefix(customer_id, False))
    test = rest.startswith(SEPARATOR)
    scope, _, value = rest.removeprefix(SEPARATOR).partition(SEPARATOR)
    return BudgetSlot(customer_id, test, msgspec.convert(scope.decode(), Scope), value.decode())


def period_start(period: BudgetPeriod, at: int) -> int:
    """Return the start of the calendar day or month (UTC) of a time in ms; 0 for ``total``."""
    if period == "day":
        return at - at % DAY
    return month_around(at).start if period == "month" else 0


def period_end(period: BudgetPeriod, start: int) -> int | None:
    """Return the start of the next period; None for ``total``."""
    if period == "day":
        return start + DAY
    return month_around(start).end if period == "month" else None


def budget_shown(
    slot: BudgetSlot, budget: Budget, at: int, spent: int, held: int, amount: int | None = None
) -> BudgetObject:
    """Return a budget at the accepted time ``at`` with ``spent`` pico-cents in its period, and so many held;
    ``amount``: would it fit."""
    start = period_start(budget.period, at)
    end = period_end(budget.period, start)
    limit = parse_cents(budget.limit)
    return BudgetObject(
        id=budget.id,
        customer_id=slot.customer_id,
        scope=slot.scope,
        value=slot.value,
        period=budget.period,
        limit_cents=number(budget.limit),
        hard=budget.hard,
        spent_cents=number(format_cents(spent)),
        left_cents=number(format_cents(max(limit - spent - held, 0))),
        period_start=None if end is None else iso(start),
        period_end=None if end is None else iso(end),
        created_at=iso(budget.created_at),
        test=slot.test,
        fits=UNSET if amount is None else amount == 0 or spent + held + amount <= limit,
        held_cents=number(format_cents(held)) if held else UNSET,
    )


def grant_shown(customer_id: str, test: bool, grant: Grant, low_percent: int | None = None) -> GrantObject:
    """Return a grant; ``low_percent``: of a new one."""
    return GrantObject(
        id=grant.id,
        customer_id=customer_id,
        amount_cents=number(grant.amount),
        left_cents=number(grant.left),
        expires_at=None if grant.expires_at is None else iso(grant.expires_at),
        priority=grant.priority,
        reason=grant.reason,
        created_at=iso(grant.created_at),
        test=test,
        low_percent=UNSET if low_percent is None else low_percent,
        category=UNSET if grant.category == "promotional" else grant.category,
    )


encode = msgspec.json.Encoder().encode
decode_index = msgspec.json.Decoder(SpendingIndex).decode
decode_budgets = msgspec.json.Decoder(tuple[Budget, ...]).decode
decode_grant = msgspec.json.Decoder(Grant).decode
decode_grants = msgspec.json.Decoder(tuple[Grant, ...]).decode
decode_budget_object = msgspec.json.Decoder(BudgetObject).decode
