"""The daemon's life: start, users, ownership of its directory, a fast stop, kill -9."""

import json
import signal
import stat
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

pytestmark = pytest.mark.integration

BLOCK = 500
KILLS = 5


def test_users_are_made_once(daemons: Callable[..., Any]) -> None:
    """users.json is made with random passwords, readable by its owner alone, and kept."""
    first = daemons()
    users = first.data / "users.json"
    written = users.read_text()
    assert stat.S_IMODE(users.stat().st_mode) == 0o600
    found = json.loads(written)
    assert {name: user["role"] for name, user in found.items()} == {"rev": "rw", "analyst": "ro"}
    assert len({user["password"] for user in found.values()}) == 2
    first.process.terminate()
    assert first.end()[0] == 0
    daemons()
    assert users.read_text() == written


def test_an_owned_directory_is_refused(daemons: Callable[..., Any]) -> None:
    """A second daemon on the same directory ends with a sentence that names the owner."""
    first = daemons()
    code, errors = daemons().end()
    assert code == 2
    assert f"already in use by process {first.process.pid}" in errors


def test_a_stop_is_clean_while_queries_run(daemons: Callable[..., Any]) -> None:
    """SIGTERM ends what runs and the process, with exit code 0; what was written is there."""
    daemon = daemons()
    with daemon.client() as client:
        client.command("CREATE TABLE kept (a UInt8) ENGINE = MergeTree ORDER BY a")
        client.command("INSERT INTO kept VALUES (1)")

        def never_ends() -> None:
            with pytest.raises((ClickHouseError, HTTPError)), daemon.client() as other:
                other.query("SELECT count() FROM numbers(1e15) WHERE NOT ignore(sipHash64(number))")

        running = threading.Thread(target=never_ends)
        running.start()
        while client.command("SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%'") < 2:
            pass
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.end()[0] == 0
        running.join(30)
    with daemons().client() as client:
        assert client.command("SELECT sum(a) FROM kept") == 1


def test_acknowledged_blocks_survive_kill_9(daemons: Callable[..., Any]) -> None:
    """Blocks inserted while the daemon is killed: those acknowledged are there whole and once."""
    acknowledged: set[int] = set()
    numbers = count()
    for _ in range(KILLS):
        daemon = daemons()
        with daemon.client() as client:
            client.command(
                "CREATE TABLE IF NOT EXISTS blocks (block UInt64, row UInt64) ENGINE = MergeTree ORDER BY block"
            )
            enough = threading.Event()
            killer = threading.Thread(target=lambda d, e: (e.wait(60), d.process.kill()), args=(daemon, enough))
            killer.start()
            try:
                for done, number in enumerate(numbers):
                    client.insert("blocks", [[number, row] for row in range(BLOCK)], column_names=["block", "row"])
                    acknowledged.add(number)
                    if done == 5:
                        enough.set()
            except (ClickHouseError, HTTPError, OSError):
                enough.set()
            killer.join(60)
        daemon.end()
    with daemons().client() as client:
        sql = "SELECT block, count(), uniqExact(row) FROM blocks GROUP BY block"
        found = {block: (rows, distinct) for block, rows, distinct in client.query(sql).result_rows}
    assert len(acknowledged) >= KILLS * 5
    assert acknowledged <= found.keys()
    assert set(found.values()) == {(BLOCK, BLOCK)}
