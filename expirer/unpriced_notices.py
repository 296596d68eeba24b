"""Events of one partition that were recorded without a price: which have one now, and when to send their notices.

Pure: no I/O and no clock. ``now`` is the broker's time in ms UTC, ``tick`` is ms of a monotonic clock. An event costs
about 200 bytes while it waits. The pricer decides every event; errors here cannot make an amount wrong, only late.
"""

from itertools import islice
from typing import NamedTuple

import msgspec

from schemas.commands import ChargeUnpriced
from schemas.price_match import candidates
from schemas.state import price_key
from schemas.unpriced import MAX_CHARGED, UNPRICED_PREFIX

LOOK = 1000
"""ms between two looks for events with a price, and after which a notice is repeated that may not be recorded."""
SLOWLY = 30_000
"""ms after which a notice is repeated even if the shard has not reached the last one."""
REST = 600_000
"""ms after which events are named again that the shard has left, since their price cannot charge them."""
_AT = len(UNPRICED_PREFIX)


class _Labels(msgspec.Struct, frozen=True, gc=False):
    """The needed part of a MeterEvent."""

    action: str
    model: str | None = None
    provider: str | None = None


class _Waiting(msgspec.Struct, frozen=True, gc=False):
    """The needed part of schemas.unpriced.UnpricedEvent."""

    customer_id: str
    api_key_id: int
    event: _Labels
    test: bool = False


class _Version(msgspec.Struct, frozen=True, gc=False):
    """The needed part of schemas.state.InstalledPrice."""

    id: int
    effective_at: int | None = None
    later: tuple["_Version", ...] = ()


class UnpricedRowKey(NamedTuple):
    """What the events of one notice have in common."""

    customer_id: str
    api_key_id: int
    test: bool
    action: str
    model: str | None
    provider: str | None


class _Sent(NamedTuple):
    """The last notice of a row. ``offset`` is its offset in rev.raw, or -1 if unknown."""

    ids: tuple[int, ...]
    offset: int
    at: int


class _Events:
    """The events of a row. ``left``: those that the shard has left after a notice with the price ``price``."""

    def __init__(self) -> None:
        self.waiting: dict[int, None] = {}
        self.left: dict[int, None] = {}
        self.price = 0
        self.sent: _Sent | None = None
        self.rested = 0


class UnpricedNotices:
    """The events of one partition that wait for a price. The observed methods get every change in rev.state, in any
    order and any number of times. Everything that :meth:`take` returns must be passed to :meth:`sent`."""

    def __init__(self) -> None:
        self._rows: dict[UnpricedRowKey, _Events] = {}
        self._row_of: dict[int, UnpricedRowKey] = {}
        self._prices: dict[bytes, tuple[tuple[int, int], ...]] = {}
        """The prices of each slot: id and start, by start."""
        self._passed = 0
        self._looked: int | None = None

    @property
    def waiting(self) -> int:
        """Number of events that wait for a price."""
        return len(self._row_of)

    def observed(self, key: bytes, value: bytes | None) -> None:
        """Apply one record of an event. Raises msgspec.DecodeError or ValueError for an unreadable one."""
        id = int(key[_AT:])
        if value is None:
            self._gone(id)
        elif id not in self._row_of:  # what waits never changes
            one = _decode(value)
            event = one.event
            row = UnpricedRowKey(one.customer_id, one.api_key_id, one.test, event.action, event.model, event.provider)
            events = self._rows.setdefault(row, _Events())
            self._row_of[id] = row
            events.waiting[id] = None

    def observed_price(self, key: bytes, value: bytes | None) -> None:
        """Apply one record of a price. Raises msgspec.DecodeError for an unreadable one."""
        if value is None:
            self._prices.pop(key, None)
            return
        price = _decode_price(value)
        self._prices[key] = tuple((one.id, one.effective_at or 0) for one in (price, *price.later))

    def passed(self, offset: int) -> None:
        """Note that the shard has decided everything in rev.raw before this offset."""
        self._passed = offset

    def take(self, now: int, tick: int, limit: int) -> list[tuple[UnpricedRowKey, ChargeUnpriced]]:
        """Return at most ``limit`` notices to send now, each with the row for :meth:`sent`: one of a row at a time."""
        if self._looked is not None and tick - self._looked < LOOK:
            return []
        self._looked = tick
        taken: list[tuple[UnpricedRowKey, ChargeUnpriced]] = []
        for row, events in self._rows.items():
            if len(taken) == limit:
                break
            price = self._price_of(row, now)
            if price is None or not self._asks(events, price, tick):
                continue
            ids = list(islice(events.waiting, MAX_CHARGED))
            if ids:
                taken.append((row, ChargeUnpriced(row.customer_id, row.api_key_id, ids, row.test)))
        return taken

    def sent(self, row: UnpricedRowKey, command: ChargeUnpriced, offset: int, tick: int) -> None:
        """Note a notice at this offset of rev.raw, or -1 if it is unknown whether it was recorded."""
        events = self._rows.get(row)
        if events is not None:
            events.sent = _Sent(tuple(command.event_ids), offset, tick)

    def _asks(self, events: _Events, price: int, tick: int) -> bool:
        """True if a notice of the row is to be sent now: the last one is decided, or may be lost."""
        sent = events.sent
        if sent is not None:
            if sent.offset < 0 or sent.offset >= self._passed:
                return tick - sent.at >= (LOOK if sent.offset < 0 else SLOWLY)
            for id in sent.ids:
                if id in events.waiting:
                    del events.waiting[id]
                    events.left[id] = None
            events.sent = None
            events.rested = tick
        if events.price != price or (events.left and tick - events.rested >= REST):
            events.price = price
            events.waiting |= events.left
            events.left = {}
        return True

    def _gone(self, id: int) -> None:
        row = self._row_of.pop(id, None)
        if row is None:
            return
        events = self._rows[row]
        events.waiting.pop(id, None)
        events.left.pop(id, None)
        if not (events.waiting or events.left):
            del self._rows[row]

    def _price_of(self, row: UnpricedRowKey, now: int) -> int | None:
        """Return the id of the price in force for a row; None if there is none."""
        for slot in candidates(row.customer_id, row.action, row.model, row.provider):
            for id, start in reversed(self._prices.get(price_key(slot), ())):
                if start <= now:
                    return id
        return None


_decode = msgspec.json.Decoder(_Waiting).decode
_decode_price = msgspec.json.Decoder(_Version).decode
