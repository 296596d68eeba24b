"""Actions that came in without a price, as the pages show them. Pure."""

from typing import Any, NamedTuple

from web import exact_json

MOST = 20
"""Rows of the list."""
NAMED = 3
"""Actions that the banner names."""


class UnpricedLine(NamedTuple):
    """An action of a customer. ``reason``: what is missing; ``ways``: the dialects that it came in by."""

    customer_id: str
    action: str
    model: str
    provider: str
    reason: str
    ways: str
    events: int
    last_seen: int


class UnpricedView(NamedTuple):
    """``actions`` and ``events``: how many have no price now. ``accepted``: they are recorded at 0 meanwhile."""

    actions: int
    events: int
    lines: list[UnpricedLine]
    accepted: bool

    @property
    def names(self) -> list[str]:
        """The actions that the banner names, the most frequent first."""
        return list(dict.fromkeys(line.action for line in self.lines))[:NAMED]


def view_of(answer: Any, accepted: bool) -> UnpricedView:
    """Return the view of an answer of GET /api/admin/unpriced, without test mode and without what has a price now."""
    lines: dict[tuple[str, ...], UnpricedLine] = {}
    for row in answer["unpriced"]:
        if row["priced_now"] or row.get("test", False):
            continue
        named = (row["customer_id"], row["action"], row.get("model", ""), row.get("provider", ""), row["reason"])
        seen = exact_json.ms_of(row["last_seen_at"])
        before = lines.get(named)
        if before is None:
            lines[named] = UnpricedLine(*named, row["dialect"], row["events"], seen)
            continue
        lines[named] = before._replace(
            ways=", ".join(sorted({*before.ways.split(", "), row["dialect"]})),
            events=before.events + row["events"],
            last_seen=max(before.last_seen, seen),
        )
    ordered = sorted(lines.values(), key=lambda line: (-line.events, line.action, line.customer_id))
    return UnpricedView(answer["actions"], answer["events"], ordered[:MOST], accepted)
