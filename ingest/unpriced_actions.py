"""The actions that came in without a price: what GET /api/admin/unpriced shows, bounded, and kept over a restart.

A refused event is not in the log, and many clients drop a refusal without a word, so this list is where its owner sees
it. It is in a gateway's memory; ingest.service writes it to a file every few seconds, so a crash loses the last ones,
which come again as long as the price is missing. Gateways that share a port show what is in each other's files, too.
"""

import asyncio
import os
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from ingest import metrics
from schemas.commands import Mode

MAX_ROWS = 1000
"""Rows of the list; beyond them the one that was seen longest ago goes."""
MAX_OF_CUSTOMER = 100
"""Rows of one customer, so that whoever makes up actions pushes out only their own."""
EVERY = 5.0
"""Seconds between two writes of the file."""
OWN = "rev"
"""The dialect of POST /v1/meter and /v1/meter/batch."""
_log = structlog.get_logger("ingest")


class UnpricedKey(NamedTuple):
    """What is counted together. ``quantity``: the one that the price has no rate for; None without a price at all."""

    customer_id: str
    mode: Mode
    action: str
    model: str | None
    provider: str | None
    dialect: str
    quantity: str | None


class UnpricedAction(msgspec.Struct):
    """A row of the list: how many events came in, and when, ms UTC."""

    key: UnpricedKey
    events: int
    first_seen: int
    last_seen: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[UnpricedAction]).decode


class UnpricedActions:
    """The list. Rows are in the order in which they were last seen. ``others``: the files of the gateways that share
    the port."""

    def __init__(self, others: Sequence[Path] = ()) -> None:
        self._others = others
        self._rows: dict[UnpricedKey, UnpricedAction] = {}
        self._of_customer: dict[str, dict[UnpricedKey, None]] = {}
        self._changed = False

    @property
    def rows(self) -> Sequence[UnpricedAction]:
        """The rows of this gateway, the one that was seen last first."""
        return list(reversed(self._rows.values()))

    async def all_rows(self) -> Sequence[UnpricedAction]:
        """Return the rows of all gateways that share the port; those of the others are a few seconds old."""
        if not self._others:
            return self.rows
        return merged([self.rows, *await asyncio.to_thread(lambda: [_read(path) for path in self._others])])

    def note(self, key: UnpricedKey, now: int) -> None:
        """Count an event that came in without a price."""
        row = self._rows.pop(key, None) or UnpricedAction(key, 0, now, now)
        row.events += 1
        row.last_seen = now
        self._add(row)
        metrics.UNPRICED.inc()
        self._changed = True

    def load(self, path: Path) -> None:
        """Read the file, if there is one; a damaged one is logged and the list begins empty."""
        for row in _read(path):
            self._rows.pop(row.key, None)
            self._add(row)

    def save(self, path: Path) -> None:
        """Write the file if the list has changed since. Raises OSError."""
        if not self._changed:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(_encode(list(self._rows.values())))
        os.replace(new, path)
        self._changed = False

    async def keep(self, path: Path) -> None:
        """Write the file repeatedly until cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(EVERY)
                self._try_to_save(path)
        finally:
            self._try_to_save(path)

    def _try_to_save(self, path: Path) -> None:
        try:
            self.save(path)
        except OSError as error:
            _log.warning("list of unpriced actions not written", path=str(path), error=repr(error))

    def _add(self, row: UnpricedAction) -> None:
        """Put a row last, and drop what is beyond the bounds."""
        key = row.key
        self._rows[key] = row
        own = self._of_customer.setdefault(key.customer_id, {})
        own.pop(key, None)
        own[key] = None
        if len(own) > MAX_OF_CUSTOMER:
            self._drop(next(iter(own)))
        if len(self._rows) > MAX_ROWS:
            self._drop(next(iter(self._rows)))

    def _drop(self, key: UnpricedKey) -> None:
        del self._rows[key]
        own = self._of_customer[key.customer_id]
        del own[key]
        if not own:
            del self._of_customer[key.customer_id]


def merged(lists: Iterable[Iterable[UnpricedAction]]) -> list[UnpricedAction]:
    """Return the rows of several gateways as one list, the one that was seen last first. Pure."""
    found: dict[UnpricedKey, UnpricedAction] = {}
    for row in chain.from_iterable(lists):
        old = found.get(row.key, row)
        events = row.events if old is row else old.events + row.events
        first, last = min(old.first_seen, row.first_seen), max(old.last_seen, row.last_seen)
        found[row.key] = UnpricedAction(row.key, events, first, last)
    return sorted(found.values(), key=lambda row: -row.last_seen)[:MAX_ROWS]


def _read(path: Path) -> list[UnpricedAction]:
    """Return the rows of a file; none if it is not there, or damaged, which is logged."""
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        _log.warning("list of unpriced actions not read; it counts as empty", path=str(path), error=repr(error))
        return []
