"""One label more, end to end: the copy of the tree gains `region` by a line in schemas/labels.py and a migration.

What else knows it follows: body, command, log, ledger, reads, import, verify, client libraries and docs
(docs/decisions/0033-labels.md).
"""

import re
from collections.abc import Callable
from typing import Any

import pytest

from bench.running_stack import RunningStack
from tests.integration.declarations.conftest import LABEL
from tests.integration.declarations.product_copy import ProductCopy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def test_files_touched_by_hand(by_hand: dict[str, set[str]]) -> None:
    """With a test of it and the changelog: four."""
    assert by_hand["label"] == LABEL.by_hand


async def test_a_label_end_to_end(copy: ProductCopy, product: RunningStack, eventually: Callable[..., Any]) -> None:
    """Metered, imported, taken back, shown, verified; kept by an outcome; too long is a 400 that names it."""
    key = product.make_key("acme")
    event = {"agent_id": "a", "action": "completion", "tokens": 5, "region": "eu", "outcome": "pending"}

    def meter(**fields: Any) -> tuple[int, Any]:
        return product.call("POST", "/v1/meter", event | fields, key)

    _, first = meter(idempotency_key="k")
    _, again = meter(idempotency_key="k")
    assert again["event_id"] == first["event_id"]
    assert meter(idempotency_key="k", region="us")[0] == 409
    status, refused = meter(region="x" * 300)
    assert status == 400 and "region" in refused["error"]

    def shown(event_id: int) -> Any:
        return product.call("GET", f"/v1/events/{event_id}", None, key)[1]

    await eventually(lambda: shown(first["event_id"])["status"] == "priced")
    assert shown(first["event_id"])["region"] == "eu" and shown(first["event_id"])["model"] is None
    _, ended = product.call("POST", f"/v1/outcomes/{first['outcome_id']}/resolve", {"success": True}, key)
    assert ended["status"] == "succeeded"
    (copy.tree / "usage.csv").write_text("zone,tokens,agent_id,action\nmars,7,a,completion\n")
    copy.run("-m", "tools.cli", "import", "usage.csv", "--url", product.http, "--key", key, "--yes")
    _, events = product.call("GET", "/v1/events", None, key)
    (listed,) = [one for one in events["events"] if one["region"] == "mars"]
    status, _ = product.call("POST", f"/api/admin/events/{listed['event_id']}/void", {"reason": "test"})
    assert status == 201
    sdk = "import sys, revgrid; print(revgrid.Rev(sys.argv[1], sys.argv[2]).event(int(sys.argv[3])).region)"
    assert copy.run("-c", sdk, key, product.http, str(listed["event_id"])).strip() == "mars"
    assert "Log and ledger agree" in copy.run("-m", "tools.cli", "verify", "--data", str(product.data))
    for path in ("docs/api.md", "docs/import.md", "docs/ledger.md", "sdk/js/index.d.ts", "warehouse/sql/schema.sql"):
        assert re.search(r"\bregion\b", (copy.tree / path).read_text()), path
