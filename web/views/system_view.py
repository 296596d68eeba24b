"""The services as the system page shows them, from what each says itself. Pure; times in ms, rates per second.

Metrics are binary floats, and none of them is money.
"""

from collections.abc import Sequence
from typing import NamedTuple

from web import formats
from web.service_probes import Metrics, Probed, ServiceAddress


class Gauge(NamedTuple):
    """How far a service is behind: the sum over its partitions, or the ``largest``. ``much``: marked from there on."""

    sample: str
    unit: str
    much: float
    largest: bool = False


class ServiceKind(NamedTuple):
    """``work``: the counter of what it does; ``lag``: how far it is behind; ``last``: Unix seconds of its last work."""

    work: str
    unit: str
    lag: Gauge | None = None
    last: str = ""


KINDS = {
    "gateway": ServiceKind(
        "rev_ingest_events_total", "events", Gauge("rev_ingest_shard_lag_seconds", "s", 1, largest=True)
    ),
    "pricer": ServiceKind("rev_shard_records_total", "records", Gauge("rev_shard_lag_records", "records", 10_000)),
    "ledger": ServiceKind(
        "rev_ledger_rows_total",
        "rows",
        Gauge("rev_ledger_lag_records", "records", 10_000),
        "rev_ledger_last_insert_timestamp_seconds",
    ),
    "expirer": ServiceKind(
        "rev_expirer_closed_total", "outcomes", Gauge("rev_expirer_oldest_overdue_seconds", "s", 5, largest=True)
    ),
    "notifier": ServiceKind(
        "rev_notifier_attempts_total", "attempts", Gauge("rev_notifier_tail_lag_records", "records", 10_000)
    ),
    "collector": ServiceKind(
        "rev_collector_records_total", "records", Gauge("rev_collector_unsent_notices", "notices", 1000)
    ),
    "web": ServiceKind("rev_web_request_seconds_count", "requests"),
}


class Observation(NamedTuple):
    """An instance's counter at a time; ``moved``: when it was last seen to grow, None if never."""

    at: int
    began: float
    work: float
    moved: int | None


class ServiceLine(NamedTuple):
    """``state``: up, degraded, not ready or away. ``lag``, ``rate``: as text, '' where there is none."""

    service: str
    url: str
    state: str
    reasons: list[str]
    since: int | None
    memory: str
    lag: str
    is_behind: bool
    rate: str
    last: int | None


def observed(probed: Probed, before: Observation | None, now: int) -> Observation | None:
    """Return what to remember of an instance, to know its rate the next time; None if it is away."""
    kind = KINDS.get(probed.instance.service)
    if kind is None or not probed.metrics:
        return None
    metrics = probed.metrics
    work, began = sum(metrics.get(kind.work, [])), _began(metrics)
    same = before if before is not None and before.began == began else None
    moved = now if same is not None and work > same.work else same.moved if same is not None else None
    return Observation(now, began, work, moved)


def line(probed: Probed, before: Observation | None, after: Observation | None) -> ServiceLine:
    """Return an instance as a line. ``before`` and ``after``: what was observed at the last look and now."""
    kind = KINDS.get(probed.instance.service)
    metrics = probed.metrics
    began = _began(metrics)
    last = max(metrics.get(kind.last, [0.0]), default=0.0) if kind and kind.last else 0.0
    lag = _lag(kind.lag, metrics) if kind and kind.lag else 0.0
    return ServiceLine(
        service=probed.instance.service,
        url=probed.instance.url,
        state=_state(probed),
        reasons=probed.reasons,
        since=int(began * 1000) if began else None,
        memory=f"{int(sum(metrics.get('process_resident_memory_bytes', []))) >> 20} MiB" if metrics else "",
        lag=f"{_number(lag)} {_unit(kind.lag.unit, lag)}" if kind and kind.lag and metrics else "",
        is_behind=bool(kind and kind.lag and lag >= kind.lag.much),
        rate=f"{_rate(before, after)} {kind.unit}/s" if kind and _rate(before, after) else "",
        last=int(last * 1000) if last else after.moved if after else None,
    )


def part(service: str, url: str, problem: str) -> ServiceLine:
    """Return a part that has no metrics of ours, such as ClickHouse; ``problem``: '' if it answers."""
    reasons = [problem] if problem else []
    probed = Probed(ServiceAddress(service, url), None if problem else True, reasons, {})
    return line(probed, None, None)


def _state(probed: Probed) -> str:
    if probed.ready is None:
        return "away"
    if not probed.ready:
        return "not ready"
    return "degraded" if probed.reasons else "up"


def _unit(unit: str, number: float) -> str:
    return unit.removesuffix("s") if number == 1 and len(unit) > 1 else unit


def _began(metrics: Metrics) -> float:
    return max(metrics.get("process_start_time_seconds", [0.0]))


def _lag(gauge: Gauge, metrics: Metrics) -> float:
    values = [max(value, 0.0) for value in metrics.get(gauge.sample, [])]
    return (max(values) if gauge.largest else sum(values)) if values else 0.0


def _rate(before: Observation | None, after: Observation | None) -> str:
    """Return the work per second between two looks at the same process, or '' without."""
    if before is None or after is None or before.began != after.began or after.at <= before.at:
        return ""
    return _number((after.work - before.work) * 1000 / (after.at - before.at))


def _number(value: float) -> str:
    if value >= 10 or value == int(value):
        return formats.grouped(round(value))
    return f"{value:.1f}" if value >= 0.1 else "<0.1"


def ordered(lines: Sequence[ServiceLine]) -> list[ServiceLine]:
    """Return the lines in the order in which an event meets the services; others come last."""
    places = {service: place for place, service in enumerate(KINDS)}
    return sorted(lines, key=lambda one: places.get(one.service, len(places)))


def worst(lines: Sequence[ServiceLine]) -> str:
    """Return the sentence above the table."""
    away = [one.service for one in lines if one.state in ("away", "not ready")]
    if away:
        names = ", ".join(dict.fromkeys(away))
        return f"{names} {'is' if len(set(away)) == 1 else 'are'} not serving."
    degraded = [one.service for one in lines if one.state == "degraded"]
    return f"{', '.join(dict.fromkeys(degraded))} can do less than usual." if degraded else "Everything is up."
