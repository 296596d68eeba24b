"""Ledgers made from a seed: charges of every component at changing prices, outcomes, voids, late and test events."""

import random

from msgspec.structs import replace

from schemas.ids import event_id
from schemas.limits import DAY
from schemas.money import PICO, format_cents
from schemas.quantities import Line
from warehouse.ledger_row import LedgerRow

START = 1_793_491_200_000
"""2026-11-01T00:00:00Z"""
DAYS = 100
"""From a month before START."""
CUSTOMERS = ("acme", "it's ☃")


def made(seed: int, count: int = 200) -> list[LedgerRow]:
    """Rows in the order of their accepted times, which are a minute or more apart."""
    rng = random.Random(seed)
    rows: list[LedgerRow] = []
    at = START - 30 * DAY
    for offset in range(count):
        at += rng.randrange(60_000, 2 * DAYS * DAY // count)
        charged = [row for row in rows if row.kind in ("event", "charge")]
        voided = {row.original for row in rows if row.kind == "void"}
        open_ones = [row for row in charged if row.event_id not in voided]
        if open_ones and rng.random() < 0.25:
            # mostly of the last few, so that voids come before a close as well as after it
            rows.append(_void(rng.choice(open_ones[-rng.choice([3, 40]) :]), offset, at, rng))
        else:
            rows.append(_charge(rng, offset, at))
    return rows


def _charge(rng: random.Random, offset: int, at: int) -> LedgerRow:
    late = rng.choice([0, 0, 0, -60_000, 3 * DAY, 40 * DAY])
    row = LedgerRow(
        kind="event",
        event_id=event_id(1, offset),
        customer_id=rng.choice(CUSTOMERS),
        agent_id="agent",
        action=rng.choice(["chat", "=SUM(A1)", 'a "b", c']),
        model=rng.choice(["", "m1", "m2"]),
        provider=rng.choice(["", "p1"]),
        import_id=rng.choice(["", "", "old"]),
        test=rng.random() < 0.1,
        price_id=rng.choice([1, 2, 3]),
        event_time=at - late,
        recorded_at=at,
    )
    if rng.random() < 0.15:
        cents = rng.randrange(1, 10**15)
        return replace(row, kind="charge", action="outcome_charge", price_id=0, bonus_cents=cents, total_cents=cents)
    if rng.random() < 0.1:
        cents = rng.choice([-1, 1]) * rng.randrange(1, 10**15)
        settled = (
            Line("images", "0", "250", 1000, format_cents(cents - 5)),
            Line("minimum", "1", format_cents(5), 1, format_cents(5)),
        )
        return replace(
            row, kind="adjustment", agent_id="", quantity_cents=cents, total_cents=cents, lines=settled, import_id=""
        )
    # a price's number decides its rates
    base, token, bonus = (row.price_id * PICO // 3, row.price_id * 3 * 10**8, rng.choice([0, PICO // 4]))
    tokens = rng.choice([0, 7, 2401, 10**6])
    lines = ()
    quantity_cents = 0
    if rng.random() < 0.4:
        seconds, images = rng.randrange(1, 10**8), rng.randrange(0, 9)
        lines = (
            Line(
                "seconds",
                f"{seconds / 4:.2f}",
                format_cents(8 * row.price_id),
                1,
                format_cents(2 * seconds * row.price_id),
            ),
            Line("images", str(images * 1000), "250", 1000, format_cents(images * 250 * PICO)),
            Line("tokens", str(tokens), format_cents(token), 1, format_cents(tokens * token)),
        )
        quantity_cents = 2 * seconds * row.price_id + images * 250 * PICO
    return replace(
        row,
        tokens=tokens,
        lines=lines,
        base_cents=base,
        token_cents=tokens * token,
        bonus_cents=bonus,
        quantity_cents=quantity_cents,
        total_cents=base + tokens * token + bonus + quantity_cents,
        price_base=base,
        price_token=token,
        price_bonus=bonus,
    )


def _void(taken: LedgerRow, offset: int, at: int, rng: random.Random) -> LedgerRow:
    return replace(
        taken,
        kind="void",
        event_id=event_id(1, offset),
        original=taken.event_id,
        reason=rng.choice(["", "by mistake", "=1+1"]),
        config_type="charge" if taken.kind == "charge" else "",
        recorded_at=at,
        base_cents=-taken.base_cents,
        token_cents=-taken.token_cents,
        bonus_cents=-taken.bonus_cents,
        quantity_cents=-taken.quantity_cents,
        total_cents=-taken.total_cents,
        lines=tuple(replace(line, cents="0" if line.cents == "0" else f"-{line.cents}") for line in taken.lines),
    )
