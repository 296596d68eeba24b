"""What can go wrong at ClickHouse, for who writes and who reads.

WarehouseError
├── Unavailable            not reached, overloaded, answered late: whether it was done is not known
│   ├── ReadsUnavailable   the same of a query, which changes nothing
│   ├── LedgerFenced       another writer was here, or the stage is gone: start over from the maximum
│   └── InsertTooLarge     more than the server has memory for: smaller blocks may pass
├── InsertRefused          ClickHouse will never take this data
└── WrongSchema            the tables are of a newer version than this program
"""


class WarehouseError(Exception):
    """Base of every error of this package."""


class Unavailable(WarehouseError):
    """Whether it was done is not known; repeating is safe after reading the maximum again."""


class ReadsUnavailable(Unavailable):
    """A question was not answered: down, too slow, or not able to. ``what``: the query."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class LedgerFenced(Unavailable):
    """The block was not written, since this writer's picture of the partition is out of date."""


class InsertTooLarge(Unavailable):
    """The server had no memory for so much at once."""


class InsertRefused(WarehouseError):
    """ClickHouse refuses these records, deterministically. Nothing of them was written."""


class WrongSchema(WarehouseError):
    """The tables do not have the shape that this program writes."""
