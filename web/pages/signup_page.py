"""/signup and POST /api/signup: a visitor becomes a customer with a key, which is shown once."""

import json
import re
from typing import Any

import msgspec
import structlog
from aiohttp import hdrs, web

from schemas.limits import MAX_NAME
from web import metrics
from web.pages.public_frame import GUEST, UTM, kept, public_page
from web.routes import Audience, WebRoute
from web.visits import FORM_FIELD, Visit, client_of
from web.web_refusals import Refusal, invalid

FIELDS = ("email", "name", *UTM)
LONGEST_EMAIL = 254
MINUTE = 60
OFF = "Sign-up is off on this server. Ask its owner for a key."
EVENT = {"agent_id": "agent-copilot", "action": "completion", "tokens": 2400, "outcome": "success"}
"""The first event, as the page shows it."""
_log = structlog.get_logger("web")
_email = re.compile(r"[^\s@,;<>()\[\]\"\\]{1,64}@[^\s@,;<>()\[\]\"\\.]+(?:\.[^\s@,;<>()\[\]\"\\.]+)*")


class SignupResponse(msgspec.Struct, frozen=True):
    """201: the new customer and its key in full, which is shown only here."""

    customer_id: str
    api_key: str


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [
        WebRoute(hdrs.METH_GET, "/signup", Audience.EVERYONE, _show),
        WebRoute(hdrs.METH_POST, "/signup", Audience.EVERYONE, _sign_up),
        WebRoute(hdrs.METH_POST, "/api/signup", Audience.EVERYONE, _sign_up_by_api),
    ]


async def _show(visit: Visit) -> web.Response:
    _check_on(visit)
    return public_page(visit, "signup.html", problem="", given={})


async def _sign_up(visit: Visit) -> web.Response:
    _check_on(visit)
    form = await visit.form()
    given = {name: form.get(name, "").strip() for name in ("email", "name")}
    values = {"problem": "", "given": given, "utm_of": form}
    if not visit.site.signer.is_form_token(visit.request.cookies.get(GUEST, ""), form.get(FORM_FIELD, "")):
        metrics.SIGNUPS.labels("forged").inc()
        return public_page(
            visit, "signup.html", 403, **{**values, "problem": "This page was open for too long. Please try again."}
        )
    try:
        made = await _make(visit, {**given, **kept(form)})
    except Refusal as refusal:
        sentence = refusal.sentence[0].upper() + refusal.sentence[1:]
        response = public_page(visit, "signup.html", refusal.status, **{**values, "problem": sentence + "."})
        response.headers.update(refusal.headers)
        return response
    return public_page(visit, "signed_up.html", 201, made=made, example=_example(visit.address, made.api_key))


async def _sign_up_by_api(visit: Visit) -> web.Response:
    _check_on(visit)
    visit.query(())
    # a form of another site cannot send this type without asking first, and nobody allows it
    if visit.request.content_type != "application/json":
        raise Refusal(415, "unsupported_media_type", "Content-Type must be application/json")
    response = visit.json(await _make(visit, await _body(visit)))
    response.set_status(201)
    return response


async def _body(visit: Visit) -> dict[str, Any]:
    try:
        body = json.loads(await visit.request.read())
    except ValueError as error:
        raise invalid("the body must be JSON") from error
    if not isinstance(body, dict):
        raise invalid("the body must be a JSON object")
    for name in body:
        if name not in FIELDS:
            raise invalid(f"unknown field {name[:100]!r}; known here: {', '.join(FIELDS)}")
    return {name: value for name, value in body.items() if value is not None}


async def _make(visit: Visit, given: dict[str, Any]) -> SignupResponse:
    """Create the customer and its key. Raises Refusal; what is wrong in itself is refused before it is counted."""
    for name in FIELDS:
        _check_text(name, given.get(name))
    if not _email.fullmatch(given["email"]) or len(given["email"]) > LONGEST_EMAIL:
        raise invalid(f"email must be an address such as someone@example.com, at most {LONGEST_EMAIL} characters")
    site, client = visit.site, client_of(visit.request)
    wait = site.signups.attempt(client)
    if wait > 0:
        metrics.SIGNUPS.labels("limited").inc()
        minutes = int(wait) // MINUTE + 1
        sentence = f"too many sign-ups; try again in {minutes} minute{'s' if minutes > 1 else ''}"
        raise Refusal(429, "too_many_requests", sentence, {hdrs.RETRY_AFTER: str(int(wait) + 1)})
    signup = {name: given[name] for name in ("email", *UTM) if given.get(name)}
    body = {"customer_id": f"cus_{site.signer.new_id()}", "customer_name": given["name"], "signup": signup}
    try:
        made = await site.api.call(hdrs.METH_POST, "/api/admin/api-keys", body)
    except Refusal as refusal:
        if refusal.status == 400:
            raise invalid(refusal.sentence.replace("customer_name", "name").replace("signup.", "")) from refusal
        metrics.SIGNUPS.labels("failed").inc()
        _log.warning("sign-up failed", status=refusal.status, code=refusal.code, error=refusal.sentence)
        if refusal.status == 503:
            raise
        raise Refusal(503, "reads_unavailable", "the API refuses this sign-up; its owner sees why") from refusal
    metrics.SIGNUPS.labels("made").inc()
    return SignupResponse(made["customer_id"], made["api_key"])


def _check_text(name: str, value: Any) -> None:
    """Raise Refusal for what is no text, missing or too long; what a name may not hold is the gateway's to refuse."""
    if value is None or value == "":
        if name in UTM:
            return
        raise invalid(f"{name} is required")
    if not isinstance(value, str):
        raise invalid(f"{name} must be text")
    if len(value) > MAX_NAME:
        raise invalid(f"{name} must be at most {MAX_NAME} characters")


def _check_on(visit: Visit) -> None:
    if not visit.site.settings.signup:
        raise Refusal(403, "signup_off", OFF)


def _example(address: str, key: str) -> str:
    """Return the first curl of a new customer, key and all."""
    return "\n".join(
        [
            f"curl {address}/v1/meter \\",
            f'  -H "Authorization: Bearer {key}" \\',
            '  -H "Content-Type: application/json" \\',
            f"  -d '{json.dumps(EVENT)}'",
        ]
    )
