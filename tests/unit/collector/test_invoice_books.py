"""The reckoning of the invoices' torture: what the collector makes agrees, and every kind of wrong document is told."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.invoice_objects import invoice_shown, note_shown
from schemas.limits import DAY
from schemas.money import format_cents
from schemas.objects import iso
from tests.crash.invoice_books import Entry, Reckoning, due, unlike_stripe
from tests.unit.collector.test_closer import TIMES
from tests.unit.collector.test_stripe_pushes import World
from tests.unit.statements.random_ledger import CUSTOMERS

Documents = list[dict[str, Any]]


def shown(document: Any) -> dict[str, Any]:
    """A document as a client of the API reads it."""
    found: dict[str, Any] = json.loads(msgspec.json.encode(document), parse_float=Decimal)
    return found


def of(documents: Documents, customer: str) -> Documents:
    return [one for one in documents if one["customer_id"] == customer]


class Shown:
    """What is shown of a world: entries by customer, invoices and credit notes."""

    def __init__(self, world: World) -> None:
        self.entries = {
            customer: [
                Entry(
                    row.event_id,
                    row.kind,
                    row.original or 0,
                    iso(row.event_time),
                    iso(row.recorded_at),
                    Decimal(format_cents(row.total_cents)),
                    Decimal(format_cents(row.credit_cents or 0)),
                )
                for row in world.reads.rows
                if row.customer_id == customer and row.total_cents and not row.test and not before(row, world)
            ]
            for customer in CUSTOMERS
        }
        self.invoices: Documents = [shown(invoice_shown(one)) for one in world.book.invoices.values()]
        self.notes: Documents = [shown(note_shown(one)) for one in world.book.notes.values()]

    def reckoned(self) -> dict[str, Reckoning]:
        return {
            customer: Reckoning(mine, of(self.invoices, customer), of(self.notes, customer))
            for customer, mine in self.entries.items()
        }

    def errors(self) -> list[str]:
        found = self.reckoned().values()
        return [error for one in found for error in [*one.errors, *(str(left) for left in one.left.values())]]


def before(row: Any, world: World) -> bool:
    """Whether it happened and was accepted before invoicing began, so that it is on no invoice."""
    first = world.book.closed()[0].first
    return bool(row.event_time < first and row.recorded_at <= first)


async def made(seed: int) -> World:
    """Months that are closed, and pushed to Stripe."""
    world = World(seed, count=200)
    await world.start()
    for now in (*TIMES, TIMES[-1] + 60 * DAY, TIMES[-1] + 150 * DAY):
        await world.close_until(now)
    await world.push()
    await world.stop()
    return world


@pytest.mark.parametrize("seed", range(2))
async def test_what_the_collector_makes_agrees(seed: int) -> None:
    """Each entry on one document, what is carried on, and what Stripe holds."""
    world = await made(seed)
    found = Shown(world)
    assert found.errors() == [] and found.notes
    for customer, one in found.reckoned().items():
        papers, credits = of(found.invoices, customer), of(found.notes, customer)
        totals = sum(paper["total_cents"] for paper in papers) - sum(note["total_cents"] for note in credits)
        assert totals + one.carried == due(found.entries[customer])
    assert list(unlike_stripe(found.invoices, found.notes, world.stripe)) == []


def lost_invoice(found: Shown) -> None:
    found.invoices.pop()


def lost_entry(found: Shown) -> None:
    found.entries[CUSTOMERS[0]].pop(0)


def lost_note(found: Shown) -> None:
    found.notes.pop()


def doubled_entry(found: Shown) -> None:
    found.entries[CUSTOMERS[0]].append(found.entries[CUSTOMERS[0]][0])


def another_sum(found: Shown) -> None:
    found.invoices[0]["lines_cents"] += Decimal("1e-12")


def another_rounding(found: Shown) -> None:
    found.invoices[0]["total_cents"] += 1
    found.invoices[0]["carried_out_cents"] -= 1


def another_credit(found: Shown) -> None:
    found.notes[0]["total_cents"] += 1


WRONG: list[Callable[[Shown], None]] = [
    lost_invoice,
    lost_entry,
    lost_note,
    doubled_entry,
    another_sum,
    another_rounding,
    another_credit,
]


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_is_told(wrong: Callable[[Shown], None]) -> None:
    found = Shown(await made(1))
    wrong(found)
    assert found.errors() != []


@pytest.mark.parametrize("kind", ["invoices", "items", "notes"])
async def test_what_stripe_holds_otherwise_is_told(kind: str) -> None:
    """An object less or more, and another amount."""
    world = await made(1)
    found, objects = Shown(world), getattr(world.stripe, kind)
    (first, one), *others = objects.items()
    amount = "amount" if kind == "items" else "total"
    for changed in (
        dict(others),
        {**objects, "again": {**one, "id": "again"}},
        {**objects, first: {**one, amount: one[amount] + 1}},
    ):
        setattr(world.stripe, kind, changed)
        assert list(unlike_stripe(found.invoices, found.notes, world.stripe)) != []
