"""The states of invoices, their rounding and payments."""

import re
from pathlib import Path
from typing import Literal, get_args

import pytest
from msgspec.structs import replace

from collector.invoicing import (
    TRANSITIONS,
    Action,
    Credit,
    LineSum,
    Refused,
    close,
    half_up,
    marked,
    paid,
)
from schemas.invoices import Account, Invoice, Issuer, Period, State
from schemas.money import PICO

PERIOD = Period("2026-11", 0, 10, 0, 0, 11, "closing")
HALF = PICO // 2


def invoice(total: int = 100, state: State = "final") -> Invoice:
    closed = close(Issuer("2026-11"), Account("", "0"), PERIOD, "acme", LineSum(1, total * PICO), [], 5)
    return replace(closed.invoices[0], state=state)


@pytest.mark.parametrize(
    ("pico", "cents"),
    [(0, 0), (HALF - 1, 0), (HALF, 1), (PICO, 1), (-HALF, 0), (-HALF - 1, -1), (10**30 + HALF, 10**18 + 1)],
)
def test_half_up(pico: int, cents: int) -> None:
    assert half_up(pico) == cents


def test_the_fraction_is_carried_to_the_next_invoice() -> None:
    issuer, account, totals = Issuer("2026-11"), Account("", "0"), []
    for _ in range(4):
        closed = close(issuer, account, PERIOD, "acme", LineSum(1, PICO * 4 // 10), [], 5)
        issuer, account = closed.issuer, closed.account
        totals.append((closed.invoices[0].total, closed.invoices[0].carried_in, account.carried))
    assert totals == [(0, "0", "0.4"), (1, "0.4", "-0.2"), (0, "-0.2", "0.2"), (1, "0.2", "-0.4")]
    assert issuer.next_invoice == 5


def test_an_invoice_is_never_negative() -> None:
    """Voids of what was never invoiced are carried on until there is something to set them off against."""
    closed = close(Issuer("2026-11"), Account("", "0"), PERIOD, "acme", LineSum(1, -7 * PICO), [], 5)
    assert (closed.invoices[0].total, closed.invoices[0].state, closed.account.carried) == (0, "paid", "-7")
    closed = close(closed.issuer, closed.account, PERIOD, "acme", LineSum(1, 10 * PICO), [], 5)
    assert (closed.invoices[0].total, closed.account.carried) == (3, "0")


def test_a_credit_note_names_its_invoice_and_never_exceeds_it() -> None:
    first = close(Issuer("2026-11"), Account("", "0"), PERIOD, "acme", LineSum(2, PICO * 14 // 10), [], 5)
    credits = [Credit(first.invoices[0], 1, PICO * 7 // 10)]
    second = close(first.issuer, first.account, PERIOD, "acme", None, credits, 6)
    ((note,), (credited,)) = second.notes, second.invoices
    assert (note.number, note.invoice, note.voided, note.total) == ("CN-000001", "INV-000001", "0.7", 1)
    assert (credited.state, credited.credited, credited.balance, second.account.carried) == ("paid", 1, 0, "0.7")
    third = close(second.issuer, second.account, PERIOD, "acme", None, [Credit(credited, 1, PICO * 7 // 10)], 7)
    assert (third.notes[0].total, third.invoices[0].credited, third.account.carried) == (0, 1, "0")


def test_payments_until_nothing_is_due() -> None:
    """A repeat with the same reference is the same payment; one that is too much is refused."""
    part = paid(invoice(), "wire 1", 40, 7)
    assert (part.state, part.balance) == ("final", 60)
    assert paid(part, "wire 1", 40, 9) == part
    with pytest.raises(Refused, match=r"^reference 'wire 1' is that of a payment of 40 cents"):
        paid(part, "wire 1", 41, 9)
    with pytest.raises(Refused, match=r"^amount_cents must be at most 60"):
        paid(part, "wire 2", 61, 9)
    whole = paid(part, "wire 2", 60, 9)
    assert (whole.state, whole.balance, paid(whole, "wire 2", 60, 9)) == ("paid", 0, whole)
    with pytest.raises(Refused, match="is paid; only a final or uncollectible one can be paid"):
        paid(whole, "wire 3", 1, 9)
    with pytest.raises(Refused, match="has payments; void its events instead"):
        marked(part, "void", 9)


@pytest.mark.parametrize("state", get_args(State))
@pytest.mark.parametrize("action", ["void", "give_up"])
def test_what_an_invoice_can_become(state: State, action: Literal["void", "give_up"]) -> None:
    before = invoice(state=state)
    after = {"void": "void", "give_up": "uncollectible"}[action]
    if (state, action) in TRANSITIONS:
        assert marked(before, action, 9).state == TRANSITIONS[state, action] == after
    elif state == after:
        assert marked(before, action, 9) == before
    else:
        with pytest.raises(Refused, match=f"is {state}; only a final one can become {after}"):
            marked(before, action, 9)


def test_the_page_has_the_same_table() -> None:
    """docs/invoices.md: the state after each action, in each state."""
    text = (Path(__file__).parents[3] / "docs" / "invoices.md").read_text()
    rows = re.findall(r"^\| (draft|final|paid|void|uncollectible) \|(.*)\|$", text, re.MULTILINE)
    told = {
        (state, action): cell.strip()
        for state, cells in rows
        for action, cell in zip(get_args(Action), cells.split("|"), strict=True)
        if cell.strip() != "–"
    }
    assert told == TRANSITIONS and [state for state, _ in rows] == list(get_args(State))
