"""Bad input of each dialect: refused as its client understands it, and nothing, or only what is right, is recorded."""

import base64
import gzip
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from prometheus_client import REGISTRY

from ingest.dialects.recording import MAX_MAPPED
from schemas.commands import Meter, decode
from streams.errors import NotRecorded
from tests.unit.ingest.dialects.golden import FORM, SIGNALS, STRIPE_V1

OPENMETER, LAGO, LAGO_MANY = "/openmeter/api/v1/events", "/lago/api/v1/events", "/lago/api/v1/events/batch"
STRIPE, PAID = "/stripe/v1/billing/meter_events", "/paid/api/v2/signals/bulk"


def cloud(**more: Any) -> dict[str, Any]:
    return {"id": "1", "source": "app", "type": "chat", "subject": "acme-corp", "data": {}, **more}


def lago(**more: Any) -> dict[str, Any]:
    return {"transaction_id": "1", "external_subscription_id": "acme-corp", "code": "chat", **more}


class Refused(NamedTuple):
    """A request, its status, and the words of its refusal, at a path in the response."""

    name: str
    path: str
    body: Any
    status: int
    at: tuple[str, ...]
    says: str
    headers: Mapping[str, str] = MappingProxyType({})


OM, LG, ST, PD = ("detail",), ("error_details", "event"), ("error", "message"), ("error", "message")
REFUSED = [
    Refused("openmeter: no JSON", OPENMETER, b"{", 400, OM, "the body is not valid JSON"),
    Refused("openmeter: no id", OPENMETER, cloud(id=None), 400, OM, "id is required"),
    Refused("openmeter: no subject", OPENMETER, cloud(subject=""), 400, OM, "subject is required"),
    Refused("openmeter: data is text", OPENMETER, cloud(data="x"), 400, OM, "data must be a JSON object"),
    Refused("openmeter: no price", OPENMETER, cloud(type="dance"), 400, OM, "no price for action 'dance'"),
    Refused("openmeter: no zone", OPENMETER, cloud(time="2026-04-26T12:00:00"), 400, OM, "time must have a time zone"),
    Refused("openmeter: old", OPENMETER, cloud(time="2026-01-01T00:00:00Z"), 400, OM, "time must be at most 35 days"),
    Refused("openmeter: tokens", OPENMETER, cloud(data={"tokens": -1}), 400, OM, "tokens must be an integer"),
    Refused("openmeter: half tokens", OPENMETER, cloud(data={"tokens": 1.5}), 400, OM, "tokens must be an integer"),
    Refused("openmeter: no rate", OPENMETER, cloud(data={"value": 3}), 400, OM, "quantities.value must have a rate"),
    Refused("openmeter: other customer", OPENMETER, cloud(subject="else"), 403, OM, "subject must be the customer of"),
    Refused("openmeter: a name", OPENMETER, cloud(type="chat\u200b"), 400, OM, "type must not contain the invisible"),
    Refused("openmeter: second", OPENMETER, [cloud(), cloud(id="2", type="dance")], 400, OM, "events[1]: no price"),
    Refused("openmeter: gzip", OPENMETER, b"no gzip", 400, OM, "not valid gzip", {"Content-Encoding": "gzip"}),
    Refused("lago: nothing", LAGO, {}, 422, LG, "event is required"),
    Refused("lago: no id", LAGO, {"event": lago(transaction_id=None)}, 422, LG, "transaction_id is required"),
    Refused("lago: time", LAGO, {"event": lago(timestamp="soon")}, 422, LG, "timestamp must be an ISO 8601 time"),
    Refused("lago: ahead", LAGO, {"event": lago(timestamp=1777205400)}, 422, LG, "timestamp must be at most 5 minutes"),
    Refused("lago: far", LAGO, {"event": lago(timestamp="9" * 20)}, 422, LG, "timestamp must be at most 5 minutes"),
    Refused("lago: code", LAGO, {"event": lago(code="x" * 257)}, 422, LG, "code must have 1 to 256 characters"),
    Refused("lago: type", LAGO, {"event": lago(code=7)}, 422, LG, "code must be a string"),
    Refused(
        "lago: second",
        LAGO_MANY,
        {"events": [lago(), lago(transaction_id="2", code="dance")]},
        422,
        ("error_details", "1", "event"),
        "no price",
    ),
    Refused("stripe: no name", STRIPE, b"payload[stripe_customer_id]=a", 400, ST, "event_name is required", FORM),
    Refused("stripe: no customer", STRIPE, b"event_name=chat", 400, ST, "payload.stripe_customer_id is required", FORM),
    Refused("stripe: JSON", STRIPE, b"{}", 415, ST, "Content-Type must be application/x-", {"Content-Type": "a/b"}),
    Refused("stripe: bytes", STRIPE, b"event_name=%ff", 400, ST, "the body must be a form in UTF-8", FORM),
    Refused("stripe: fields", STRIPE, b"a=1&" * 1001, 400, ST, "at most 1000 fields", FORM),
    Refused("paid: nothing", PAID, {}, 400, PD, "signals is required"),
    Refused("paid: a list", PAID, [], 400, PD, "the body must be a JSON object"),
]  # fmt: skip


