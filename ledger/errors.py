"""What can go wrong between rev.entries and ClickHouse.

LedgerError
├── Unavailable     not reached, overloaded, answered late: start over from the maximum, later
│   ├── Fenced      another writer was here, or the stage is gone: start over from the maximum
│   └── TooLarge    more than the server has memory for: smaller blocks may pass
├── Refused         ClickHouse will never take this data: find the record, stop the partition
├── Silent          the log has not answered for too long: make a new consumer
├── WrongLog        the ledger was written from another log, or is not within this one: stop
└── WrongSchema     the tables are of a newer version than this program: stop
"""


class LedgerError(Exception):
    """Base of every error of this package."""


class Unavailable(LedgerError):
    """Whether it was done is not known; repeating is safe after reading the maximum again."""


class LedgerFenced(Unavailable):
    """The block was not written, since this writer's picture of the partition is out of date."""


class InsertTooLarge(Unavailable):
    """The server had no memory for so much at once."""


class InsertRefused(LedgerError):
    """ClickHouse refuses these records, deterministically. Nothing of them was written."""


class SourceStalled(LedgerError):
    """No fetch was answered for too long."""


class WrongLog(LedgerError):
    """Writing would corrupt the ledger: a human must decide. Nothing was written."""


class WrongSchema(LedgerError):
    """The tables do not have the shape that this program writes."""
