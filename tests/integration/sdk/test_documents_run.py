"""The commands of docs/quickstart.md and docs/charging.md as they stand there, against a running stack.

The quickstart's line that sets key and address is left out, since both come from the environment.
"""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.sdk.here import ROOT, Here, running

pytestmark = pytest.mark.integration
EXAMPLE = re.compile(r"```sh\n(.*?)```\n(.*?)\*\*([\d.]+) cents?\*\*", re.DOTALL)


def said(here: Here, key: str, script: str) -> list[Any]:
    """The answers to the calls of a script, each of which must succeed."""
    lines = script.replace("curl -s ", "curl -sS --fail-with-body -w '\\n' ")
    with running(["bash", "-euc", lines], REV=here.url, KEY=key, TOKEN=here.token) as program:
        return [json.loads(answer, parse_float=Decimal) for answer in program.rest()]


def test_the_quickstart_runs(here: Here) -> None:
    key = here.key("quickstart")
    page = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    script = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    event, task, verdict, usage, pricing = said(here, key, script.replace("KEY=rg_…; REV=http://127.0.0.1:8080\n", ""))
    assert event["price"]["total_cents"] == Decimal("1.47") and "1.47 cents" in page
    assert (task["status"], verdict["status"], verdict["charge_cents"]) == ("pending", "succeeded", 4900)
    assert usage["customer_id"] == pricing["customer_id"] == "quickstart"


def test_each_example_costs_what_the_page_says(here: Here) -> None:
    key = here.key("charging-guide")
    page = (ROOT / "docs" / "charging.md").read_text(encoding="utf-8")
    examples = EXAMPLE.findall(page)
    assert len(examples) == page.count("```sh") == 4
    for script, _, cents in examples:
        price, event = said(here, key, script)
        assert price["action_type"] == event["event"]["action"]
        assert event["price"]["total_cents"] == Decimal(cents)
        waits = event["event"]["outcome"] == "pending"
        assert (event["outcome_id"] is not None) is waits
        assert waits or sum(event["price"]["breakdown"].values()) == event["price"]["total_cents"]
