"""Setup, start and readiness of Kafka: a broker, and its controller in a process of its own.

The settings suit one node that must keep what it acknowledged through a power cut and whose
clients are all on this machine. The controller is separate so that it outlives a killed broker:
it knows when the old session is over, and the new broker need neither start a controller first
nor wait for it to learn that (docs/decisions/0008).
"""

import base64
import json
import os
import random
import shutil
import socket
import struct
import subprocess
from pathlib import Path
from typing import Literal, NamedTuple

from deploy import ports
from schemas.limits import MAX_MESSAGE
from schemas.settings import SettingError

CHOICE = "ports.json"
NODES = {"broker": "1", "controller": "2"}
Role = Literal["broker", "controller"]
ROLES: tuple[Role, ...] = ("broker", "controller")
HEAP = {"broker": ("-Xms128m", "-Xmx512m"), "controller": ("-Xms16m", "-Xmx128m")}


class Choice(NamedTuple):
    """Choice made once for a data directory: two ports, and the cluster's id."""

    port: int
    controller: int
    cluster: str


COMMON = {
    "auto.create.topics.enable": "false",
    "unclean.leader.election.enable": "false",
    # An acknowledged event survives a power cut, and so does the transaction that priced
    # it (__transaction_state). rev.replies, a hint, opts out by its topic setting.
    "log.flush.interval.messages": "1",
    "message.max.bytes": str(MAX_MESSAGE),
    "replica.fetch.max.bytes": str(MAX_MESSAGE),
    # One node: no topic can have more than one replica.
    "offsets.topic.num.partitions": "8",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A shard that comes back is assigned at once. A dead shard's open transaction is
    # aborted a second after its time-out (10 s, set by the shards).
    "group.initial.rebalance.delay.ms": "0",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "transaction.max.timeout.ms": "60000",
    "group.min.session.timeout.ms": "1000",
    # A killed broker cannot register again before its old session has expired:
    # with the default of 9 s it serves 11 s after kill -9.
    "broker.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "200",
    # Sized for one small machine, not a server.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": str(32 << 20),
    "log.cleaner.backoff.ms": "15000",
}
"""Settings of both roles: the controller, which makes topics, needs them as much as the broker."""


def properties(log: Path, chosen: Choice, *roles: Role) -> dict[str, str]:
    """Return the settings of a node with these roles; all others keep Kafka's defaults."""
    host = ports.LOOPBACK
    listeners = {
        "broker": f"PLAINTEXT://{host}:{chosen.port}",
        "controller": f"CONTROLLER://{host}:{chosen.controller}",
    }
    quorum = NODES["broker" if len(roles) > 1 else "controller"]
    made = {
        "process.roles": ",".join(roles),
        "node.id": NODES[roles[0]],
        "controller.quorum.voters": f"{quorum}@{host}:{chosen.controller}",
        "listeners": ",".join(listeners[role] for role in roles),
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(log),
        **COMMON,
    }
    if "controller" in roles:
        made |= {"default.replication.factor": "1", "min.insync.replicas": "1"}
    if "broker" in roles:
        made |= {"advertised.listeners": listeners["broker"], "inter.broker.listener.name": "PLAINTEXT"}
    return made


def jvm(java: Path, jars: list[Path]) -> list[str]:
    """Return the Java command up to the main class. All jars are on one class path."""
    return [
        str(java),
        "-XX:+UseSerialGC",
        # Only the first compiler. The second takes 40 % of the broker's CPU for its first minutes and as much
        # of a restart, and a broker that mostly waits for the disk is no faster with it
        # (docs/decisions/0007, 0008).
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
        "-cp",
        os.pathsep.join(map(str, jars)),
    ]


def choose(data: Path, port: int, rng: random.Random) -> Choice:
    """Choose ports and cluster id once and keep them in the directory; ``port`` 0 is a free one for the broker.

    Only this node uses the controller's port, so a new one is chosen if it is taken. So call this
    before either process starts. Raises SettingError for a directory of the old layout.
    """
    if (data / "log").exists():
        raise SettingError(
            f"{data} was created by an old release with one process for broker and controller; use an empty directory"
        )
    data.mkdir(parents=True, exist_ok=True)
    file = data / CHOICE
    kept = json.loads(file.read_text()) if file.exists() else {}
    port = port or kept.get("port") or ports.choose(rng, set())
    controller = kept.get("controller")
    if not controller or not ports.is_free(controller):
        controller = ports.choose(rng, {port})
    cluster = kept.get("cluster") or base64.urlsafe_b64encode(rng.randbytes(16)).decode().rstrip("=")
    chosen = Choice(port, controller, cluster)
    file.write_text(json.dumps(chosen._asdict()))
    return chosen


def prepare(data: Path, chosen: Choice, command: list[str], *roles: Role) -> list[str]:
    """Prepare the directory for a start of a node with these roles; return the command of the node.

    The first time, storage is formatted. Raises RuntimeError if that fails.
    """
    name = roles[0]
    settings = properties(data / name, chosen, *roles)
    if not (data / name).exists():
        _format(data / name, chosen.cluster, settings, command)
    config = _write(data / f"{name}.properties", settings)
    return [command[0], *HEAP[name], *command[1:], "kafka.Kafka", str(config)]


def _write(file: Path, settings: dict[str, str]) -> Path:
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return file


def _format(log: Path, cluster: str, settings: dict[str, str], command: list[str]) -> None:
    """Format in a separate directory, so that an existing log directory is always complete."""
    fresh = log.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    config = _write(log.with_suffix(".format"), {**settings, "log.dirs": str(fresh)})
    tool = [*command, "kafka.tools.StorageTool", "format"]
    # one word: an id may begin with a dash
    tool += [f"--cluster-id={cluster}", "--config", str(config)]
    done = subprocess.run(tool, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise RuntimeError(f"Kafka could not format {log}: {(done.stderr or done.stdout).strip()}")
    config.unlink()
    fresh.rename(log)


def answers(port: int, timeout: float) -> bool:
    """True if the broker serves requests: it answers ApiVersions only once it has joined its (one-node) cluster.

    ``timeout`` in seconds.
    """
    request = struct.pack(">hhih", 18, 0, 1, -1)  # key, version, correlation id, no client id
    return len(_response(port, timeout, request, 8)) > 0


def is_listed(port: int, timeout: float) -> bool:
    """True if the broker's metadata names a broker. For a moment after a start it names none, and clients fail on that.

    ``timeout`` in seconds. Source: Metadata, version 1, in https://kafka.apache.org/protocol.
    """
    request = struct.pack(">hhihi", 3, 1, 1, -1, 0)  # key, version, correlation id, no client id, no topics
    response = _response(port, timeout, request, 12)
    if len(response) < 12:
        return False
    brokers: int = struct.unpack(">iii", response)[2]  # after the length and the correlation id
    return brokers > 0


def _response(port: int, timeout: float, request: bytes, size: int) -> bytes:
    """Return the first bytes of the response to a request, fewer than ``size`` if there are no more."""
    try:
        with socket.create_connection((ports.LOOPBACK, port), timeout=timeout) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as response:
                return response.read(size)
    except OSError:
        return b""
