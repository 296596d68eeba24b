"""A proxy on the way to the gateway that loses answers: it forwards a request and says something
else, by a script, and what it says after the script is what the gateway answered."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["unknown", "hang up", "bad gateway", "not forwarded", "twice"]
HEADERS = ("Content-Type", "Retry-After", "x-should-retry", "Stripe-Should-Retry")
"""What is passed on of an answer's headers where they are given; Idempotent-Replayed always is."""
UNKNOWN = b'{"error": "may have been recorded", "code": "unknown", "request_id": "flaky"}'


class Flaky:
    """``keys``: the Idempotency-Key of each POST; ``forwarded``: how many reached the gateway."""

    def __init__(self, url: str, faults: list[Fault]) -> None:
        self.keys: list[str | None] = []
        self.forwarded = 0
        target, flaky = urlsplit(url), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault = faults.pop(0) if faults else None
                flaky.keys.append(self.headers.get("Idempotency-Key"))
                if fault == "not forwarded":
                    return self._say(429, b"", {"Retry-After": "0"})
                for _ in range(2 if fault == "twice" else 1):
                    status, found, headers = self._forward(body)
                    flaky.forwarded += 1
                if fault == "hang up":
                    self.close_connection = True
                elif fault == "unknown":
                    self._say(503, UNKNOWN, {"Retry-After": "1"})
                elif fault == "bad gateway":
                    self._say(502, b"<html>Bad Gateway</html>", {})
                else:
                    self._say(status, found, headers)
                return None

            do_GET = do_PATCH = do_POST

            def _forward(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
                connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
                sent = {
                    name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")
                }
                connection.request(self.command, self.path, body or None, sent)
                answer = connection.getresponse()
                passed = {name: answer.headers[name] for name in HEADERS if name in answer.headers}
                passed["Idempotent-Replayed"] = answer.headers["Idempotent-Replayed"] or ""
                found = (answer.status, answer.read(), passed)
                connection.close()
                return found

            def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def flaky(url: str, *faults: Fault) -> Iterator[Flaky]:
    """The proxy, while it runs."""
    made = Flaky(url, list(faults))
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()