def metered(gateway: Any) -> list[Any]:
    commands = [decode(value) for value in gateway.log.values()]
    return [event for command in commands if isinstance(command, Meter) for event in command.events]


@pytest.mark.parametrize("bad", REFUSED, ids=lambda bad: bad.name)
async def test_bad_input_is_refused_and_named(gateway: Any, key: str, bad: Refused) -> None:
    answer = await gateway.call("POST", bad.path, bad.body, key, **bad.headers)
    assert answer.status == bad.status, answer.text
    words = answer.json
    for name in bad.at:
        words = words[name]
    assert bad.says in (words[0] if isinstance(words, list) else words)
    assert metered(gateway) == []


@pytest.mark.parametrize("path", [OPENMETER, LAGO, STRIPE, PAID])
async def test_a_wrong_key_is_a_401_in_the_dialects_shape(gateway: Any, key: str, path: str) -> None:
    """Without a key, with another header, and with a key that does not exist."""
    for headers in ({}, {"X-Api-Key": key}, {"Authorization": "Bearer rg_nobody"}, {"Authorization": f"Token {key}"}):
        answer = await gateway.call("POST", path, b"", **headers)
        assert answer.status == 401
        said = json.dumps(answer.json)
        assert ("API key" in said and "code" not in answer.json) or path == LAGO
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert metered(gateway) == []


async def test_a_gzip_bomb_is_a_413_before_it_is_inflated(gateway: Any, key: str) -> None:
    """100 MB of blanks in 100 KB."""
    bomb = gzip.compress(b" " * 100_000_000)
    for path, body in ((OPENMETER, bomb), (LAGO_MANY, bomb), (PAID, bomb)):
        answer = await gateway.call("POST", path, body, key, Content_Encoding="gzip")
        assert answer.status == 413, answer.text
    assert metered(gateway) == []


async def test_a_body_has_a_bounded_number_of_events(gateway: Any, key: str) -> None:
    """One more than the most is a 413; the most is recorded, in commands of 1,000."""
    many = [cloud(id=str(number)) for number in range(MAX_MAPPED + 1)]
    answer = await gateway.call("POST", OPENMETER, many, key)
    assert (answer.status, answer.json["detail"]) == (413, "the body must hold at most 10000 events, not 10001")
    assert metered(gateway) == []
    assert (await gateway.call("POST", OPENMETER, many[1:], key)).status == 204
    assert len({event.idempotency_key for event in metered(gateway)}) == MAX_MAPPED


async def test_a_body_of_several_customers_is_recorded_for_each(gateway: Any) -> None:
    """With a platform key; each customer's events are in commands of its own, and all have a new customer listed."""
    platform = await gateway.make_key("*")
    many = [cloud(id=str(number), subject=f"customer-{number % 3}") for number in range(30)]
    assert (await gateway.call("POST", OPENMETER, many, platform)).status == 204
    commands = [command for value in gateway.log.values() if isinstance(command := decode(value), Meter)]
    assert sorted(command.customer_id for command in commands) == [f"customer-{number}" for number in range(3)]
    assert {len(command.events) for command in commands} == {10}
    assert {"customer-0", "customer-1", "customer-2"} <= gateway.context.view.customers.keys()


