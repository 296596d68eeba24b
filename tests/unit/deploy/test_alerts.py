"""The alerting rules, the documents and the code: they name the same metrics."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

import collector.metrics
import expirer.metrics
import ingest.metrics
import ledger.metrics
import notifier.metrics
import streams.metrics
import web.metrics

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "alerts.yaml"
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
ROOMS = (
    streams.metrics,
    ingest.metrics,
    ledger.metrics,
    expirer.metrics,
    notifier.metrics,
    collector.metrics,
    web.metrics,
)
PARTS = ("", "_bucket", "_sum", "_count")
INFORMATIVE = {
    # how much is done, and how quickly: what is too slow or too little shows in a lag
    "rev_appends_total",
    "rev_ingest_events_total",
    "rev_ingest_request_seconds",
    "rev_web_request_seconds",
    # a key is 160 random bits, so nobody guesses one
    "rev_web_portal_logins_total",
    # who looks, and who was too slow to; a browser connects again by itself
    "rev_web_live_listeners",
    "rev_web_live_dropped_total",
    "rev_shard_records_total",
    "rev_transaction_seconds",
    "rev_ledger_rows_total",
    "rev_ledger_blocks_total",
    "rev_ledger_deliveries_total",
    "rev_ledger_delay_seconds",
    "rev_expirer_open",
    "rev_expirer_due",
    "rev_expirer_handing_over",
    "rev_expirer_reminders_total",
    "rev_expirer_closed_total",
    "rev_expirer_heartbeat_seconds",
    "rev_collector_records_total",
    "rev_notifier_attempts_total",
    "rev_notifier_attempt_seconds",
    "rev_notifier_delay_seconds",
    "rev_notifier_flushes_total",
    "rev_notifier_flush_seconds",
    # where a reader stands
    "rev_view_position",
    "rev_shard_position",
    "rev_ledger_last_insert_timestamp_seconds",
    # what a start costs
    "rev_shard_restore_seconds",
    "rev_shard_checkpoint_discarded_total",
    # what a sender does wrong, or is told in time: 202 is an answer
    "rev_ingest_malformed_total",
    "rev_ingest_unanswered_total",
    # pushes that wait for Stripe: failures have a rule; reports that are refused are in Stripe's own list
    "rev_collector_unsent_invoices",
    "rev_collector_stripe_reports_total",
    # usage in Stripe: what fails or is refused has a rule
    "rev_collector_meter_events_total",
    "rev_collector_metered_until_timestamp_seconds",
    # what an endpoint does wrong: its owner is told, and it is given up in the end, which is a rule
    "rev_notifier_waiting",
    "rev_notifier_retries",
    "rev_notifier_in_flight",
    "rev_notifier_lagging_endpoints",
    "rev_notifier_failing_endpoints",
    "rev_notifier_endpoint_lag_records",
    "rev_notifier_endpoint_age_seconds",
    "rev_notifier_body_bytes",
}


def in_code() -> set[str]:
    """Every metric as it is shown, a histogram without its parts."""
    found = [value for room in ROOMS for value in vars(room).values() if isinstance(value, Counter | Gauge | Histogram)]
    return {one.describe()[0].name + ("_total" if isinstance(one, Counter) else "") for one in found}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def watched() -> set[str]:
    """Every metric that a rule looks at."""
    known = {name + part: name for name in in_code() for part in PARTS}
    names = {name for rule in rules() for name in re.findall(r"\brev_\w+", rule["expr"])}
    return {known.get(name, name) for name in names}


def test_every_metric_is_watched_or_informative() -> None:
    """A rule names only what the code has, and whatever the code counts that is wrong has a rule."""
    assert watched() | INFORMATIVE == in_code()
    assert watched().isdisjoint(INFORMATIVE)


def test_a_rule_says_whom_it_wakes_and_why() -> None:
    """Each has a name of its own, a severity and a sentence, and nothing that Prometheus does not know."""
    made = rules()
    assert len({rule["alert"] for rule in made}) == len(made)
    for rule in made:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning") and rule["annotations"]["summary"]
        assert rule["expr"].count("(") == rule["expr"].count(")")


def named(text: str) -> Iterator[str]:
    """Metrics in a document's code marks; `_more` after a full name is of the same service."""
    service = ""
    for mark in re.findall(r"`([a-z_]+)[^`]*`", text):
        full = re.match(r"(rev_(?:ingest|ledger|expirer|notifier|shard|worker))_\w+", mark)
        if full:
            service = full[1]
            yield mark
        elif service and mark.startswith("_"):
            yield service + mark


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_no_metric_that_is_not_there(path: Path) -> None:
    """Nobody looks for a number in vain."""
    assert set(named(path.read_text())) <= in_code()


def test_what_the_operator_is_told_to_watch_has_a_rule() -> None:
    """The table in docs/operations.md and the rules are of one mind."""
    text = (ROOT / "docs" / "operations.md").read_text()
    table = text[text.index("## What to watch") : text.index("## The expirer")]
    assert set(named(table)) - INFORMATIVE - watched() == set()
    assert len(set(named(table)) & watched()) > 10
