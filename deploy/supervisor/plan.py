"""Plan of a `rev up`: the addresses and the children, decided before anything starts."""

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

SERVICES = ("gateway", "web", "collector", "notifier", "expirer", "pricer", "ledger")
"""Services in the order in which they stop."""
GATEWAY = "gateway"
BEHIND = ("web", "collector")
"""Services that no event waits for."""
MOST_SHARDS = 4
READERS = {"expirer": 600.0}
"""Seconds to get ready, for a service that first reads everything the log has kept for it."""


class ProcessPlan(NamedTuple):
    """Plan of one `rev up`.

    ``specs`` are in stopping order. ``kafka`` and ``clickhouse`` are addresses, embedded or external.
    """

    data: Path
    http: str
    kafka: str
    clickhouse: str
    embedded: bool
    specs: list[Spec]


def gateways(count: int) -> list[str]:
    """Return the names of this many gateways. If there are several, each has a port of its own for its probes."""
    return [GATEWAY, *(f"{GATEWAY}-{number}" for number in range(2, count + 1))]


def service_of(name: str) -> str:
    """Return the service that a child's name is of: ``gateway`` for ``gateway-2``."""
    return name.partition("-")[0]


def own_ports(count: int) -> list[str]:
    """Return whatever needs a port that only the supervisor and the other services know, with ``count`` gateways."""
    return [*(gateways(count) if count > 1 else []), *SERVICES[1:]]


def is_embedded(env: Mapping[str, str]) -> bool:
    """True if `rev up` starts Kafka and ClickHouse. Raises SettingError if only one is set."""
    named = [name for name in ("REV_KAFKA", "REV_CLICKHOUSE_URL") if env.get(name)]
    if len(named) == 1:
        raise SettingError(f"only {named[0]} is set; set both REV_KAFKA and REV_CLICKHOUSE_URL, or neither")
    return not named


def choose_ports(data: Path, wanted: Mapping[str, int], rng: random.Random) -> dict[str, int]:
    """Choose a port for each name: the wanted one, or for 0 the previous one or a free one.

    Keep the choice in the directory. Raises SettingError if a wanted port is taken.
    """
    kept = directory.read_json(data / directory.PORTS)
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        if port and not ports.is_free(port):
            raise SettingError(f"port {port} for {name} is in use by another process; 0 picks a free one")
        old = int(kept.get(name, 0))
        if not port and old and old not in chosen.values() and ports.is_free(old):
            port = old
        chosen[name] = port or ports.choose(rng, set(chosen.values()))
    directory.write_json(data / directory.PORTS, chosen)
    return chosen


def shards(data: Path, settings: Settings, env: Mapping[str, str], cores: int) -> int:
    """Return the number of partitions of the embedded log.

    It is REV_PARTITIONS if set, else the number that the log was made with, else the number of the
    machine's cores, at most MOST_SHARDS. More partitions than cores only make every transaction
    smaller (docs/decisions/0007).
    """
    kept = directory.read_json(data / directory.LOG)
    chosen = settings.partitions if env.get("REV_PARTITIONS") else int(kept.get("partitions", min(cores, MOST_SHARDS)))
    if not kept:
        directory.write_json(data / directory.LOG, {"partitions": chosen})
    return chosen


def make(settings: Settings, chosen: Mapping[str, int], env: Mapping[str, str], rng: random.Random) -> ProcessPlan:
    """Make the plan for these settings and ports.

    ``chosen`` has the ports of http, of every other service, and if embedded of kafka and clickhouse.
    """
    embedded = is_embedded(env)
    host = ports.LOOPBACK if settings.http_host in ("0.0.0.0", "::", "") else settings.http_host
    names = [*gateways(settings.gateways), *SERVICES[1:]]
    specs = [_service(name, names, chosen, host, settings) for name in names]
    if embedded:
        specs += [
            _clickhouse(settings.data / "clickhouse", chosen["clickhouse"], settings.niceness),
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
    """Return the command that runs `rev` with these arguments under this Python."""
    return [sys.executable, "-m", "tools.cli", *arguments]


def _service(name: str, names: Sequence[str], chosen: Mapping[str, int], host: str, settings: Settings) -> Spec:
    service = service_of(name)
    where, port = _place(name, chosen, host)
    known = {
        GATEWAY: {
            "REV_HTTP_PORT": str(chosen["http"]),
            "REV_METRICS_PORT": str(chosen.get(name, 0)),
            "REV_ORDINAL": str(int(name.partition("-")[2] or 1) - 1),
            "REV_REPLY_HOST": ports.LOOPBACK,
            "REV_WEB_URL": _url("web", chosen, host),
            "REV_COLLECTOR_URL": _url("collector", chosen, host),
        },
        # on loopback whatever REV_HTTP_HOST is: people reach the pages through the gateway. So whether they may sign
        # up is decided here, by the address that they reach.
        "web": {
            "REV_HTTP_HOST": ports.LOOPBACK,
            "REV_WEB_PORT": str(port),
            "REV_GATEWAY_URL": f"http://{host}:{chosen['http']}",
            "REV_SIGNUP": "on" if settings.signup else "off",
            "REV_SERVICE_URLS": ",".join(
                f"{service_of(other)}={_url(other, chosen, host)}" for other in names if other != "web"
            ),
        },
    }
    return Spec(
        name=name,
        command=_always(rev(service, "--held")),
        ready=partial(probes.http_ok, where, port, "/readyz"),
        address=_url(name, chosen, host),
        # what is not for others is on loopback whatever REV_HTTP_HOST is
        env=known.get(service, {"REV_HTTP_HOST": ports.LOOPBACK, "REV_METRICS_PORT": str(port)}),
        held=True,
        within=READERS.get(name, START_LIMIT),
        niceness=settings.niceness if name in BEHIND else 0,
        # nobody after the gateway needs them
        beside=name in BEHIND or (service == GATEWAY and name != GATEWAY),
    )


def _place(name: str, chosen: Mapping[str, int], host: str) -> tuple[str, int]:
    """Return the address at which this very process answers."""
    return (ports.LOOPBACK, chosen[name]) if name in chosen else (host, chosen["http"])


def _url(name: str, chosen: Mapping[str, int], host: str) -> str:
    where, port = _place(name, chosen, host)
    return f"http://{where}:{port}"


def _clickhouse(data: Path, port: int, niceness: int) -> Spec:
    return Spec(
        name="clickhouse",
        command=_always([sys.executable, "-m", "deploy.clickhouse", "--data", str(data), "--port", str(port)]),
        ready=partial(probes.http_ok, ports.LOOPBACK, port, "/ping"),
        address=f"http://{ports.LOOPBACK}:{port}",
        niceness=niceness,
    )


def _kafka(data: Path, port: int, rng: random.Random) -> list[Spec]:
    """Return the specs of the broker and its controller.

    The broker stops first, because it leaves its cluster in order.
    """
    kafka = broker.choose(data, port, rng)

    def command(role: broker.Role) -> Sequence[str]:
        return broker.prepare(data, kafka, starting.command(os.environ, lambda *_: None), role)

    def spec(name: str, role: broker.Role, port: int, reserve: float) -> Spec:
        ready: Callable[[], Awaitable[bool]] = partial(probes.kafka, port)
        return Spec(name, partial(command, role), ready, f"{ports.LOOPBACK}:{port}", reserve=reserve)

    return [spec("kafka", "broker", port, 1.0), spec("controller", "controller", kafka.controller, 0.5)]


def _always(command: Sequence[str]) -> Callable[[], Sequence[str]]:
    return lambda: command
