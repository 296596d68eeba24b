"""The judge of the outcomes' torture: what agrees passes, and every kind of wrong ledger is told."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.crash.promises import Book, Closing, LedgerRow, Promise, judge

OPENED, CLOSED, VOID = 1 << 16, 5 << 16, 6 << 16


def promised(**more: Any) -> Book:
    """One outcome, expected to expire at 2000 as a success of 5 cents."""
    terms = {"success": Decimal(5), "failure": Decimal(1), "on_expiry": "success", "expires_at": 2000}
    return Book([Promise("promise-0", "t", True, "leave", {}, **{**terms, "outcome_id": f"oc_{OPENED}", **more})])


def opening(**more: Any) -> LedgerRow:
    row = LedgerRow("promise-0", f"oc_{OPENED}", "registered", "", Decimal(0), OPENED, 0, 1000, 2000, "t")
    return row._replace(**more)


def closing(**more: Any) -> LedgerRow:
    return opening(
        kind="charge", verdict="expired", cents=Decimal(5), event_id=CLOSED, original=OPENED, at=2001
    )._replace(**more)


def void(**more: Any) -> LedgerRow:
    return opening(kind="void", cents=Decimal(-5), event_id=VOID, original=CLOSED, at=2500)._replace(**more)


def test_what_was_promised_and_answered_agrees() -> None:
    """Expired, voided, never answered and not recorded at all: nothing is told."""
    book = promised(closed=Closing("expired", Decimal(5), 2001), voids={CLOSED: VOID})
    judged = judge(book, [opening(), closing(), void()], [])
    assert (judged.errors, judged.late, judged.verdicts) == ([], [1], {"expired": 1})
    assert judge(promised(outcome_id=None, too_late=True), [opening(), closing()], []).errors == []
    assert judge(promised(outcome_id=None, too_late=True), [], []).errors == []


def test_an_event_voided_before_its_end_costs_nothing() -> None:
    """After its end the charge stays."""
    taken = void(event_id=CLOSED - 1, original=OPENED, cents=Decimal(0))
    free = closing(kind="waived", cents=Decimal(0))
    assert judge(promised(), [opening(), taken, free], []).errors == []
    assert judge(promised(), [opening(), taken, closing()], []).errors != []
    assert judge(promised(), [opening(), closing(), void(original=OPENED, cents=Decimal(0))], []).errors == []


WRONG: dict[str, Callable[[], list[LedgerRow]]] = {
    "lost": list,
    "never closed": lambda: [opening()],
    "closed twice": lambda: [opening(), closing(), closing(event_id=CLOSED + 1)],
    "opened twice": lambda: [opening(), opening(event_id=OPENED + 1), closing()],
    "early": lambda: [opening(), closing(at=1999)],
    "a verdict after its time": lambda: [opening(), closing(verdict="succeeded", at=2000)],
    "late": lambda: [opening(), closing(at=3001)],
    "another price": lambda: [opening(), closing(cents=Decimal("5.000000000001"))],
    "waived with money": lambda: [opening(), closing(kind="waived")],
    "other terms": lambda: [opening(expires_at=2001), closing()],
    "voided twice": lambda: [opening(), closing(), void(), void(event_id=VOID + 1)],
    "voided by another amount": lambda: [opening(), closing(), void(cents=Decimal(-4))],
    "a void of something else": lambda: [opening(), closing(), void(original=7)],
    "never promised": lambda: [opening(), closing(), opening(outcome_id="oc_9"), closing(outcome_id="oc_9")],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_ledger_is_told(name: str) -> None:
    """Each way in which the ledger can be wrong on its own."""
    assert judge(promised(), WRONG[name](), []).errors != []


@pytest.mark.parametrize(
    "more",
    [
        {"closed": Closing("expired", Decimal(5), 2002)},
        {"closed": Closing("succeeded", Decimal(5), 2001)},
        {"closed": Closing("expired", Decimal(4), 2001)},
        {"voids": {CLOSED: VOID}},
    ],
)
def test_an_answer_that_the_ledger_does_not_have_is_told(more: dict[str, Any]) -> None:
    """What a client was told must be there."""
    assert judge(promised(**more), [opening(), closing()], []).errors != []


def test_lateness_is_excused_by_outages_alone() -> None:
    """Only what of an outage lies between its time and its end counts."""
    rows = [opening(), closing(at=4500)]
    assert judge(promised(), rows, [(1.5, 3.5)]).late == [1000]
    assert judge(promised(), rows, [(1.5, 3.5)]).errors == []
    assert judge(promised(), rows, [(1.5, 3.4)]).errors != []
    assert judge(promised(), rows, [(5.0, 9.0)]).late == [2500]


def test_answers_that_contradict_each_other_are_told() -> None:
    """Another id, another end, another void of the same."""
    book = promised()
    (promise,) = book.promises
    book.opened(promise, "oc_7")
    for at in (1, 1, 2):
        book.closed(promise, Closing("failed", Decimal(1), at))
    for id in (VOID, VOID, VOID + 1):
        book.voided(promise, CLOSED, id)
    assert len(book.errors) == 3
