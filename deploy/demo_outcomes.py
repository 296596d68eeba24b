"""Second part of the demo: prices that depend on the result, and their ledger lines.

The calls are passed in as functions, so that this module needs no HTTP.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rich.table import Table

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Takes the path and body of a POST, returns the answer's body. Retries until there is one. Raises Refused."""


class DemoRefused(RuntimeError):
    """Error for an answer that the story does not expect."""


class ReceivedEvent(NamedTuple):
    """One step: what was done, by which request, and the result. ``outcome`` is its id."""

    words: str
    request: str
    result: str
    outcome: str


def story(customer: Ask, admin: Ask, visit: str, soon: str, later: str) -> Iterator[ReceivedEvent]:
    """Register, resolve, defer a bonus, let one expire, take a charge back; yield each step as it happens.

    ``visit`` makes the task ids new. ``soon`` and ``later`` are when outcomes expire, RFC 3339.
    """
    contract = {"task_id": f"contract-{visit}", "agent_id": "agent-legal", "price_on_success": 4900}
    criteria = {"clauses": 14, "signed": True}
    made = customer("/v1/outcomes", {**contract, "success_criteria": criteria, "expires_at": later})
    yield _received("register", "a contract review, $49 if it succeeds", made)

    made = customer(f"/v1/outcomes/contract-{visit}/resolve", {"success": True, "evidence": {"clauses": 14}})
    reviewed = made["outcome_id"]
    yield _received("resolve", "proven: the charge fires, once", made)

    email = {"agent_id": "agent-sdr", "action": "email.sent", "outcome": "pending", "expires_at": later}
    made = customer("/v1/meter", email)
    yield ReceivedEvent("an e-mail: 1 ¢ now, the bonus if there is a reply", "meter", "pending", made["outcome_id"])

    made = customer(f"/v1/outcomes/{made['outcome_id']}/resolve", {"outcome": "success", "metadata": {"reply": True}})
    yield _received("resolve", "a reply: the bonus fires", made)

    ticket = {"task_id": f"ticket-{visit}", "agent_id": "agent-support", "price_on_success": 300}
    made = customer("/v1/outcomes", {**ticket, "expires_at": soon})
    yield _received("register", "a ticket that nobody resolves in time", made)

    made = admin(f"/api/admin/outcomes/{reviewed}/void", {"reason": "wrong contract"})
    yield ReceivedEvent("the contract's charge is taken back", "void", f"{made['total_cents']} ¢", reviewed)


def _received(request: str, words: str, answer: dict[str, Any]) -> ReceivedEvent:
    charge = answer["charge_cents"]
    result = answer["status"] + ("" if charge is None else f", {charge} ¢")
    return ReceivedEvent(words, request, result, answer["outcome_id"])


def received_table() -> Table:
    made = Table(title="What was promised, proven, and taken back", box=None, padding=(0, 1, 0, 0))
    made.add_column("request", no_wrap=True)
    made.add_column("what")
    made.add_column("answer", no_wrap=True, style="bold")
    return made


LINES = """
SELECT formatDateTime(recorded_at, '%H:%i:%S', 'UTC'), kind, if(verdict = '', outcome, verdict), agent_id,
    toString(total_cents), outcome_id, reason
FROM rev.entries
WHERE outcome_id IN ({ids})
ORDER BY recorded_at, event_id, raw_index
"""
"""Query for the ledger lines of some outcomes, as any analyst may run it."""


def lines_query(outcomes: list[str]) -> str:
    """Return SQL for the lines of these outcomes, tab-separated. Raises ValueError for an invalid outcome id."""
    if not all(one.startswith("oc_") and one[3:].isdigit() for one in outcomes):
        raise ValueError(f"not outcome ids: {outcomes}")
    return LINES.format(ids=", ".join(f"'{one}'" for one in outcomes))


def is_over(lines: list[list[str]], outcomes: list[str]) -> bool:
    """True if each outcome has its closing line and the void is there too."""
    closed = {line[5] for line in lines if line[1] in ("charge", "waived")}
    return closed == set(outcomes) and any(line[1] == "void" for line in lines)


def lines_table(lines: list[list[str]]) -> Table:
    made = Table(title="The same in the ledger: SELECT … FROM rev.entries", box=None, padding=(0, 1, 0, 0))
    for name in ("UTC", "kind", "verdict", "agent"):
        made.add_column(name, no_wrap=True)
    made.add_column("cents", justify="right", no_wrap=True, style="bold")
    made.add_column("outcome", no_wrap=True, style="dim")
    made.add_column("reason", no_wrap=True)
    for line in lines:
        made.add_row(*line)
    return made
