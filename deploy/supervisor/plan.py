"""What `rev up` is going to run: the addresses and the children, decided before any start."""

import os
import random
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from deploy import ports
from deploy.kafka import broker, starting
from deploy.supervisor import directory, probes
from deploy.supervisor.spec import START_LIMIT, Spec
from schemas.settings import SettingError, Settings

SERVICES = ("gateway", "notifier", "expirer", "pricer", "ledger")
"""In the order in which they are stopped."""
MOST_SHARDS = 4
READERS = {"expirer": 600.0}
"""Seconds to get ready in, for a service that first reads all that the log has kept for it."""


class ProcessPlan(NamedTuple):
    """``specs`` are in the order of stopping. ``kafka`` and ``clickhouse`` are addresses,
    whether embedded or somebody else's."""

    data: Path
    http: str
    kafka: str
    clickhouse: str
    embedded: bool
    specs: list[Spec]


def is_embedded(env: Mapping[str, str]) -> bool:
    """Whether to start Kafka and ClickHouse. Raises SettingError when only one is named."""
    named = [name for name in ("REV_KAFKA", "REV_CLICKHOUSE_URL") if env.get(name)]
    if len(named) == 1:
        raise SettingError(f"only {named[0]} is set: set REV_KAFKA and REV_CLICKHOUSE_URL, or neither")
    return not named


def choose_ports(data: Path, wanted: Mapping[str, int], rng: random.Random) -> dict[str, int]:
    """A port for each name: the wanted one, or for 0 the one of the last time or a free one.

    The choice is kept in the directory. Raises SettingError for a wanted port that is taken.
    """
    kept = directory.read_json(data / directory.PORTS)
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        if port and not ports.is_free(port):
            raise SettingError(f"port {port} for {name} is taken by another process; 0 takes a free one")
        old = int(kept.get(name, 0))
        if not port and old and old not in chosen.values() and ports.is_free(old):
            port = old
        chosen[name] = port or ports.choose(rng, set(chosen.values()))
    directory.write_json(data / directory.PORTS, chosen)
    return chosen


def shards(data: Path, settings: Settings, env: Mapping[str, str], cores: int) -> int:
    """How many partitions the embedded log has: what REV_PARTITIONS says, else what it was made with, else as many
    as the machine has cores, at most MOST_SHARDS. One more than there are cores to work on them only makes every
    transaction smaller (docs/decisions/0007)."""
    kept = directory.read_json(data / directory.LOG)
    chosen = settings.partitions if env.get("REV_PARTITIONS") else int(kept.get("partitions", min(cores, MOST_SHARDS)))
    if not kept:
        directory.write_json(data / directory.LOG, {"partitions": chosen})
    return chosen


def make(settings: Settings, chosen: Mapping[str, int], env: Mapping[str, str], rng: random.Random) -> ProcessPlan:
    """The plan for these settings and ports (of http, of every other service, and when
    embedded of kafka and clickhouse)."""
    embedded = is_embedded(env)
    host = ports.LOOPBACK if settings.http_host in ("0.0.0.0", "::", "") else settings.http_host
    specs = [_service(name, chosen, host) for name in SERVICES]
    if embedded:
        specs += [
            _clickhouse(settings.data / "clickhouse", chosen["clickhouse"]),
            *_kafka(settings.data / "kafka", chosen["kafka"], rng),
        ]
    return ProcessPlan(
        data=settings.data,
        http=f"http://{host}:{chosen['http']}",
        kafka=f"{ports.LOOPBACK}:{chosen['kafka']}" if embedded else settings.kafka,
        clickhouse=f"http://{ports.LOOPBACK}:{chosen['clickhouse']}" if embedded else settings.clickhouse_url,
        embedded=embedded,
        specs=specs,
    )


def rev(*arguments: str) -> list[str]:
    """The command that runs `rev` with these arguments under this Python."""
    return [sys.executable, "-m", "tools.cli", *arguments]


def _service(name: str, chosen: Mapping[str, int], host: str) -> Spec:
    is_gateway = name == "gateway"
    port = chosen["http"] if is_gateway else chosen[name]
    where = host if is_gateway else ports.LOOPBACK
    return Spec(
        name=name,
        command=_always(rev(name, "--held")),
        ready=partial(probes.http_ok, where, port, "/readyz"),
        address=f"http://{where}:{port}",
        env={"REV_HTTP_PORT": str(port), "REV_REPLY_HOST": ports.LOOPBACK}
        if is_gateway
        else {"REV_METRICS_PORT": str(port)},
        held=True,
        within=READERS.get(name, START_LIMIT),
    )


def _clickhouse(data: Path, port: int) -> Spec:
    return Spec(
        name="clickhouse",
        command=_always([sys.executable, "-m", "deploy.clickhouse", "--data", str(data), "--port", str(port)]),
        ready=partial(probes.http_ok, ports.LOOPBACK, port, "/ping"),
        address=f"http://{ports.LOOPBACK}:{port}",
    )


def _kafka(data: Path, port: int, rng: random.Random) -> list[Spec]:
    """The broker and its controller: the broker leaves its cluster in order, so it is stopped first."""
    kafka = broker.choose(data, port, rng)

    def command(role: broker.Role) -> Sequence[str]:
        return broker.prepare(data, kafka, starting.command(os.environ, lambda *_: None), role)

    def spec(name: str, role: broker.Role, port: int, reserve: float) -> Spec:
        ready: Callable[[], Awaitable[bool]] = partial(probes.kafka, port)
        return Spec(name, partial(command, role), ready, f"{ports.LOOPBACK}:{port}", reserve=reserve)

    return [spec("kafka", "broker", port, 1.0), spec("controller", "controller", kafka.controller, 0.5)]


def _always(command: Sequence[str]) -> Callable[[], Sequence[str]]:
    return lambda: command
