"""The state machine of outcomes as one table, for pending events and registered outcomes, judged by accepted time.

Every pair of a state and a stimulus has its row, so nothing is decided anywhere else. docs/outcomes.md holds the same
table and its picture, and a test checks that they agree. Pure data and its look-up: no log, no state, no messages.
"""

from typing import Literal, NamedTuple

from schemas.entries import Verdict
from schemas.state import OpenOutcome

Status = Literal["none", "pending", "succeeded", "failed", "expired"]
"""``none``: no outcome of this customer has this address."""
Stimulus = Literal["register", "pending event", "resolve success", "resolve failure", "expire", "read"]
When = Literal["always", "before", "late"]
"""Accepted time against expires_at; ``late``: at or after it."""
Charge = Literal["nothing", "price_on_success", "price_on_failure", "on_expiry"]
"""``on_expiry``: the price of the verdict that the outcome's on_expiry names."""
Answer = Literal[
    "created", "shown", "first answer", "none", "not_found", "task_exists", "outcome_closed", "outcome_expired"
]
"""``none``: the sender waits for no reply. The last four are the codes of refusals."""

STATUS: dict[Answer, int] = {
    "created": 201,
    "shown": 200,
    "first answer": 200,
    "not_found": 404,
    "task_exists": 409,
    "outcome_closed": 409,
    "outcome_expired": 409,
}


class TransitionRow(NamedTuple):
    """The effect on an outcome in ``state`` when ``stimulus`` comes in."""

    state: Status
    stimulus: Stimulus
    when: When
    to: Status
    charge: Charge
    answer: Answer


TABLE: tuple[TransitionRow, ...] = (
    TransitionRow("none", "register", "always", "pending", "nothing", "created"),
    TransitionRow("none", "pending event", "always", "pending", "nothing", "created"),
    TransitionRow("none", "resolve success", "always", "none", "nothing", "not_found"),
    TransitionRow("none", "resolve failure", "always", "none", "nothing", "not_found"),
    TransitionRow("none", "expire", "always", "none", "nothing", "none"),
    TransitionRow("none", "read", "always", "none", "nothing", "not_found"),
    TransitionRow("pending", "register", "always", "pending", "nothing", "task_exists"),
    TransitionRow("pending", "resolve success", "before", "succeeded", "price_on_success", "shown"),
    TransitionRow("pending", "resolve failure", "before", "failed", "price_on_failure", "shown"),
    TransitionRow("pending", "resolve success", "late", "expired", "on_expiry", "outcome_expired"),
    TransitionRow("pending", "resolve failure", "late", "expired", "on_expiry", "outcome_expired"),
    TransitionRow("pending", "expire", "before", "pending", "nothing", "none"),
    TransitionRow("pending", "expire", "late", "expired", "on_expiry", "none"),
    TransitionRow("pending", "read", "before", "pending", "nothing", "shown"),
    TransitionRow("pending", "read", "late", "expired", "on_expiry", "shown"),
    TransitionRow("succeeded", "register", "always", "succeeded", "nothing", "task_exists"),
    TransitionRow("succeeded", "resolve success", "always", "succeeded", "nothing", "first answer"),
    TransitionRow("succeeded", "resolve failure", "always", "succeeded", "nothing", "outcome_closed"),
    TransitionRow("succeeded", "expire", "always", "succeeded", "nothing", "none"),
    TransitionRow("succeeded", "read", "always", "succeeded", "nothing", "shown"),
    TransitionRow("failed", "register", "always", "failed", "nothing", "task_exists"),
    TransitionRow("failed", "resolve success", "always", "failed", "nothing", "outcome_closed"),
    TransitionRow("failed", "resolve failure", "always", "failed", "nothing", "first answer"),
    TransitionRow("failed", "expire", "always", "failed", "nothing", "none"),
    TransitionRow("failed", "read", "always", "failed", "nothing", "shown"),
    TransitionRow("expired", "register", "always", "expired", "nothing", "task_exists"),
    TransitionRow("expired", "resolve success", "always", "expired", "nothing", "outcome_expired"),
    TransitionRow("expired", "resolve failure", "always", "expired", "nothing", "outcome_expired"),
    TransitionRow("expired", "expire", "always", "expired", "nothing", "none"),
    TransitionRow("expired", "read", "always", "expired", "nothing", "shown"),
)

ENDED: dict[Status, Verdict] = {"succeeded": "succeeded", "failed": "failed", "expired": "expired"}
"""The final states, each with its verdict."""

_ROWS = {
    (row.state, row.stimulus, late): row
    for row in TABLE
    for late in (False, True)
    if row.when in ("always", "late" if late else "before")
}


def step(state: Status, stimulus: Stimulus, late: bool) -> TransitionRow:
    """Return the row that applies. ``late``: the accepted time is at or after expires_at."""
    return _ROWS[state, stimulus, late]


def amount_due(charge: Charge, outcome: OpenOutcome) -> str:
    """Return what an outcome costs by a row's charge, as decimal text in cents. It is nothing once the event that
    opened it is voided."""
    if charge == "nothing" or outcome.voided:
        return "0"
    by_success = charge == "price_on_success" or (charge == "on_expiry" and outcome.on_expiry == "success")
    return outcome.price_on_success if by_success else outcome.price_on_failure
