"""How the broker is set up, started and known to be ready.

Its settings are chosen for one node that must keep what it acknowledged through a power
cut, and whose clients are all on this machine.
"""

import base64
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import uuid
from pathlib import Path

from deploy import ports
from schemas.limits import MAX_MESSAGE

PROPERTIES = "server.properties"
PORTS = "ports.json"


def properties(log: Path, port: int, controller_port: int) -> dict[str, str]:
    """The broker's settings; everything that is not named is Kafka's own default."""
    host = ports.LOOPBACK
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{host}:{controller_port}",
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(log),
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        # An acknowledged event survives a power cut, and so does the transaction that priced
        # it (__transaction_state). rev.replies, a hint, opts out by its topic setting.
        "log.flush.interval.messages": "1",
        "message.max.bytes": str(MAX_MESSAGE),
        "replica.fetch.max.bytes": str(MAX_MESSAGE),
        # One node: the internal topics cannot have more than one replica.
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.num.partitions": "8",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # A shard that comes back is assigned at once, and what a dead one left open is
        # aborted a second after its time-out (10 s, set by the shards).
        "group.initial.rebalance.delay.ms": "0",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        "transaction.max.timeout.ms": "60000",
        "group.min.session.timeout.ms": "1000",
        # A broker that was killed may not register again before its old session has expired:
        # with the default of 9 s it serves 11 s after kill -9, with 1 s after 2 s.
        "broker.session.timeout.ms": "1000",
        "broker.heartbeat.interval.ms": "200",
        # Sized for one small machine instead of a server.
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
        "log.cleaner.dedupe.buffer.size": str(32 << 20),
        "log.cleaner.backoff.ms": "15000",
    }


def jvm(java: Path, jars: list[Path]) -> list[str]:
    """The Java command up to the main class. All jars are on one class path."""
    return [
        str(java),
        "-Xms128m",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
        "-cp",
        os.pathsep.join(map(str, jars)),
    ]


def prepare(data: Path, port: int, command: list[str], rng: random.Random) -> tuple[int, list[str]]:
    """Make the data directory ready for a start; (port, command that is the broker).

    ``port`` 0 is a free one, chosen once and kept in the directory. Storage is formatted the
    first time. Raises RuntimeError when that fails.
    """
    data.mkdir(parents=True, exist_ok=True)
    port, controller = _ports(data, port, rng)
    settings = properties(data / "log", port, controller)
    if not (data / "log").exists():
        _format(data, settings, command)
    return port, [*command, "kafka.Kafka", str(_write(data / PROPERTIES, settings))]


def _write(file: Path, settings: dict[str, str]) -> Path:
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return file


def _ports(data: Path, port: int, rng: random.Random) -> tuple[int, int]:
    file = data / PORTS
    kept = json.loads(file.read_text()) if file.exists() else {}
    port = port or kept.get("port") or ports.choose(rng, set())
    controller = kept.get("controller")
    if not controller or not ports.is_free(controller):
        controller = ports.choose(rng, {port})
    file.write_text(json.dumps({"port": port, "controller": controller}))
    return port, controller


def _format(data: Path, settings: dict[str, str], command: list[str]) -> None:
    """Format in a directory aside, so that a log directory that is there is a complete one."""
    fresh = data / "log.new"
    shutil.rmtree(fresh, ignore_errors=True)
    config = _write(data / "format.properties", {**settings, "log.dirs": str(fresh)})
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = [
        command[0],
        "-XX:TieredStopAtLevel=1",
        *command[1:],
        "kafka.tools.StorageTool",
        "format",
        f"--cluster-id={cluster}",  # in one word: an id may begin with a dash
        "--config",
        str(config),
    ]
    done = subprocess.run(tool, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise RuntimeError(f"Kafka could not format {data}: {(done.stderr or done.stdout).strip()}")
    config.unlink()
    fresh.rename(data / "log")


def answers(port: int, timeout: float) -> bool:
    """Whether the broker serves requests: it answers ApiVersions, which it does only once it
    has joined its (one-node) cluster. ``timeout`` in seconds."""
    request = struct.pack(">hhih", 18, 0, 1, -1)  # key, version, correlation id, no client id
    try:
        with socket.create_connection((ports.LOOPBACK, port), timeout=timeout) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            return len(connection.recv(8)) > 0
    except OSError:
        return False
