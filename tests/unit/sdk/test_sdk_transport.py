"""revgrid's HTTP against a server in this process."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from revgrid.exchange import Failure, Send
from revgrid.reading import Answer
from revgrid.transport import HttpTransport

POST = Send(
    "POST", "/v1/meter?x=1", {"Authorization": "Bearer rg_x", "Idempotency-Key": "Schlüssel-☃"}, b'{"a":1}', 10.0
)


class Site:
    """What was asked, from which connections; ``behave`` may change an answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes, dict[str, str]]] = []
        self.connections: set[Any] = set()
        self.behave: Callable[[BaseHTTPRequestHandler], bool] = lambda handler: False
        self.hung_up = threading.Semaphore(0)
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                site.asked.append((self.command, self.path, body, dict(self.headers.items())))
                site.connections.add(self.client_address)
                if not site.behave(self):
                    self.send_response(201)
                    self.send_header("X-Request-Id", "r-1")
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"{}")

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        class Server(ThreadingHTTPServer):
            def shutdown_request(self, request: Any) -> None:
                super().shutdown_request(request)
                site.hung_up.release()

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def transport(site: Site) -> Iterator[HttpTransport]:
    made = HttpTransport(site.url)
    yield made
    made.close()


def test_a_request_arrives_as_it_was_built(site: Site, transport: HttpTransport) -> None:
    """Method, path with its query, body, headers in UTF-8; the answer's headers in lower case."""
    answer = transport(POST)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.headers["x-request-id"]) == (201, b"{}", "r-1")
    [(method, path, body, headers)] = site.asked
    assert (method, path, body) == ("POST", "/v1/meter?x=1", b'{"a":1}')
    assert headers["Idempotency-Key"].encode("latin-1").decode() == "Schlüssel-☃"


def test_a_path_in_the_base_url_is_kept(site: Site) -> None:
    """For a Rev behind a proxy's prefix."""
    transport = HttpTransport(site.url + "/rev/")
    transport(POST)
    transport.close()
    assert site.asked[0][1] == "/rev/v1/meter?x=1"


def test_connections_are_kept(site: Site, transport: HttpTransport) -> None:
    """One after the other on one connection; at once on one each, no more."""
    for _ in range(5):
        transport(POST)
    assert len(site.connections) == 1
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(transport, [POST] * 40))
    assert all(isinstance(answer, Answer) for answer in answers) and len(site.connections) <= 4


def test_a_connection_that_the_server_closed_is_not_used(site: Site, transport: HttpTransport) -> None:
    """A kept connection that ended meanwhile is replaced before anything is sent on it."""

    def close_after(handler: BaseHTTPRequestHandler) -> bool:
        handler.close_connection = True
        return False

    site.behave = close_after
    for _ in range(3):
        assert isinstance(transport(POST), Answer)
        assert site.hung_up.acquire(timeout=30)
    assert len(site.connections) == 3


def test_a_child_process_does_not_use_its_parents_connections(site: Site, transport: HttpTransport) -> None:
    """Two processes on one connection would read each other's answers."""
    transport(POST)
    transport._pid = os.getpid() + 1  # what a fork looks like from within
    assert isinstance(transport(POST), Answer) and len(site.connections) == 2


def test_nobody_there_means_nothing_was_sent() -> None:
    """A refused connection is safe to repeat, whatever the call."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        came = HttpTransport(f"http://127.0.0.1:{reserved.getsockname()[1]}")(POST)
    assert isinstance(came, Failure) and isinstance(came.error, ConnectionRefusedError) and not came.sent


def _hang_up(handler: BaseHTTPRequestHandler) -> bool:
    handler.close_connection = True
    return True


def _break_off(handler: BaseHTTPRequestHandler) -> bool:
    handler.send_response(201)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"event_id"')
    return _hang_up(handler)


def _babble(handler: BaseHTTPRequestHandler) -> bool:
    handler.wfile.write(b"what is HTTP?\r\n\r\n")
    return _hang_up(handler)


@pytest.mark.parametrize("behave", [_hang_up, _break_off, _babble])
def test_an_answer_that_is_none_may_have_been_done(
    site: Site, transport: HttpTransport, behave: Callable[[BaseHTTPRequestHandler], bool]
) -> None:
    """Hung up without a word, broken off in the middle, or no HTTP: sent, and not answered."""
    site.behave = behave
    came = transport(POST)
    assert isinstance(came, Failure) and came.sent and not came.final
    site.behave = lambda handler: False
    assert isinstance(transport(POST), Answer)


def test_a_server_that_says_nothing_is_given_up(site: Site, transport: HttpTransport) -> None:
    """After the try's own time-out, on a kept connection too."""
    transport(POST)
    going = threading.Event()
    site.behave = lambda handler: not going.wait(30) or True
    came = transport(POST._replace(timeout=0.05))
    going.set()
    assert isinstance(came, Failure) and isinstance(came.error, TimeoutError) and came.sent


def test_a_redirect_is_not_followed(site: Site, transport: HttpTransport) -> None:
    """The key goes to nobody else."""

    def redirect(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(307)
        handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    site.behave = redirect
    answer = transport(POST)
    assert isinstance(answer, Answer) and answer.status == 307 and len(site.asked) == 1


def test_after_close_nothing_is_kept(site: Site, transport: HttpTransport) -> None:
    """A request that ends after it closes its connection."""
    transport.close()
    transport(POST)
    transport(POST)
    assert len(site.connections) == 2
