"""Events recorded before their price, and what a notice charges of them; written apart from the pricer. Pure."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from tools.verify.row_values import ZERO, Row, iso

MAX_CHARGED = 500


class UnpricedModel(NamedTuple):
    """An event at 0: its command's customer, API key and mode, the event, and its time in ms."""

    customer: str
    api_key_id: int
    test: bool
    event: Mapping[str, Any]
    event_time: int


class UnpricedModels:
    """The events of one partition that wait for a price, by event id."""

    def __init__(self) -> None:
        self._waiting: dict[int, UnpricedModel] = {}
        self._first: int | None = None

    def began_at(self, offset: int) -> None:
        """Note a record of the log; whatever waits from before the first one is unknown."""
        self._first = offset if self._first is None else self._first

    def is_known(self, id: int) -> bool:
        """True if the log holds everything about an event."""
        return not self._first or id >> 16 >= self._first

    def add(self, row: Row, event: Mapping[str, Any]) -> None:
        """Let the event of a row wait."""
        own = (row["customer_id"], row["api_key_id"], row["test"])
        self._waiting[row["event_id"]] = UnpricedModel(*own, event, row["event_time"])

    def holds(self, id: int) -> bool:
        """True if an event waits."""
        return id in self._waiting

    def remove(self, id: int) -> None:
        """Let an event wait no longer: it is charged or voided."""
        self._waiting.pop(id, None)

    def named(self, command: Mapping[str, Any]) -> Iterator[tuple[int, UnpricedModel]]:
        """Yield the waiting events of a notice that are of its customer, key and mode, each once."""
        owner = command["customer_id"], command["api_key_id"], command.get("test", False)
        for id in dict.fromkeys(command["event_ids"]):
            one = self._waiting.get(id)
            if one is not None and one[:3] == owner:
                yield id, one


def waits(command: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """True if a command records an event for which there is no price."""
    accepts = command.get("unpriced", "refuse") == "accept"
    return accepts and event.get("outcome") != "pending" and event.get("reservation_id") is None


def adjusted(charged: Row, id: int, one: UnpricedModel) -> Row:
    """Return the adjustment of an event by the row that it would have if it were metered now."""
    tokens = Decimal(charged["tokens"])
    lines = charged["lines"]
    if not lines and charged["token_cents"]:
        lines = (("tokens", tokens, charged["price_token"], 1, charged["token_cents"]),)
    detail = {
        "event_id": charged["event_id"],
        "charged_event_id": id,
        **{name: charged[name] for name in ("customer_id", "agent_id", "action", "price_id", "total_cents", "test")},
        "model": charged["model"] or None,
        "provider": charged["provider"] or None,
        "created_at": iso(charged["recorded_at"]),
    }
    return {
        **charged,
        "kind": "adjustment",
        "original": id,
        "reason": f"event {id}",
        "event_time": one.event_time,
        "lines": lines,
        "detail": detail,
        **dict.fromkeys(("outcome", "on_expiry", "idempotency_key", "metadata"), ""),
        **{"tokens": 0, "tokens_input": None, "tokens_output": None, "quantities": ()},
    }


NOTHING: Row = {
    **dict.fromkeys(("base_cents", "token_cents", "bonus_cents", "quantity_cents", "total_cents"), ZERO),
    "price_ignore_unknown": True,
}
"""The columns of an event without a price."""
