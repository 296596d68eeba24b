"""Sign-up: a key for a visitor, once; what is refused, how often, and where the UTM parameters go."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.web.conftest import Server
from web.attempt_limits import SIGNUPS
from web.web_refusals import Refusal, away

GIVEN = {"email": "ann@example.com", "name": "Ann's Agents"}
UTM = {"utm_source": "twitter", "utm_medium": "social", "utm_campaign": "launch day"}
MARKUP = "\"'><img src=x onerror=alert(1)>"


async def post(server: Server, body: Any, **headers: str) -> tuple[int, Any, str]:
    """Status, headers and text of POST /api/signup."""
    assert server.session is not None
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with server.session.post(server.url + "/api/signup", json=body, headers=sent) as answer:
        return answer.status, answer.headers, await answer.text()


async def sign_up(server: Server, form: dict[str, str], page: str = "/signup", **headers: str) -> tuple[int, Any, str]:
    """Open a page with the form, fill it in and send it, as a browser without script does."""
    _, shown, text = await server.get(page)
    cookie = re.search(r"rev_guest=[^;]+", str(shown.getall("Set-Cookie")))
    assert cookie
    body = text[text.index('action="/signup"') :]
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', body))
    return await server.send("POST", "/signup", {**hidden, **form}, Cookie=cookie[0], **headers)


def made(server: Server) -> list[Any]:
    """The bodies that the gateway was sent."""
    return [body for method, _, body in server.gateway.asked if method == "POST"]


async def test_a_visitor_gets_a_key_and_the_first_command(server: Server) -> None:
    """From the landing page, with where they came from; nothing keeps the page."""
    query = "?utm_source=twitter&utm_medium=social&utm_campaign=launch+day&other=1"
    status, headers, text = await sign_up(server, GIVEN, "/" + query)
    assert (status, headers["Cache-Control"]) == (201, "no-store")
    (sent,) = made(server)
    assert sent["customer_name"] == "Ann's Agents" and sent["signup"] == {"email": "ann@example.com", **UTM}
    assert re.fullmatch(r"cus_[0-9a-f]{32}", sent["customer_id"]) and sent["customer_id"] in text
    key = re.search(r"<code>(rg_[0-9a-f]{40})</code>", text)
    assert key and f"curl {server.url}/v1/meter" in text and f"Bearer {key[1]}&#34;" in text


async def test_the_parameters_follow_the_visitor(server: Server) -> None:
    """In the links of the shell, also by way of the prices; what no name may hold is left out."""
    _, _, text = await server.get("/?utm_source=%E2%80%8Bx%0A&utm_medium=cafe%CC%81&utm_campaign=%20")
    assert 'href="/signup?utm_source=x&amp;utm_medium=caf%C3%A9"' in text and 'href="/pricing?utm_source=x' in text
    _, _, text = await server.get("/signup?utm_source=" + "x" * 300)
    assert f'name="utm_source" value="{"x" * 256}"' in text


async def test_the_api_answers_as_the_contract_says(server: Server) -> None:
    status, _, text = await post(server, {**GIVEN, **UTM, "utm_medium": None})
    assert status == 201 and re.fullmatch(r'\{"customer_id":"cus_\w{32}","api_key":"rg_\w{40}"\}', text)
    status, _, again = await post(server, GIVEN)
    assert status == 201 and again != text
    assert made(server)[0]["signup"] == {
        "email": "ann@example.com",
        "utm_source": "twitter",
        "utm_campaign": "launch day",
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "email"),
        ({"email": "a@b.c"}, "name"),
        ({**GIVEN, "name": ""}, "name"),
        ({**GIVEN, "name": 5}, "name"),
        ({**GIVEN, "name": "x" * 257}, "name"),
        ({**GIVEN, "utm_source": ["x"]}, "utm_source"),
        ({**GIVEN, "utm_campaign": "x" * 257}, "utm_campaign"),
        ({**GIVEN, "customer_id": "acme"}, "unknown field 'customer_id'"),
        *(
            ({**GIVEN, "email": email}, "email")
            for email in ("a", "a@", "@b", "a b@c.d", "a@b@c", "<a@b.c>", "a@b.", "x" * 65 + "@b.c", "a@" + "b" * 254)
        ),
        ([], "JSON object"),
    ],
)
async def test_bad_input_is_refused_by_name(server: Server, body: Any, field: str) -> None:
    """A 400, nothing is made, and it counts as no attempt."""
    for _ in range(SIGNUPS.per_client + 1):
        status, _, text = await post(server, body)
        assert status == 400 and field in text
    assert made(server) == []


async def test_what_the_gateway_refuses_names_the_field_of_the_form(server: Server) -> None:
    """A name that is not in NFC; and a failure of the API is no detail for a visitor."""
    server.gateway.refusal = Refusal(
        400, "invalid_request", "customer_name must be in Unicode NFC: send 'a' instead of 'b'"
    )
    status, _, text = await post(server, GIVEN)
    assert status == 400 and '"name must be in Unicode NFC' in text
    status, _, text = await sign_up(server, GIVEN)
    assert status == 400 and "Name must be in Unicode NFC" in text and 'value="ann@example.com"' in text
    server.gateway.refusal = Refusal(401, "unauthorized", "the admin token is wrong")
    status, _, text = await post(server, GIVEN)
    assert status == 503 and "admin token" not in text
    server.gateway.refusal = away("the API does not answer")
    assert (await sign_up(server, GIVEN))[0] == 503


async def test_sign_ups_are_limited_by_address_and_in_total(server: Server) -> None:
    """5 an hour from one address, 100 from all; the clock is the test's."""
    for _ in range(SIGNUPS.per_client):
        assert (await post(server, GIVEN))[0] == 201
    status, headers, text = await post(server, GIVEN)
    assert (status, headers["Retry-After"]) == (429, "3601") and "too many sign-ups" in text
    status, _, text = await sign_up(server, GIVEN)
    assert status == 429 and "Too many sign-ups; try again in 61 minutes." in text
    for number in range(SIGNUPS.in_total - SIGNUPS.per_client):
        assert (await post(server, GIVEN, X_Forwarded_For=f"10.0.0.{number}"))[0] == 201
    assert (await post(server, GIVEN, X_Forwarded_For="10.0.1.1"))[0] == 429
    server.monotonic += SIGNUPS.window
    assert (await post(server, GIVEN))[0] == 201
    assert len(made(server)) == SIGNUPS.in_total + 1


