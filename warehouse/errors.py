"""The errors of ClickHouse, for its writers and readers.

WarehouseError
├── Unavailable            unreachable, overloaded or late: the statement may have been executed
│   ├── ReadsUnavailable   the same for a query, which changes nothing
│   │   └── ReadsTooSlow   it took longer than it may
│   ├── LedgerFenced       another writer was here, or the stage is gone: start over from the maximum
│   └── InsertTooLarge     more than the server has memory for: smaller blocks may pass
├── InsertRefused          ClickHouse will never accept this data
└── WrongSchema            the tables are of a newer version than this program
"""


class WarehouseError(Exception):
    """Base of every error of this package."""


class Unavailable(WarehouseError):
    """The statement may have been executed; it is safe to repeat after reading the maximum again."""


class ReadsUnavailable(Unavailable):
    """A query failed: the server is down, too slow or not able to answer. ``what``: the query."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class ReadsTooSlow(ReadsUnavailable):
    """A query took longer than a query may; a smaller one may pass."""


class LedgerFenced(Unavailable):
    """The block was not written, since this writer's state of the partition is out of date."""


class InsertTooLarge(Unavailable):
    """The server had no memory for that much at once."""


class InsertRefused(WarehouseError):
    """A deterministic refusal of these records by ClickHouse. It wrote none of them."""


class WrongSchema(WarehouseError):
    """The tables do not have the shape that this program writes."""