async def test_a_request_that_is_recorded_in_part_is_repeated_and_charged_once(
    gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log takes one customer's events and not the other's: the whole request fails, and its repeat is safe."""
    platform = await gateway.make_key("*")
    many = [cloud(id=str(number), subject=f"customer-{number % 2}") for number in range(10)]
    append = gateway.log.append

    async def fails(key: bytes, *rest: Any, **more: Any) -> Any:
        if key == b"customer-1":
            raise NotRecorded("down")
        return await append(key, *rest, **more)

    monkeypatch.setattr(gateway.log, "append", fails)
    answer = await gateway.call("POST", OPENMETER, many, platform)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert len(metered(gateway)) == 5
    monkeypatch.setattr(gateway.log, "append", append)
    assert (await gateway.call("POST", OPENMETER, many, platform)).status == 204
    gateway.settle()
    charged = [(row.customer_id, row.idempotency_key) for row in gateway.ledger.rows if row.kind == "event"]
    assert sorted(charged) == [(f"customer-{number % 2}", f"app {number}") for number in (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)]


async def test_what_the_log_does_not_take_is_to_be_repeated(gateway: Any, key: str) -> None:
    """A 503 with Retry-After, whose shape says that nothing was decided; the repeat is recorded."""
    gateway.log.error = NotRecorded("down")
    for path, body, headers in [
        (OPENMETER, cloud(), {}),
        (LAGO, {"event": lago()}, {}),
        (STRIPE, STRIPE_V1.replace(b"value", b"seats"), FORM),
        (PAID, SIGNALS, {}),
    ]:
        answer = await gateway.call("POST", path, body, key, **headers)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert path != STRIPE or answer.headers["Stripe-Should-Retry"] == "true"
    gateway.log.error = None
    assert metered(gateway) == []
    assert (await gateway.call("POST", OPENMETER, cloud(), key)).status == 204


@pytest.mark.parametrize(
    ("path", "first", "second", "status"),
    [
        (OPENMETER, cloud(), cloud(data={"tokens": 1}), 409),
        (LAGO, {"event": lago()}, {"event": lago(properties={"tokens": 1})}, 422),
    ],
)
async def test_a_key_with_another_event_is_a_conflict_that_is_not_repeated(
    gateway: Any, key: str, path: str, first: Any, second: Any, status: int
) -> None:
    assert (await gateway.call("POST", path, first, key)).status in (200, 204)
    answer = await gateway.call("POST", path, second, key)
    assert answer.status == status and "was used with a different body" in answer.text


async def test_stripes_conflict_is_no_409_which_its_clients_repeat(gateway: Any, key: str) -> None:
    event = b"event_name=chat&payload[stripe_customer_id]=acme-corp&identifier=1"
    assert (await gateway.call("POST", STRIPE, event, key, **FORM)).status == 200
    answer = await gateway.call("POST", STRIPE, event + b"&payload[tokens]=1", key, **FORM)
    assert (answer.status, answer.json["error"]["type"]) == (400, "idempotency_error")
    assert answer.headers["Stripe-Should-Retry"] == "false"


async def test_paid_records_the_good_signals_and_says_which_failed(gateway: Any, key: str) -> None:
    """One without a price, one that is no object, one that was sent before with another body."""
    good = json.loads(SIGNALS)["signals"][0]
    assert (await gateway.call("POST", PAID, {"signals": [good]}, key)).json["ingested"] == 1
    signals = [
        good,
        {**good, "idempotencyKey": "2"},
        {**good, "eventName": "dance", "idempotencyKey": "3"},
        7,
        {**good, "data": {}},
    ]
    answer = await gateway.call("POST", PAID, {"signals": signals}, key)
    assert answer.status == 200
    assert (answer.json["ingested"], answer.json["duplicates"], answer.json["failed"]) == (1, 1, 3)
    assert [one["index"] for one in answer.json["errors"]] == [2, 3, 4]
    gateway.settle()
    charged = [row.idempotency_key for row in gateway.ledger.rows if row.kind == "event"]
    assert sorted(charged) == ["2", "sig-1"]


@pytest.mark.parametrize(
    ("prefix", "scheme"), [("", "Bearer "), ("sk_test_", "Bearer "), ("sk_live_", "Bearer "), ("", "Basic ")]
)
async def test_stripes_keys_are_read_as_its_clients_send_them(gateway: Any, key: str, prefix: str, scheme: str) -> None:
    secret = prefix + key
    if scheme == "Basic ":
        secret = base64.b64encode(f"{secret}:".encode()).decode()
    event = b"event_name=chat&payload[stripe_customer_id]=acme-corp"
    answer = await gateway.call("POST", STRIPE, event, Authorization=scheme + secret, **FORM)
    assert answer.status == 200, answer.text
    assert answer.json["timestamp"] == 1_777_204_800


async def test_a_test_key_records_test_events(gateway: Any) -> None:
    """As everywhere, the key decides; Stripe's response says so in livemode."""
    secret = await gateway.make_key("acme-corp", test=True)
    event = b"event_name=chat&payload[stripe_customer_id]=acme-corp"
    answer = await gateway.call("POST", STRIPE, event, secret, **FORM)
    assert answer.json["livemode"] is False
    (command,) = [command for value in gateway.log.values() if isinstance(command := decode(value), Meter)]
    assert command.test


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        (1777204740, 1777204740_000),
        ("1777204740", 1777204740_000),
        ("1777204740.5", 1777204740_500),
        (1777204740.25, 1777204740_250),
        (1777204740_000, 1777204740_000),
        (1777204740_000_000, 1777204740_000),
        (1777204740_000_000_000, 1777204740_000),
        ("2026-04-26T11:59:00Z", 1777204740_000),
        ("2026-04-26T13:59:00+02:00", 1777204740_000),
        (None, None),
    ],
)
async def test_times_of_every_unit_are_the_same_time(gateway: Any, key: str, given: Any, recorded: int | None) -> None:
    assert (await gateway.call("POST", LAGO, {"event": lago(timestamp=given)}, key)).status == 200
    (event,) = metered(gateway)
    assert event.event_time == recorded