async def test_another_site_cannot_sign_anybody_up(server: Server) -> None:
    """Neither with a form without its token, nor with JSON that a form can send."""
    status, _, text = await server.send("POST", "/signup", {**GIVEN, "form_token": "x"})
    assert status == 403 and "open for too long" in text
    assert server.session is not None
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        async with server.session.post(
            server.url + "/api/signup", data=b'{"email":"a@b.c","name":"x"}', headers={"Content-Type": kind}
        ) as answer:
            assert answer.status == 415
    assert made(server) == []


async def test_markup_in_any_field_is_text(server: Server) -> None:
    """In what comes back in the form, in what the link brought, and in the result."""
    _, _, text = await server.get(f"/signup?utm_source={MARKUP}&utm_campaign={MARKUP}")
    assert "<img" not in text and "onerror=alert(1)&gt;" in text
    status, _, text = await sign_up(server, {"name": MARKUP, "email": MARKUP, "utm_medium": MARKUP})
    assert status == 400 and "<img" not in text and "&lt;img" in text
    status, _, text = await sign_up(server, {**GIVEN, "name": MARKUP})
    assert status == 201 and "<img" not in text
    _, _, text = await server.get("/", Host=MARKUP.replace(" ", ""))
    assert "<img" not in text


async def test_it_is_off_where_strangers_come(serving: Callable[..., Any]) -> None:
    """Unless it is switched on: pages offer nothing, calls are refused."""
    for env, expected in (
        ({"REV_SIGNUP": "off"}, 403),
        ({"REV_HTTP_HOST": "0.0.0.0"}, 403),
        ({"REV_HTTP_HOST": "0.0.0.0", "REV_SIGNUP": "on"}, 201),
    ):
        server = await serving(**env)
        assert (await post(server, GIVEN))[0] == expected
        assert ("/signup" in (await server.get("/"))[2]) is (expected == 201)
        assert (await server.get("/signup"))[0] == (200 if expected == 201 else 403)
