"""The story of outcomes that `make demo` tells."""

from typing import Any

import pytest
from rich.console import Console

from deploy.demo_outcomes import is_over, lines_query, lines_table, received_table, story


class Api:
    """Answers as the API does, as far as the story looks at the answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def customer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((path, body))
        opened = sum(asked in ("/v1/outcomes", "/v1/meter") for asked, _ in self.asked)
        closed = path.endswith("/resolve")
        status, charge = ("succeeded", "500") if closed else ("pending", None)
        return {"outcome_id": f"oc_{opened}", "status": status, "charge_cents": charge}

    def admin(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((path, body))
        return {"total_cents": "-4900"}


def test_the_story_resolves_defers_and_voids_what_it_opened() -> None:
    """Both ways in, both ways to resolve, one left to expire, and the void is of the first charge."""
    api = Api()
    told = list(story(api.customer, api.admin, "x", "soon", "later"))
    paths = [path for path, _ in api.asked]
    assert paths == [
        "/v1/outcomes",
        "/v1/outcomes/contract-x/resolve",
        "/v1/meter",
        "/v1/outcomes/oc_2/resolve",
        "/v1/outcomes",
        "/api/admin/outcomes/oc_1/void",
    ]
    assert [body["expires_at"] for _, body in api.asked if "expires_at" in body] == ["later", "later", "soon"]
    assert [one.outcome for one in told] == ["oc_1", "oc_1", "oc_2", "oc_2", "oc_3", "oc_1"]
    assert told[-1].result == "-4900 ¢" and told[1].result == "succeeded, 500 ¢"


def test_it_waits_for_every_closing_and_the_void() -> None:
    """The ledger lines are complete when each outcome has its end and the charge is taken back."""
    line = {
        kind: ["12:00:00", kind, "", "agent-legal", "1", outcome, ""]
        for kind, outcome in [("charge", "oc_1"), ("waived", "oc_2"), ("void", "oc_1")]
    }
    assert is_over(list(line.values()), ["oc_1", "oc_2", "oc_1"])
    for kind in line:
        assert not is_over([each for name, each in line.items() if name != kind], ["oc_1", "oc_2"])


def test_only_outcome_ids_get_into_the_query() -> None:
    """What is asked of the ledger is made of ids alone."""
    assert "IN ('oc_1', 'oc_20')" in lines_query(["oc_1", "oc_20"])
    with pytest.raises(ValueError, match="not outcome ids"):
        lines_query(["oc_1'"])


def test_the_tables_fit_a_terminal() -> None:
    """Nothing is cut or wrapped in 80 columns, with ids of a log that has grown."""
    api = Api()
    table = received_table()
    for one in story(api.customer, api.admin, "x", "soon", "later"):
        table.add_row(one.request, one.words, one.result)
    lines = lines_table(
        [["12:00:00", "registered", "succeeded", "agent-support", "-4900", "oc_1443840000", "wrong one"]]
    )
    console = Console(width=80, record=True)
    console.print(table, lines)
    text = console.export_text()
    assert (
        "the bonus if there is a reply" in text
        and "oc_1443840000 wrong one" in text
        and "…" not in text.split("SELECT …")[1]
    )
