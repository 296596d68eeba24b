"""What can go wrong between rev.entries and ClickHouse, beside what is in warehouse.errors."""

from warehouse.errors import WarehouseError


class SourceStalled(WarehouseError):
    """No fetch was answered for too long: make a new consumer."""


class WrongLog(WarehouseError):
    """The ledger was written from another log, or is not within this one: a human must decide. Nothing was written."""
