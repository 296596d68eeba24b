"""Errors between rev.entries and ClickHouse, in addition to those in warehouse.errors."""

from warehouse.errors import WarehouseError


class SourceStalled(WarehouseError):
    """No fetch was answered for too long: create a new consumer."""


class WrongLog(WarehouseError):
    """The ledger was written from another log, or does not lie within this one: a person must decide. Nothing was
    written."""
