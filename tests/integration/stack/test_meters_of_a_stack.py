"""Usage of a whole `rev up` in Stripe's meters: equal to independent SQL, each unit once, after a kill -9."""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench.running_stack import RunningStack, wait_until
from schemas.limits import HOUR
from tests.collector_settings import CollectorSettings
from tests.stripe_stand_in import StripeStandIn

pytestmark = pytest.mark.integration
ACME, OTHER = "usage-acme", "usage-other"
EVENT = {"agent_id": "a", "action": "summarize", "tokens": 801, "outcome": "success"}
UNITS = (
    "SELECT customer_id, event_name, sum(units) FROM ("
    " SELECT customer_id, 'calls' AS event_name, if(kind = 'void', -1, 1) AS units FROM rev.entries"
    " WHERE action = 'summarize' AND NOT test AND kind IN ('event', 'void')"
    " UNION ALL SELECT customer_id, 'ai_tokens', if(kind = 'void', -1, 1) * toInt64(tokens) FROM rev.entries"
    " WHERE action = 'summarize' AND NOT test AND kind IN ('event', 'void')"
    ") GROUP BY customer_id, event_name ORDER BY customer_id, event_name"
)
PRICE = {"action_type": "summarize", "base_rate_cents": 0.5}


@pytest.fixture
def collector(collector_settings: CollectorSettings) -> Iterator[CollectorSettings]:
    """The collector's own settings, which are as before afterwards."""
    yield collector_settings
    collector_settings.set()


def held(stripe: StripeStandIn) -> list[dict[str, Any]]:
    return list(stripe.events.values())


def counted(stripe: StripeStandIn) -> dict[tuple[str, str], int]:
    """What the meters have, by Stripe's customer and meter."""
    found: dict[tuple[str, str], int] = {}
    for one in held(stripe):
        place = one["payload"]["stripe_customer_id"], one["event_name"]
        found[place] = found.get(place, 0) + int(one["payload"]["value"])
    return found


def test_meters_have_what_the_ledger_has(
    running: RunningStack, stripe: StripeStandIn, collector: CollectorSettings
) -> None:
    """An interval is begun over v1, whose answers are lost, and ended over the stream by another owner: of a customer
    whose id was given, one that is made, test events that do not count, and a void."""
    stripe.customer("cus_owner")
    key, other, test = running.make_key(ACME), running.make_key(OTHER), running.make_key(ACME, test=True)
    given = {"external_ids": {"crm": "7", "stripe": "cus_owner"}}
    assert running.call("PATCH", f"/api/admin/customers/{ACME}", given)[0] == 200
    assert running.call("POST", "/api/admin/pricing", PRICE)[0] == 201
    for secret, count in ((key, 30), (other, 12), (test, 5)):
        status, answer = running.call("POST", "/v1/meter/batch", {"events": [EVENT] * count}, secret)
        assert status == 201, answer
    event = running.call("POST", "/v1/meter", EVENT, key)[1]["event_id"]
    void = f"/api/admin/events/{event}/void", {"reason": "x"}
    wait_until(lambda: running.call("POST", *void)[0] == 201, "the ledger has the event, which is voided")
    wanted = [f"{ACME}\tai_tokens\t{30 * 801}", f"{ACME}\tcalls\t30"]
    wanted += [f"{OTHER}\tai_tokens\t{12 * 801}", f"{OTHER}\tcalls\t12"]
    wait_until(lambda: running.sql(UNITS).splitlines() == wanted, "the ledger has the usage")

    stripe.losing = "/v1/billing/meter_events"
    collector.set(ahead=HOUR)  # the hour has ended
    wait_until(lambda: stripe.events, "the meters have some of it")
    before = running.pid("collector")
    collector.set(ahead=HOUR, REV_STRIPE_METER_API="stream")
    os.kill(before, signal.SIGKILL)
    running.wait_pid("collector", other_than=before)

    def customers() -> dict[str, str]:
        made = {id: one["metadata"].get("rev_customer_id", "") for id, one in list(stripe.customers.items())}
        return {**made, "cus_owner": ACME}

    def agrees() -> bool:
        names = customers()
        found = {(names[id], meter): units for (id, meter), units in counted(stripe).items()}
        return [f"{name}\t{meter}\t{units}" for (name, meter), units in sorted(found.items())] == wanted

    wait_until(lambda: stripe.batches and agrees(), "the meters have what the ledger has")
    identifiers = [one["identifier"] for one in held(stripe)]
    assert len(set(identifiers)) == len(identifiers)
    assert sorted(customers().values()) == [ACME, OTHER] and not stripe.dropped

    def reconciled() -> tuple[bool, int]:
        month = time.strftime("%Y-%m", time.gmtime(held(stripe)[0]["timestamp"]))
        status, found = running.call("POST", "/api/admin/stripe/reconcile", {"month": month})
        return status == 200 and found["agrees"] and not found["differences"], found.get("hours", 0)

    wait_until(lambda: reconciled()[0], "ledger and meters are compared")
    hours = {(one["timestamp"], one["payload"]["stripe_customer_id"], one["event_name"]) for one in held(stripe)}
    assert reconciled() == (True, len(hours))