async def test_an_unknown_dialect_or_path_is_named(gateway: Any, key: str) -> None:
    for query, status, says in [
        ("", 400, "dialect is required"),
        ("?dialect=cobol", 404, "dialect must be one of revenium, otlp, openmeter"),
        ("?dialect=lago&path=/lago", 404, "path must be one of /lago/api/v1/events, /lago"),
        ("?dialect=lago&colour=red", 400, "unknown query parameter 'colour'"),
    ]:
        answer = await gateway.call("POST", "/v1/explain" + query, b"{}", key)
        assert (answer.status, says in answer.json["error"]) == (status, True), answer.text


async def test_refused_events_are_counted_and_named_in_the_log(
    gateway: Any, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a request that is refused as a whole, and of one that is recorded in part; not what comes again."""
    before = refused_so_far("openmeter"), refused_so_far("paid")
    await gateway.call("POST", OPENMETER, [cloud(), cloud(id="2", type="dance")], key)
    await gateway.call("POST", OPENMETER, cloud(), "rg_nobody")
    signal = {"eventName": "dance", "customer": {"externalCustomerId": "acme-corp"}}
    await gateway.call("POST", PAID, {"signals": [signal, signal]}, key)
    assert (refused_so_far("openmeter"), refused_so_far("paid")) == (before[0] + 1, before[1] + 2)
    said = capsys.readouterr().out
    assert said.count("events of a client refused") == 2 and said.count("no price for action 'dance'") == 3


def refused_so_far(dialect: str) -> float:
    return (
        REGISTRY.get_sample_value("rev_ingest_dialect_events_total", {"dialect": dialect, "result": "refused"}) or 0.0
    )


async def test_explain_says_what_would_be_refused(gateway: Any, key: str) -> None:
    many = [cloud(), cloud(id="2", type="dance")]
    shown = (await gateway.call("POST", "/v1/explain?dialect=openmeter", many, key)).json
    assert [one.get("error") for one in shown["events"]] == [None, "no price for action 'dance'"]
    assert str(shown["total_cents"]) == "0.1"
    assert metered(gateway) == []
