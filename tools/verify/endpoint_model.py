"""Model of the endpoint commands' decisions: ids, active endpoints, the partitions of a replay. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from tools.verify.row_values import Row

COMMANDS = ("create", "update", "rotate", "delete", "test", "replay")
REPLAY = "webhook.replay"
MAX_ENDPOINTS = 100
"""Maximum endpoints of one customer and mode."""
Endpoint = dict[str, Any]


class EndpointModel:
    """Existing endpoints, by id. ``home`` returns the partition of a customer."""

    def __init__(self, home: Callable[[str], int]) -> None:
        self._home = home
        self._made = 0
        self._known: dict[int, Endpoint] = {}

    def apply(self, command: Mapping[str, Any], partition: int) -> list[Row]:
        """Return the rows of a command decided in ``partition``, without address and time."""
        name = command["command"].removeprefix("webhook.")
        if name == "create":
            return self._create(command)
        found = self._known.get(command["id"])
        if found is None or found["customer_id"] != command["customer_id"]:
            return [_refused(command)]
        rules = {"update": self._update, "delete": self._delete, "replay": self._replay}
        if name in rules:
            return rules[name](command, found, partition)
        return [_effect("webhook.rotated" if name == "rotate" else "webhook.test", command, found)]

    def _create(self, command: Mapping[str, Any]) -> list[Row]:
        whose = command["customer_id"], command.get("test", False)
        theirs = [known for known in self._known.values() if (known["customer_id"], known["test"]) == whose]
        if len(theirs) >= MAX_ENDPOINTS:
            return [_refused(command)]
        self._made += 1
        shown = {name: command[name] for name in ("customer_id", "url", "events")}
        made = {"id": self._made, **shown, "active": True, "disabled": None, "test": whose[1]}
        self._known[self._made] = made
        return [_effect("webhook.created", command, made)]

    def _update(self, command: Mapping[str, Any], found: Endpoint, partition: int) -> list[Row]:
        why = command.get("disabled")
        if why is not None and not found["active"]:
            return []
        wanted = {name: command[name] for name in ("url", "events", "active") if command.get(name) is not None}
        changed = {**found, **wanted}
        changed["disabled"] = None if changed["active"] else why or found["disabled"]
        self._known[found["id"]] = changed
        return [_effect("webhook.updated" if why is None else "webhook.disabled", command, changed)]

    def _delete(self, command: Mapping[str, Any], found: Endpoint, partition: int) -> list[Row]:
        del self._known[found["id"]]
        return [_effect("webhook.deleted", command, found)]

    def _replay(self, command: Mapping[str, Any], found: Endpoint, partition: int) -> list[Row]:
        """Return the rows of a replay. It takes effect where it is decided and where the customer's events
        are, or in one of these partitions."""
        where = {partition, self._home(found["customer_id"])}
        if command.get("partition") is not None:
            where &= {command["partition"]}
        if not where:
            return [_refused(command)]
        return [replayed(command) if partition in where else _effect("webhook.replayed", command, {})]


def replayed(command: Mapping[str, Any]) -> Row:
    """Return the row by which the notifier receives a replay."""
    return _effect(REPLAY, command, {})


def _effect(type: str, command: Mapping[str, Any], endpoint: Endpoint) -> Row:
    known = dict(endpoint or {name: command[name] for name in ("id", "customer_id")})
    if not known.get("test", True):
        del known["test"]  # rows from before modes were separate do not have it
    return {"kind": "config", "config_type": type, "actor": command.get("actor", "customer"), "detail": known}


def _refused(command: Mapping[str, Any]) -> Row:
    return {"kind": "rejected", "actor": command.get("actor", "customer")}
