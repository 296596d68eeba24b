"""Usage as meter events of Stripe. Pure: the same line has the same identifier for ever."""

import hashlib
from collections.abc import Sequence

from collector.stripe.requests import StripeRequest, key_of
from schemas.limits import DAY, HOUR
from schemas.meters import MeterLine, MeterPosition, MeterRule, meter_rules
from schemas.objects import iso
from warehouse.meter_totals import MeterRow, whole

OLDEST = 34 * DAY
"""ms. Stripe takes no event that is older than 35 days; what is late by more counts in the first hour that it takes."""


def rules_of(position: MeterPosition) -> tuple[MeterRule, ...]:
    """Return the rules of the interval that is in progress."""
    return meter_rules(" ".join(position.rules))


def lines_of(position: MeterPosition, rows: Sequence[MeterRow]) -> list[MeterLine]:
    """Return the lines of an interval: what rounding the hour's total afterwards adds to rounding the one before.

    So all lines of an hour add up to its rounded total, and none is for nothing.
    """
    lines = []
    for row in rows:
        before, after = whole(row.before), whole(row.after)
        if before != after:
            lines.append(
                MeterLine(
                    row.customer,
                    row.hour,
                    rule=position.rules[row.rule],
                    before=before,
                    value=after - before,
                    since=position.since,
                    as_of=position.as_of,
                )
            )
    return lines


def identifier(line: MeterLine) -> str:
    """Return the identifier of a line's meter event, which follows from customer, meter, hour and interval."""
    parts = (line.customer_id, line.rule, str(line.hour), str(line.since), str(line.as_of))
    return "rev-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:48]


def event_name(line: MeterLine) -> str:
    """Return the event name of a line's meter."""
    return meter_rules(line.rule)[0].event_name


def make_event(line: MeterLine, customer: str, now: int, *attempt: str) -> StripeRequest:
    """Return the request that adds a line to its meter. ``customer``: its id in Stripe.

    ``attempt``: what makes the idempotency key another one, since Stripe repeats a refusal for a day.
    """
    at = time_of(line, now) // 1000
    params = {**_event(line, customer), "timestamp": at}
    return StripeRequest("post", "/v1/billing/meter_events", params, key_of(0, identifier(line), str(at), *attempt))


def make_events(events: Sequence[tuple[MeterLine, str]], token: str, now: int, *attempt: str) -> StripeRequest:
    """Return the request that adds lines to their meters over the stream, each for the id of a customer in Stripe."""
    made = [{**_event(line, customer), "timestamp": iso(time_of(line, now))} for line, customer in events]
    key = key_of(0, *(f"{one['identifier']} {one['timestamp']}" for one in made), *attempt)
    return StripeRequest("post", "/v2/billing/meter_event_stream", {"events": made}, key, token)


def make_session(now: int) -> StripeRequest:
    """Return the request of a session of the stream. Each time gives another one."""
    return StripeRequest("post", "/v2/billing/meter_event_session", {}, key_of(0, "session", str(now)))


def time_of(line: MeterLine, now: int) -> int:
    """Return the time, ms, at which a line counts."""
    return max(line.hour, (now - OLDEST) // HOUR * HOUR)


def _event(line: MeterLine, customer: str) -> dict[str, object]:
    payload = {"stripe_customer_id": customer, "value": str(line.value)}
    return {"event_name": event_name(line), "identifier": identifier(line), "payload": payload}


def find_meters() -> StripeRequest:
    return StripeRequest("get", "/v1/billing/meters", {"status": "active", "limit": 100})


def find_hours(meter: str, customer: str, start: int, end: int) -> StripeRequest:
    """Return the request of a customer's usage by hour, in ms from ``start`` to ``end``."""
    params = {
        "customer": customer,
        "start_time": start // 1000,
        "end_time": end // 1000,
        "value_grouping_window": "hour",
        "limit": 100,
    }
    return StripeRequest("get", f"/v1/billing/meters/{meter}/event_summaries", params)
