"""Fields of the server's responses that an import reads. Money is kept as the text of its JSON number."""

import msgspec

from schemas.labels import Labels


class ImportedRow(msgspec.Struct):
    """Result of one event of a batch. ``total_cents``: cents, or null before it is priced."""

    event_id: int
    total_cents: msgspec.Raw = msgspec.Raw(b"null")
    replayed: bool = False
    status: str | None = None


class ChargedRow(msgspec.Struct):
    """Response to a batch, in the order of its events."""

    results: list[ImportedRow]


class EventSubject(msgspec.Struct):
    """``event`` of an event as GET /v1/events shows it."""

    agent_id: str
    action: str
    tokens: int
    tokens_input: int | None = None
    tokens_output: int | None = None
    outcome: str | None = None
    quantities: dict[str, msgspec.Raw] = {}


class ShownRow(Labels, frozen=True):
    """One event as GET /v1/events and POST /v1/events/lookup show it."""

    event_id: int
    status: str
    event: EventSubject | None = None
    idempotency_key: str = ""
    import_id: str | None = None
    created_at: str | None = None
    timestamp: str | None = None
    metadata: msgspec.Raw = msgspec.Raw(b"null")
    void_reason: str | None = None


class FoundKeys(msgspec.Struct):
    """List of events."""

    events: list[ShownRow]


class Import(msgspec.Struct):
    """One import with its sums: ``charged_cents`` for its events and their outcomes, ``voided_cents``
    (negative) for what was voided, ``total_cents`` for both."""

    import_id: str
    customer_id: str
    first_at: str
    last_at: str
    events: int
    voided_events: int
    charged_cents: msgspec.Raw
    voided_cents: msgspec.Raw
    total_cents: msgspec.Raw
    test: bool = False


class Imports(msgspec.Struct):
    """List of imports."""

    imports: list[Import]


class OneVoid(msgspec.Struct):
    """One compensating entry. ``already``: the event was voided before."""

    event_id: int
    voided_event_id: int
    total_cents: msgspec.Raw
    already: bool = False


class Voided(msgspec.Struct):
    """Response to a bulk void. ``missing``: ids that charged nothing."""

    voids: list[OneVoid]
    missing: list[int]


def cents(number: msgspec.Raw) -> str:
    """Return the text of an amount."""
    return bytes(number).decode()
