"""The ledger that the real pricer leaves, as rows; and what the gateway makes of a row to void it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from pricer import memory
from schemas import entries
from schemas.commands import MeterEvent, PriceRef, Rates, Void
from schemas.funding import Draw
from schemas.quantities import Line, QuantityRate
from schemas.unpriced import NO_PRICE
from tools.verify.check import Check, Totals
from tools.verify.compare import Difference
from tools.verify.memory import MemoryLedger, MemoryRawLog
from tools.verify.row_values import Row
from tools.verify.sources import RawRecord, Selection

EVERYTHING = Selection()


def rows_of(log: memory.MemoryShard) -> Iterator[Row]:
    """What the ledger makes of rev.entries (warehouse/sql/insert.sql)."""
    for partition, records in enumerate(log.entries):
        for record in records:
            yield from rows_of_record(partition, record.offset, entries.decode(record.value))


def rows_of_record(partition: int, entries_offset: int, written: entries.EntryRecord) -> Iterator[Row]:
    for entry in written.entries:
        event: dict[str, Any] = {} if entry.event is None else msgspec.structs.asdict(entry.event)
        row = {name: value for name, value in event.items() if value is not None}
        row |= {
            "kind": entry.kind,
            "event_id": written.raw_offset << 16 | partition << 10 | entry.index,
            "customer_id": written.customer_id,
            "api_key_id": written.api_key_id,
            "test": written.test,
            "import_id": written.import_id or "",
            "metadata": bytes(event.get("metadata", b"")).decode(),
            "base_cents": Decimal(entry.base),
            "token_cents": Decimal(entry.token),
            "bonus_cents": Decimal(entry.bonus),
            "quantity_cents": Decimal(entry.quantity),
            "total_cents": Decimal(entry.total),
            "lines": tuple(
                (line.component, Decimal(line.quantity), Decimal(line.rate), line.per, Decimal(line.cents))
                for line in entry.lines
            ),
            "quantities": tuple(sorted((name, Decimal(text)) for name, text in event.get("quantities", {}).items())),
            "credit_cents": None if entry.credit is None else Decimal(entry.credit),
            "draws": tuple((draw.grant, Decimal(draw.cents)) for draw in entry.draws),
            "budgets_exceeded": tuple((id,) for id in entry.exceeded),
            "outcome_id": entry.outcome_id or "",
            "price_on_success": Decimal(entry.price_on_success or "0"),
            "price_on_failure": Decimal(entry.price_on_failure or "0"),
            "verdict": entry.verdict or "",
            "original": entry.original,
            "body_hash": entry.body_hash or "",
            "reason": entry.reason or "",
            "config_type": entry.type or "",
            "actor": entry.actor or "",
            "detail": bytes(entry.detail).decode(),
            "expires_at": entry.expires_at if entry.expires_at is not None else event.get("expires_at"),
            "event_time": event["event_time"] if event.get("event_time") is not None else written.recorded_at,
            "recorded_at": written.recorded_at,
            "raw_partition": partition,
            "raw_offset": written.raw_offset,
            "raw_index": entry.index,
            "entries_offset": entries_offset,
        }
        if entry.price >= 0:
            row |= _price(written.prices[entry.price])
        yield row


def _price(price: entries.PriceRef) -> Row:
    return {
        "price_id": price.id,
        "price_action": price.action_type,
        "price_model": price.model or "",
        "price_provider": price.provider or "",
        "price_rates": tuple((one.name, Decimal(one.rate), one.per) for one in price.rates.quantities),
        "price_ignore_unknown": price.rates.ignore_unknown,
        "price_base": Decimal(price.rates.base),
        "price_token": Decimal(price.rates.token),
        "price_bonus": Decimal(price.rates.bonus),
        "price_is_default": price.is_default,
        "price_offset": price.offset,
    }


async def check(
    log: memory.MemoryShard,
    rows: list[Row],
    firsts: dict[int, int] | None = None,
    selection: Selection = EVERYTHING,
) -> tuple[list[Difference], Totals]:
    """What verify finds; ``firsts``: where retention has got to in each partition."""
    raw = {p: [RawRecord(r.offset, r.at, r.key, r.value) for r in shard] for p, shard in enumerate(log.raw)}
    found: list[Difference] = []
    totals = await Check(
        MemoryRawLog(raw, firsts), MemoryLedger(rows), selection, found.append, patience=0, chunk=7
    ).run()
    return found, totals


def void_of(row: Row, wrong: str | None = None) -> Void:
    """The void of a row as the gateway writes it, or with something wrong that the shard can know."""
    event = MeterEvent(
        row.get("agent_id", "?"),
        row.get("action", "?"),
        row.get("tokens", 0),
        row.get("tokens_input"),
        row.get("tokens_output"),
        event_time=row["event_time"],
        idempotency_key=row.get("idempotency_key"),
        model=row.get("model"),
        provider=row.get("provider"),
        task_id=row.get("task_id"),
        quantities={name: _text(quantity) for name, quantity in row.get("quantities", ())},
    )
    price = None
    if row.get("price_id"):
        rates = Rates(
            _text(row["price_base"]),
            _text(row["price_token"]),
            _text(row["price_bonus"]),
            tuple(QuantityRate(name, _text(rate), per) for name, rate, per in row["price_rates"]),
            row["price_ignore_unknown"],
        )
        price = PriceRef(
            id=row["price_id"],
            action_type=row["price_action"],
            rates=rates,
            offset=row["price_offset"],
            is_default=row["price_is_default"],
            model=row["price_model"] or None,
            provider=row["price_provider"] or None,
        )
    elif row["kind"] == "event":
        price = NO_PRICE
    closing = row["kind"] in ("charge", "waived")
    return Void(
        customer_id="hooli" if wrong == "customer" and closing else row["customer_id"],
        event_id=row["event_id"] + (1 << 40 if wrong == "id" else 0),
        event=event,
        base=_text(row["base_cents"]),
        token=_text(row["token_cents"]),
        bonus=_text(row["bonus_cents"]),
        quantity=_text(row["quantity_cents"]),
        total=_text(row["total_cents"] + (1 if wrong == "total" else 0)),
        lines=tuple(
            Line(component, _text(quantity), _text(rate), per, _text(cents))
            for component, quantity, rate, per, cents in row["lines"]
        ),
        credit=None if row["credit_cents"] is None else _text(row["credit_cents"]),
        draws=tuple(Draw(grant, _text(cents)) for grant, cents in row["draws"]),
        reason="mistake",
        price=price,
        outcome_id=row.get("outcome_id") or None,
        charge=closing != (wrong == "charge"),
        test=row["test"],
        import_id=row["import_id"] or None,
        recorded_at=row["recorded_at"],
        key_id=row["api_key_id"],
    )


def _text(amount: Decimal) -> str:
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
