"""`rev status` says what a service's /readyz says."""

import http.server
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.supervisor import directory, status


class Ready(http.server.BaseHTTPRequestHandler):
    answer: tuple[int, bytes] = (200, b"")

    def do_GET(self) -> None:
        code, body = self.answer
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def found() -> Iterator[dict[str, Any]]:
    """run.json of a gateway that is this process."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {
        "pids": {"gateway": os.getpid()},
        "births": {"gateway": directory.birth(os.getpid())},
        "addresses": {"gateway": f"http://127.0.0.1:{server.server_port}"},
        "since": {},
        "restarts": {},
    }
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("code", "body", "state", "kind"),
    [
        (200, b'{"ready":true,"reasons":[],"degraded":[]}', "ready", "ready"),
        (200, b'{"ready":true,"reasons":[]}', "ready", "ready"),
        (200, b"Ok.", "ready", "ready"),
        (200, b'{"ready":true,"degraded":["clickhouse: away","b"]}', "degraded: clickhouse: away; b", "degraded"),
        (503, b'{"ready":false,"reasons":["kafka"],"degraded":["clickhouse"]}', "not ready: kafka", "not ready"),
        (500, b"a bug", "not ready: a bug", "not ready"),
    ],
)
def test_what_readyz_says(found: dict[str, Any], code: int, body: bytes, state: str, kind: str) -> None:
    """Ready, ready without something, or not ready and why; degraded is not passed off as ready."""
    Ready.answer = (code, body)
    row = status.row(found, "gateway")
    assert (row.state, row.kind) == (state, kind)


def test_a_child_that_keeps_dying_is_seen(found: dict[str, Any]) -> None:
    """How often it was started again and since when it is up; while it is not there, that it is about to be."""
    Ready.answer = (200, b"Ok.")
    found |= {"restarts": {"gateway": 7}, "since": {"gateway": 1_777_204_800.0}}
    up = status.table([status.row(found, "gateway")])
    shown = [str(next(iter(column.cells))) for column in up.columns]
    assert shown[:5] == ["gateway", "ready", str(os.getpid()), "2026-04-26 12:00:00", "7"]
    for gone in ({"pids": {}}, {"births": {"gateway": 1}}):  # none, or a number that is somebody else's by now
        row = status.row({**found, **gone}, "gateway")
        assert (row.kind, row.pid, row.restarts) == ("down, about to be restarted", None, 7)


def test_degraded_has_a_colour_of_its_own(found: dict[str, Any]) -> None:
    """Neither green nor red."""
    Ready.answer = (200, b'{"degraded":["clickhouse: away"]}')
    (cell,) = status.table([status.row(found, "gateway")]).columns[1].cells
    assert str(getattr(cell, "style", "")) == "yellow"
