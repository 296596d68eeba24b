"""The machine of outcomes: the table in code, the table in docs/outcomes.md and its picture."""

import re
from itertools import product
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from pricer import machine
from pricer.machine import STATUS, TABLE, Answer, Charge, Status, Stimulus, TransitionRow, amount_due, step
from schemas.commands import OnExpiry
from schemas.entries import Verdict
from schemas.state import OpenOutcome

DOCUMENT = (Path(__file__).parents[3] / "docs" / "outcomes.md").read_text()


def drawn() -> list[tuple[str, str, str]]:
    """(state, label, state) of every labelled arrow; an arrow to the end has no label."""
    picture = DOCUMENT.split("```mermaid\nstateDiagram-v2\n")[1].split("```")[0]
    arrows = []
    for line in picture.splitlines():
        match = re.fullmatch(r" {4}(\S+) --> (\S+?)(?:: (.+))?", line)
        assert match, line
        arrows.append((match[1], match[3] or "", match[2]))
    return arrows


def written() -> list[tuple[str, ...]]:
    """The cells of the transition table, one tuple a row."""
    header = "| state | what comes in | when | becomes | charged | answer |\n|---|---|---|---|---|---|\n"
    rows = DOCUMENT.split(header)[1].split("\n\n")[0].splitlines()
    return [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows]


def answered(answer: Answer) -> str:
    """An answer as the document words it."""
    return f"{STATUS[answer]} {answer}" if answer in STATUS else answer


def test_the_written_table_is_the_code() -> None:
    """Row by row, in the same order."""
    assert written() == [(*row[:5], answered(row.answer)) for row in TABLE]


def test_the_picture_is_the_code() -> None:
    """An arrow for each row that changes the state, and one to the end for each state that nothing leaves."""
    changes = [row for row in TABLE if row.to != row.state]
    arrows = [
        (
            "[*]" if row.state == "none" else row.state,
            row.stimulus if row.when == "always" else f"{row.stimulus}, {row.when}",
            row.to,
        )
        for row in changes
    ]
    ends = [(state, "", "[*]") for state in machine.ENDED]
    assert sorted(drawn()) == sorted([*arrows, *ends])


def test_every_case_has_exactly_one_row() -> None:
    """Whatever comes in, in time or late, in whichever state; a pending event always opens a new outcome."""
    cases = list(product(get_args(Status), get_args(Stimulus), (False, True)))
    for state, stimulus, late in cases:
        rows = [
            row
            for row in TABLE
            if (row.state, row.stimulus) == (state, stimulus) and row.when in ("always", "late" if late else "before")
        ]
        assert len(rows) == (0 if stimulus == "pending event" and state != "none" else 1), (state, stimulus, late)
        for row in rows:
            assert step(state, stimulus, late) == row


def test_nothing_leaves_an_ended_outcome() -> None:
    """Succeeded, failed and expired are final, and nothing is charged in them."""
    assert set(machine.ENDED) == set(machine.ENDED.values()) == set(get_args(Verdict))
    for row in TABLE:
        if row.state in machine.ENDED:
            assert (row.to, row.charge) == (row.state, "nothing")


def test_only_an_end_charges() -> None:
    """Money and an end go together: every row that ends an outcome says whose price, no other does."""
    for row in TABLE:
        assert (row.charge != "nothing") == (row.state == "pending" and row.to in machine.ENDED)


@pytest.mark.parametrize(
    ("charge", "on_expiry", "cents"),
    [
        ("nothing", "success", "0"),
        ("price_on_success", "failure", "4900"),
        ("price_on_failure", "success", "0.5"),
        ("on_expiry", "failure", "0.5"),
        ("on_expiry", "success", "4900"),
    ],
)
def test_what_an_end_costs(charge: Charge, on_expiry: OnExpiry, cents: str) -> None:
    """The outcome's own prices; nothing once what opened it was voided."""
    outcome = OpenOutcome(
        1, "acme", "a", "outcome_charge", 10, 5, price_on_success="4900", price_on_failure="0.5", on_expiry=on_expiry
    )
    voided = msgspec.structs.replace(outcome, voided=True)
    assert amount_due(charge, outcome) == cents
    assert amount_due(charge, voided) == "0"


def test_every_refusal_is_a_4xx() -> None:
    """And every answer but none has a status; rows are told apart by their type."""
    assert set(STATUS) == set(get_args(Answer)) - {"none"}
    assert all(isinstance(row, TransitionRow) for row in TABLE)
    refused = {"not_found", "task_exists", "outcome_closed", "outcome_expired"}
    assert {answer for answer, status in STATUS.items() if status >= 400} == refused
