"""What the collector sends to Stripe and reads of it is what Stripe publishes.

It needs Go's client and a registry of Go modules, or an earlier run: nothing of Stripe's is in this repository, and CI
does not wait for another registry.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from collector.stripe.requests import StripeRequest
from deploy.kafka.jars import cache_directory
from tests.crash.stripe_spec import Checks, StripeSpec

pytestmark = pytest.mark.crash
MODULE = "github.com/stripe/stripe-mock@v0.203.0"
SHA256 = "0bdd31437eea41227c711bfbd418117cb6fbe105f1d4894034f108433d319824"
SCENARIOS = sorted(Path("tests/unit/collector").glob("test_stripe_*.py"))
SENT = {
    "get /v1/billing/meters",
    "get /v1/billing/meters/{id}/event_summaries",
    "get /v1/credit_notes",
    "get /v1/customers/search",
    "get /v1/customers/{customer}",
    "get /v1/invoice_payments",
    "get /v1/invoiceitems",
    "get /v1/invoices",
    "get /v1/invoices/{invoice}",
    "post /v1/billing/meter_events",
    "post /v1/credit_notes",
    "post /v1/customers",
    "post /v1/customers/{customer}",
    "post /v1/invoiceitems",
    "post /v1/invoices",
    "post /v1/invoices/{invoice}/attach_payment",
    "post /v1/invoices/{invoice}/finalize",
    "post /v1/invoices/{invoice}/mark_uncollectible",
    "post /v1/invoices/{invoice}/pay",
    "post /v1/invoices/{invoice}/void",
    "post /v1/payment_records/report_payment",
}
"""Every request of collector/stripe, but those of API v2."""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module's zip, fetched once."""
    kept = cache_directory(os.environ).parent / f"{MODULE.rpartition('/')[2]}.zip"
    if not kept.exists():
        fetched = _fetched(tmp_path_factory.mktemp("go"))
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        shutil.copyfile(fetched, part)
        part.replace(kept)
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == SHA256, f"{kept} is another one; remove it"
    return kept


def _fetched(directory: Path) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("not run: Stripe's specification is a Go module, and go is not here")
    command = [go, "mod", "download", "-modcacherw", "-json", MODULE]
    environment = {**os.environ, "GOMODCACHE": str(directory), "GOTOOLCHAIN": "local"}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"not run: {MODULE} cannot be fetched: {done.stderr or done.stdout}")
    return Path(json.loads(done.stdout)["Zip"])


def test_what_is_sent_and_read_is_what_stripe_publishes(module: Path, tmp_path: Path) -> None:
    """In every scenario of the unit tests."""
    out = tmp_path / "checks.json"
    plugin = ["-p", "tests.crash.stripe_spec", f"--stripe-mock={module}", f"--stripe-checks={out}"]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *plugin, *map(str, SCENARIOS)], timeout=900)
    assert done.returncode == 0
    found = json.loads(out.read_bytes())
    operations, read = found["operations"], found["read"]
    print(f"\nStripe {found['version']}: {sum(operations.values())} requests, {len(read)} members of answers")
    print(f"not in the specification: {', '.join(found['unknown'])}")
    assert found["problems"] == []
    assert operations.keys() == SENT
    assert found["unknown"] and all(" /v2/" in one for one in found["unknown"])


LINE = {"customer": "cus_1", "period": {"start": "1", "end": "2"}}


@pytest.mark.parametrize(
    ("path", "params", "problem"),
    [
        ("/v1/invoiceitems", {**LINE, "cents": "1"}, "Additional properties are not allowed ('cents' was unexpected)"),
        ("/v1/invoiceitems", {**LINE, "amount": "1.5"}, "'1.5' is not of type 'integer'"),
        ("/v1/invoiceitems", {"period": {"start": "1"}}, "'end' is a required property"),
        ("/v1/invoices", {"auto_advance": "no"}, "'no' is not of type 'boolean'"),
        ("/v1/invoices", {"number": "1" * 27}, f"'{'1' * 27}' is too long"),
        ("/v1/invoices", {"collection_method": "send"}, "'send' is not one of"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_seen(module: Path, path: str, params: dict[str, Any], problem: str) -> None:
    checks = Checks(StripeSpec(module))
    checks.sent("post", path, LINE if path == "/v1/invoiceitems" else {})
    assert not checks.problems
    checks.sent("post", path, params)
    assert [problem in one for one in checks.problems] == [True]


def test_a_wrong_answer_is_seen(module: Path) -> None:
    checks = Checks(StripeSpec(module))
    held = {"id": "in_1", "total": "5", "cents": 5, "metadata": {"a": 1}, "amount_paid": 0}
    answer = checks.answered(StripeRequest("get", "/v1/invoices/in_1", {}), held)
    assert (answer["id"], answer["amount_paid"], answer.get("hosted_invoice_url")) == ("in_1", 0, None)
    assert not checks.problems
    assert (answer["total"], answer.get("cents"), answer["metadata"]["a"]) == ("5", 5, 1)
    assert checks.problems == {
        "Invoice.total of the stand-in is '5'",
        "Invoice.cents is not in the specification",
        "Invoice.metadata may be absent",
        "object.a of the stand-in is 1",
    }
