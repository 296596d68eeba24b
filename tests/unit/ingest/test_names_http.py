"""Names that cannot be told apart by eye are no new names: a table of kinds × fields, over HTTP."""

import unicodedata
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import plain_names
from ingest.problems import Invalid

ADMIN = "the-admin-token"
FINE = [
    *("acme", "Acme", "a b", "a\u00a0b", "caf\u00e9", "日本", "👩\u200d💻", "\u0645\u06cc\u200c\u062e"),
    *("x" * 256, "a-b_c.d/e", "'", "०"),
]
BAD = {
    " acme": "whitespace",
    "acme ": "whitespace",
    "   ": "whitespace",
    "\u00a0acme": "whitespace",
    "acme\u3000": "whitespace",
    "acme\u2003": "whitespace",
    "acme\u2028": "whitespace",
    "\ufeffacme": "U+FEFF",
    "acme\u200b": "U+200B",
    "ac\u200bme": "U+200B",
    "ac\u00adme": "U+00AD",
    "\u202eemca": "U+202E",
    "ac\u2066me": "U+2066",
    "ac\u2029me": "U+2029",
    "\u3164": "U+3164",
    "cafe\u0301": "NFC",
    "\u212bngstr\u00f6m": "NFC",
    "A\u030angstrom": "NFC",
    "a\tb": "control",
    "a\u0085b": "control",
}


@pytest.mark.parametrize("name", FINE)
def test_names_that_may_be(name: str) -> None:
    """Case, blanks within, joiners of scripts and emoji are part of a name."""
    plain_names.check("agent_id", name)


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_names_that_may_not_be(name: str) -> None:
    """The message names the field, says what is wrong and shows what cannot be seen."""
    with pytest.raises(Invalid, match=r"^agent_id must") as refused:
        plain_names.check("agent_id", name)
    assert BAD[name] in refused.value.error and refused.value.error.isascii()


@given(st.text(min_size=1))
def test_what_passes_is_one_form(name: str) -> None:
    """What is let in is its own NFC form and its own stripped form."""
    try:
        plain_names.check("n", name)
    except Invalid:
        return
    assert name == unicodedata.normalize("NFC", name) == name.strip()


EVENT = {"agent_id": "a", "action": "completion"}
TASK = {"task_id": "t", "agent_id": "a", "price_on_success": 1, "expires_at": "2031-01-01T00:00:00Z"}
EVENT_FIELDS = ["agent_id", "action", "idempotency_key", "task_id", "model", "provider", "trace_id"]
CASES = [
    *(("/v1/meter", EVENT, field, "key") for field in EVENT_FIELDS),
    *(("/v1/outcomes", TASK, field, "key") for field in ("task_id", "agent_id", "idempotency_key")),
    *((path, body, "customer_id", "platform") for path, body in (("/v1/meter", EVENT), ("/v1/outcomes", TASK))),
    ("/v1/outcomes/t/resolve", {"success": True}, "idempotency_key", "key"),
    ("/api/admin/api-keys", {"customer_id": "x"}, "customer_id", "admin"),
    ("/api/admin/api-keys", {"customer_id": "x"}, "customer_name", "admin"),
    ("/api/admin/pricing", {"action_type": "x"}, "action_type", "admin"),
    ("/api/admin/pricing", {"action_type": "x"}, "customer_id", "admin"),
]


@pytest.mark.parametrize(("path", "body", "field", "who"), CASES)
async def test_every_name_is_held_to_it(gateway: Any, key: str, path: str, body: Any, field: str, who: str) -> None:
    """A 400 that names the field, and nothing is recorded."""
    token = {"key": key, "platform": await gateway.make_key("*"), "admin": ADMIN}[who]
    before = sum(map(len, gateway.log.raw))
    for name, why in BAD.items():
        sent = {"customer_id": "acme-corp", **body} if who == "platform" else body
        answer = await gateway.call("POST", path, {**sent, field: name}, token)
        assert (answer.status, answer.json["code"]) == (400, "invalid_request"), answer.text
        assert field in answer.json["error"] and (why in answer.json["error"] or "reserved" in answer.json["error"])
    assert sum(map(len, gateway.log.raw)) == before


async def test_every_event_of_a_batch_is_held_to_it(gateway: Any, key: str) -> None:
    """Each bad one is named by its index."""
    events = [{**EVENT, "agent_id": name} for name in ("fine", *BAD)]
    answer = await gateway.call("POST", "/v1/meter/batch", {"events": events}, key)
    assert [error["index"] for error in answer.json["errors"]] == list(range(1, len(events)))


@pytest.mark.parametrize("name", ["acme ", "cafe\u0301"])
async def test_a_customer_of_before_keeps_its_id(gateway: Any, name: str) -> None:
    """Its own key, a platform's key, a new key and a price for it, and a change of it go on working."""
    from schemas.commands import CreateKey, encode
    from schemas.topics import CONFIG_KEY

    await gateway.log.append(CONFIG_KEY, encode(CreateKey(name, "0" * 64, "rg_…")))
    platform, own = await gateway.make_key("*"), await gateway.make_key(name)
    assert (await gateway.call("POST", "/v1/meter", EVENT, own)).status == 201
    assert (await gateway.call("POST", "/v1/meter", {**EVENT, "customer_id": name}, platform)).status == 201
    price = {"action_type": "x", "customer_id": name}
    assert (await gateway.call("POST", "/api/admin/pricing", price, ADMIN)).status == 201
    changed = await gateway.call("PATCH", f"/api/admin/customers/{quote(name)}", {"name": "N"}, ADMIN)
    assert changed.status == 200, changed.text
