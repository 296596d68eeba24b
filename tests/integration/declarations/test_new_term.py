"""More terms of a registered outcome, end to end: the copy of the tree gains the text `reference`, the price
`list_price` and the JSON `parties`, each by a line in schemas/outcome_terms.py and its migration
(docs/decisions/0035-outcome-terms.md).
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from bench.running_stack import RunningStack
from tests.integration.declarations.conftest import ADDITIONS
from tests.integration.declarations.product_copy import ProductCopy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

TASK = {
    "task_id": "contract", "agent_id": "legal", "price_on_success": "4900.5", "expires_at": "2090-01-01T00:00:00Z",
    "success_criteria": {"signed": True}, "reference": "PO 4711", "list_price": "5000.25", "parties": {"n": 2},
    "idempotency_key": "k",
}  # fmt: skip
OLDER = """
import msgspec
from pricer.idempotency import register_hash
from schemas import commands, objects
command = commands.decode(b'''{"command": "register", "customer_id": "acme", "api_key_id": 3, "task_id": "task",
    "agent_id": "agent", "price_on_success": "4900", "expires_at": 5000, "idempotency_window": 1000,
    "price_on_failure": "7", "on_expiry": "success", "success_criteria": {"a":1}}''')
shown = objects.decode_outcome(b'''{"task_id": "t", "outcome_id": "oc_1", "event_id": 1, "customer_id": "acme",
    "agent_id": "a", "action": "outcome_charge", "success_criteria": null, "price_on_success_cents": 5,
    "price_on_failure_cents": 0, "on_expiry": "failure", "expires_at": "", "status": "pending", "created_at": ""}''')
print(register_hash(command), shown.reference, bytes(shown.list_price_cents), bytes(shown.parties))
"""
"""A command and an object as the release before wrote them."""


@pytest.mark.parametrize("kind", ["text", "price", "json"])
def test_files_touched_by_hand(by_hand: dict[str, set[str]], kind: str) -> None:
    """With a test of it and the changelog: four, or three of JSON."""
    assert by_hand[kind] == ADDITIONS[kind].by_hand


def test_what_an_older_release_wrote_is_read(copy: ProductCopy, by_hand: dict[str, set[str]]) -> None:
    """The terms are absent there, and the hash is the one in the log (tests/unit/pricer/test_body_hash.py)."""
    assert copy.run("-c", OLDER).split() == ["6b2beb9faa80b80c578378661b1964b7", "None", "b'0'", "b'null'"]


async def test_terms_end_to_end(copy: ProductCopy, product: RunningStack, eventually: Callable[..., Any]) -> None:
    """Registered, repeated, read, listed, resolved, queried, verified; another value under the key is a 409."""
    key = product.make_key("lawyers")

    def register(**fields: Any) -> tuple[int, Any]:
        return product.call("POST", "/v1/outcomes", TASK | fields, key)

    def terms(shown: Any) -> tuple[Any, ...]:
        return shown["reference"], shown["list_price_cents"], shown["parties"]

    def listed() -> Any:
        _, page = product.call("GET", "/v1/outcomes", None, key)
        return {one["task_id"]: terms(one) for one in page["outcomes"]}

    status, opened = register()
    stated = ("PO 4711", 5000.25, {"n": 2})
    assert (status, terms(opened)) == (201, stated)
    assert register() == (201, opened)
    for name, others in {"reference": ["PO 4712", None], "list_price": [1, None], "parties": [{"n": 3}, None]}.items():
        assert [register(**{name: other})[0] for other in others] == [409, 409]
    bad: dict[str, list[Any]] = {"reference": ["x" * 300, "", "a\nb", 5], "list_price": [-1, "x"], "parties": [[], "x"]}
    for name, wrong in ((name, wrong) for name, values in bad.items() for wrong in values):
        status, refused = register(**{name: wrong, "idempotency_key": None})
        assert status == 400 and name in refused["error"]
    status, refused = register(po_number="7")
    assert status == 400 and "did you mean 'reference'?" in refused["error"]

    absent = {"reference": None, "list_price": None, "parties": None}
    status, without = register(task_id="without", idempotency_key=None, **absent)
    assert (status, terms(without)) == (201, (None, 0, None))
    assert product.call("GET", "/v1/outcomes/contract", None, key) == (200, opened)
    await eventually(lambda: listed() == {"contract": stated, "without": (None, 0, None)})
    status, closed = product.call("POST", "/v1/outcomes/contract/resolve", {"success": True}, key)
    assert (status, terms(closed), closed["charge_cents"]) == (200, stated, 4900.5)

    query = (
        "SELECT kind, reference, list_price, JSONExtractRaw(detail, 'parties') FROM rev.entries"
        " WHERE customer_id = 'lawyers' AND kind != 'rejected' ORDER BY ALL"
    )
    rows = 'charge\tPO 4711\t5000.25\t{"n":2}\nregistered\t\t0\tnull\nregistered\tPO 4711\t5000.25\t{"n":2}'
    await eventually(lambda: product.sql(query) == rows)
    assert "Log and ledger agree" in copy.run("-m", "tools.cli", "verify", "--data", str(product.data))


def test_the_client_library_sends_and_shows_them(copy: ProductCopy, product: RunningStack) -> None:
    task = {name: value for name, value in TASK.items() if name != "idempotency_key"}
    program = (
        "import json, sys, revgrid; rev = revgrid.Rev(sys.argv[1], sys.argv[2]);"
        "shown = rev.register_outcome(**json.loads(sys.argv[3]));"
        "print(shown.reference, shown.list_price_cents, shown.parties, sep='; ')"
    )
    printed = copy.run("-c", program, product.make_key("sdk"), product.http, json.dumps(task))
    assert printed == "PO 4711; 5000.25; {'n': 2}\n"


def test_the_documents_name_them(copy: ProductCopy, by_hand: dict[str, set[str]]) -> None:
    """Each as its line says it; in the types of the JavaScript library as it is sent and as it is shown."""
    of_outcome = "term of a registered outcome"
    for path, lines in {
        "docs/api.md": [
            "| `reference` | the number of the contract: a name |",
            "| `parties` | who signs: a JSON object, kept and shown, never evaluated |",
            '"reference": null, "list_price_cents": 0, "parties": null, "on_expiry"',
            "`success_criteria` and `parties` are JSON objects",
        ],
        "docs/ledger.md": [
            f"| reference | String | {of_outcome}: the number of the contract; or empty |",
            f"| list_price | Decimal(38, 12) | {of_outcome}: the price before your discount, in cents |",
        ],
        "sdk/js/index.d.ts": [
            "  reference?: string;\n",
            "  reference?: string | null;\n",
            "  list_price_cents?: number;\n",
        ],
        "warehouse/sql/schema.sql": ["    `reference` String", "    `list_price` Decimal(38, 12)"],
    }.items():
        text = (copy.tree / path).read_text()
        assert [line for line in lines if text.count(line) != 1] == [], path
