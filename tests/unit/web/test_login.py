"""Sessions, form tokens, and the limits of guessing."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from schemas.limits import HOUR
from tests.unit.web.conftest import ADMIN, NOW, Server
from web.attempt_limits import LOGINS, MOST_CLIENTS, AttemptLimits
from web.pages.login_page import local_path
from web.session_cookie import LIFETIME, SessionSigner, signing_key

WINDOW, PER_CLIENT, IN_TOTAL = LOGINS


class Clock:
    def __init__(self, now: float = 0) -> None:
        self.now = now

    def __call__(self) -> Any:
        return self.now


def signer(clock: Clock, key: bytes = b"key") -> SessionSigner:
    numbers = iter(range(10**6))
    return SessionSigner(key, clock, lambda size: f"{next(numbers):0{2 * size}x}")


def test_a_session_lasts_its_time() -> None:
    clock = Clock(NOW)
    made = signer(clock)
    session, cookie = made.begin()
    assert made.session_of(cookie) == session
    clock.now += LIFETIME - 1
    assert made.session_of(cookie) == session
    clock.now += 1
    assert made.session_of(cookie) is None


def test_a_session_that_was_ended_is_over() -> None:
    made = signer(Clock(NOW))
    session, cookie = made.begin()
    _, other = made.begin()
    made.end(session)
    assert made.session_of(cookie) is None and made.session_of(other) is not None


@pytest.mark.parametrize("cookie", ["", ".", "a.b.c", "a.9999999999999.", "\udcff.1.2", "a" * 5000])
def test_what_we_did_not_sign_is_no_session(cookie: str) -> None:
    assert signer(Clock(NOW)).session_of(cookie) is None


def test_a_cookie_cannot_be_changed_or_made_elsewhere() -> None:
    made = signer(Clock(NOW))
    session, cookie = made.begin()
    id, expires, signature = cookie.split(".")
    assert made.session_of(f"{id}.{int(expires) + HOUR}.{signature}") is None
    assert made.session_of(f"{id}x.{expires}.{signature}") is None
    assert signer(Clock(NOW), b"other").session_of(cookie) is None
    # a token of a form is no session, nor the other way round
    assert made.session_of(f"{session.id}.{made.form_token(session.id)}") is None
    assert not made.is_form_token(session.id, f"{expires}.{signature}")


def test_a_form_token_belongs_to_its_session() -> None:
    made = signer(Clock(NOW))
    first, second = made.form_token("a"), made.form_token("a")
    assert first != second
    assert made.is_form_token("a", first) and made.is_form_token("a", second)
    assert not made.is_form_token("b", first) and not made.is_form_token("a", first[:-1])
    assert not made.is_form_token("", "") and not made.is_form_token("a", "\udcff")


def test_the_key_follows_from_secret_and_token() -> None:
    """A new admin token ends all sessions; without a secret the key is random."""
    key = signing_key("s", "t", lambda size: b"r" * size)
    assert key == signing_key("s", "t", lambda size: b"x" * size)
    assert len({key, signing_key("s", "u", bytes), signing_key("", "t", lambda size: b"r" * size)}) == 3


def test_attempts_are_limited_per_client() -> None:
    clock = Clock()
    limits = AttemptLimits(LOGINS, clock)
    assert [limits.attempt("a") for _ in range(PER_CLIENT)] == [0.0] * PER_CLIENT
    clock.now = 60
    assert limits.attempt("a") == WINDOW - 60 and limits.attempt("b") == 0
    clock.now = WINDOW
    assert limits.attempt("a") == 0


def test_attempts_are_limited_in_total() -> None:
    limits = AttemptLimits(LOGINS, Clock())
    assert {limits.attempt(str(number)) for number in range(IN_TOTAL)} == {0.0}
    assert limits.attempt("new") == WINDOW


def test_a_success_frees_its_client_alone() -> None:
    limits = AttemptLimits(LOGINS, Clock())
    for _ in range(PER_CLIENT):
        limits.attempt("a")
        limits.attempt("b")
    limits.forget("a")
    assert limits.attempt("a") == 0 and limits.attempt("b") > 0


def test_memory_of_clients_is_bounded() -> None:
    clock = Clock()
    limits = AttemptLimits(LOGINS, clock)
    for number in range(MOST_CLIENTS + 50):
        clock.now += WINDOW / 50
        limits.attempt(str(number))
    assert len(limits._clients) <= MOST_CLIENTS


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "", "evil", "/a\nb"])
def test_nobody_is_sent_elsewhere_after_signing_in(path: str) -> None:
    assert local_path(path) == "/dashboard"
    assert local_path("/dashboard?period=7d") == "/dashboard?period=7d"


def token_in(text: str) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', text)
    assert found
    return found[1]


def cookie_in(headers: Any, name: str) -> str:
    return next(value for value in headers.getall("Set-Cookie") if value.startswith(f"{name}="))


async def attempt(server: Server, token: str, **headers: str) -> tuple[int, Any, str]:
    """Open the login form and send it."""
    status, shown, text = await server.get("/login?next=/dashboard%3Fperiod%3D7d")
    assert status == 200
    cookie = cookie_in(shown, "rev_login").partition(";")[0]
    form = {"form_token": token_in(text), "next": "/dashboard?period=7d", "token": token}
    return await server.send("POST", "/login", form, Cookie=cookie, **headers)


async def test_the_admin_token_signs_in(server: Server) -> None:
    """To where one wanted to go; the cookie is out of reach of scripts and of other sites."""
    status, headers, _ = await attempt(server, ADMIN)
    assert (status, headers["Location"]) == (303, "/dashboard?period=7d")
    cookie = cookie_in(headers, "rev_session")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    status, _, text = await server.get("/dashboard", Cookie=cookie.partition(";")[0])
    assert status == 200 and "Overview" in text


async def test_behind_https_the_cookie_is_secure(server: Server) -> None:
    _, headers, _ = await attempt(server, ADMIN, X_Forwarded_Proto="https")
    assert "Secure" in cookie_in(headers, "rev_session").split("; ")


async def test_a_wrong_token_is_refused_and_then_limited(server: Server) -> None:
    for _ in range(PER_CLIENT):
        status, headers, text = await attempt(server, "guess")
        assert status == 401 and "This is not the admin token." in text
        assert "rev_session" not in str(headers)
    status, headers, text = await attempt(server, ADMIN)
    assert (status, headers["Retry-After"]) == (429, "301") and "Try again in 6 minutes" in text
    # another client is another client, as the proxy says
    assert (await attempt(server, ADMIN, X_Forwarded_For="1.2.3.4, 5.6.7.8"))[0] == 303
    server.monotonic += WINDOW
    assert (await attempt(server, ADMIN))[0] == 303


async def test_a_forged_login_is_refused(server: Server) -> None:
    status, _, text = await server.send("POST", "/login", {"token": ADMIN})
    assert status == 403 and "Please try again" in text


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/x-www-form-urlencoded; charset=none", b"token=x", 400),
        ("application/x-www-form-urlencoded", b"token=\xff", 400),
        ("multipart/form-data", b"no boundary", 403),
        ("application/json", b"{}", 403),
        ("application/x-www-form-urlencoded", b"token=%FF&form_token=%00", 403),
    ],
)
async def test_a_body_that_is_no_form_is_refused(server: Server, kind: str, body: bytes, expected: int) -> None:
    """By the login, and by what needs a session."""
    assert server.session is not None
    for path, cookie in (("/login", {}), ("/logout", server.signed_in())):
        headers = {"Content-Type": kind, **cookie}
        async with server.session.post(server.url + path, data=body, headers=headers, allow_redirects=False) as answer:
            assert answer.status == expected


async def test_without_an_admin_token_nobody_signs_in(serving: Callable[..., Any]) -> None:
    server = await serving(REV_ADMIN_TOKEN="")
    status, _, text = await attempt(server, "")
    assert status == 403 and "REV_ADMIN_TOKEN is empty" in text


async def test_signing_out_needs_the_form_and_ends_the_session(server: Server) -> None:
    cookie = server.signed_in()
    assert (await server.send("POST", "/logout", {"form_token": "x"}, **cookie))[0] == 403
    _, _, text = await server.get("/dashboard", **cookie)
    status, headers, _ = await server.send("POST", "/logout", {"form_token": token_in(text)}, **cookie)
    assert (status, headers["Location"]) == (303, "/login")
    assert (await server.get("/dashboard", **cookie))[0] == 303


async def test_the_token_of_another_session_is_refused(server: Server) -> None:
    _, _, text = await server.get("/dashboard", **server.signed_in())
    assert (await server.send("POST", "/logout", {"form_token": token_in(text)}, **server.signed_in()))[0] == 403
