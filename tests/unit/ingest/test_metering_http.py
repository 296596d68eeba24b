"""POST /v1/meter and /v1/meter/batch, answered by the real pricer behind a log in memory."""

import asyncio
import gzip
import json
from decimal import Decimal
from typing import Any

import pytest

from schemas import entries
from schemas.commands import Meter, decode
from schemas.ids import address_of
from schemas.topics import partition_of
from streams.errors import AppendUnknown, NotRecorded
from tests.unit.ingest.malformed_http import BODY, exchange

ADMIN = "the-admin-token"
EVENT = {"agent_id": "agent-copilot", "action": "completion", "tokens": 2400, "outcome": "success"}


def last(gateway: Any) -> Meter:
    command = decode(gateway.log.values()[-1])
    assert isinstance(command, Meter)
    return command


async def test_the_documented_answer_is_given_exactly(gateway: Any, key: str) -> None:
    """The body of API.md, number by number, from the documented request."""
    answer = await gateway.call("POST", "/v1/meter", EVENT, key)
    assert answer.status == 201
    shown = answer.json
    partition, offset, place = address_of(shown["event_id"])
    assert place == 0 and gateway.log.raw[partition][offset].key == b"acme-corp"
    assert shown == {
        "event_id": shown["event_id"],
        "price": {
            "total_cents": Decimal("1.47"),
            "breakdown": {
                "base_rate_cents": Decimal("0.5"),
                "token_charge_cents": Decimal("0.72"),
                "outcome_bonus_cents": Decimal("0.25"),
            },
            "config": {
                "action_type": "completion",
                "base_rate_cents": Decimal("0.5"),
                "token_rate_cents": Decimal("0.0003"),
                "outcome_bonus_cents": Decimal("0.25"),
                "is_default": True,
            },
        },
        "price_charged": Decimal("0.0147"),
        "price_breakdown": {"base": Decimal("0.005"), "tokens": Decimal("0.0072"), "outcome": Decimal("0.0025")},
        "currency": "usd",
        "outcome_id": None,
        "event": {
            "customer_id": "acme-corp",
            "agent_id": "agent-copilot",
            "action": "completion",
            "tokens": 2400,
            "tokens_input": None,
            "tokens_output": None,
            "outcome": "success",
        },
        "created_at": "2026-04-26T12:00:00.000Z",
        "test": False,
        "status": "priced",
    }
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("names", [("tokens_input", "tokens_output"), ("tokens_in", "tokens_out")])
async def test_a_split_of_tokens_is_added_up(gateway: Any, key: str, names: tuple[str, str]) -> None:
    """Both spellings of a split; a missing half is 0."""
    event = {"agent_id": "a", "action": "chat"}
    both = (await gateway.call("POST", "/v1/meter", {**event, names[0]: 1200, names[1]: 340}, key)).json["event"]
    assert (both["tokens"], both["tokens_input"], both["tokens_output"]) == (1540, 1200, 340)
    half = (await gateway.call("POST", "/v1/meter", {**event, names[1]: 7}, key)).json["event"]
    assert (half["tokens"], half["tokens_input"], half["tokens_output"]) == (7, 0, 7)


async def test_a_name_given_twice_counts_with_its_last_value(gateway: Any, key: str) -> None:
    """As docs/api.md says, in an event and in its metadata, which is kept as it was sent."""
    body = b'{"agent_id":"a","action":"chat","tokens":1,"tokens":2400,"metadata":{"x":1,"x":2}}'
    answer = await gateway.call("POST", "/v1/meter", body, key, Idempotency_Key="twice")
    assert (answer.status, answer.json["event"]["tokens"]) == (201, 2400)
    assert bytes(last(gateway).events[0].metadata) == b'{"x":1,"x":2}'
    plain = b'{"agent_id":"a","action":"chat","tokens":2400,"metadata":{"x":2}}'
    again = await gateway.call("POST", "/v1/meter", plain, key, Idempotency_Key="twice")
    assert (again.status, again.headers["Idempotent-Replayed"]) == (201, "true")


async def test_a_refusal_by_the_pricer_has_errors_only_when_there_are_some(gateway: Any, key: str) -> None:
    """A 409 has the three fields of every refusal and no empty list."""
    for agent in ("a", "b"):
        answer = await gateway.call("POST", "/v1/meter", {**EVENT, "agent_id": agent}, key, Idempotency_Key="k")
    assert answer.status == 409 and set(answer.json) == {"error", "code", "request_id"}


async def test_prefer_may_come_in_several_headers(gateway: Any, key: str) -> None:
    """respond-async is honoured wherever it stands."""
    for given in ("wait=5, Respond-Async", "respond-async, handling=lenient"):
        assert (await gateway.call("POST", "/v1/meter", EVENT, key, Prefer=given)).status == 202
    sent = (
        f"POST /v1/meter HTTP/1.1\r\nHost: rev\r\nAuthorization: Bearer {key}\r\nPrefer: wait=5\r\n"
        "Prefer: respond-async\r\nContent-Length: 32\r\n\r\n"
    )
    host, port = gateway.url.removeprefix("http://").split(":")
    assert (await exchange(host, int(port), sent.encode() + BODY)).status == 202


async def test_null_is_the_same_as_absent(gateway: Any, key: str) -> None:
    """Every optional field may be null."""
    names = (
        "tokens tokens_input tokens_output tokens_in tokens_out outcome expires_at on_expiry metadata"
        " idempotency_key timestamp task_id model provider trace_id customer_id"
    )
    body = {"agent_id": "a", "action": "chat", **dict.fromkeys(names.split())}
    assert (await gateway.call("POST", "/v1/meter", body, key)).status == 201
    assert (
        last(gateway).events[0]
        == decode(
            b'{"command":"meter","customer_id":"c","api_key_id":1,"idempotency_window":1,"outcome_ttl":1,'
            b'"events":[{"agent_id":"a","action":"chat"}]}'
        ).events[0]
    )  # type: ignore[union-attr]


async def test_everything_an_event_may_carry_enters_the_log(gateway: Any, key: str) -> None:
    """Normalized: times in ms, metadata as it was sent, settings stamped in."""
    body = (
        b'{"agent_id":"a","action":"email.sent","outcome":"pending","expires_at":"2026-05-01T02:00:00+02:00",'
        b'"on_expiry":"success","metadata": {"n": 1.50, "x":[]} ,"timestamp":"2026-04-26T11:00:00Z",'
        b'"task_id":"t","model":"m","provider":"p","trace_id":"r","idempotency_key":"k"}'
    )
    answer = await gateway.call("POST", "/v1/meter", body, key)
    assert answer.status == 201
    assert answer.json["outcome_id"] == f"oc_{answer.json['event_id']}"
    command = last(gateway)
    event = command.events[0]
    assert bytes(event.metadata) == b'{"n": 1.50, "x":[]}'
    assert (event.expires_at, event.event_time, event.on_expiry) == (1_777_593_600_000, 1_777_201_200_000, "success")
    assert (event.task_id, event.model, event.provider, event.trace_id) == ("t", "m", "p", "r")
    assert command.idempotency_window == 35 * 86_400_000 and command.outcome_ttl == 30 * 86_400_000


async def test_the_same_key_and_body_is_answered_the_same_and_marked(gateway: Any, key: str) -> None:
    """A replay gives the first answer byte for byte, also through the header."""
    first = await gateway.call("POST", "/v1/meter", {**EVENT, "idempotency_key": "k"}, key)
    gateway.now += 60_000
    again = await gateway.call("POST", "/v1/meter", EVENT, key, Idempotency_Key="k")
    assert (first.status, again.status) == (201, 201)
    assert again.text == first.text
    assert "Idempotent-Replayed" not in first.headers and again.headers["Idempotent-Replayed"] == "true"


async def test_the_same_key_with_another_body_is_a_conflict(gateway: Any, key: str) -> None:
    """409 from the pricer, with its words."""
    await gateway.call("POST", "/v1/meter", {**EVENT, "idempotency_key": "k"}, key)
    answer = await gateway.call("POST", "/v1/meter", {**EVENT, "tokens": 1, "idempotency_key": "k"}, key)
    assert answer.status == 409
    assert "key" in answer.json["error"] and answer.json["request_id"]


async def test_a_batch_is_answered_in_order_with_an_exact_sum(gateway: Any, key: str) -> None:
    """Ids follow each other, the total is the exact sum."""
    events = [{**EVENT, "tokens": n} for n in range(5)] + [{**EVENT, "outcome": "pending"}]
    answer = await gateway.call("POST", "/v1/meter/batch", {"events": events}, key)
    assert answer.status == 201
    results = answer.json["results"]
    assert [result["event_id"] - results[0]["event_id"] for result in results] == list(range(6))
    assert answer.json["total_cents"] == sum(result["total_cents"] for result in results) == Decimal("4.973")
    assert [result.get("outcome_id") for result in results] == [None] * 5 + [f"oc_{results[5]['event_id']}"]


async def test_a_batch_header_key_names_its_events(gateway: Any, key: str) -> None:
    """K#i where an event has no key; the whole batch again is marked as replayed."""
    body = {"events": [EVENT, {**EVENT, "idempotency_key": "own"}]}
    first = await gateway.call("POST", "/v1/meter/batch", body, key, Idempotency_Key="K")
    assert [event.idempotency_key for event in last(gateway).events] == ["K#0", "own"]
    again = await gateway.call("POST", "/v1/meter/batch", body, key, Idempotency_Key="K")
    assert again.headers["Idempotent-Replayed"] == "true"
    ids = [result["event_id"] for result in again.json["results"]]
    assert ids == [result["event_id"] for result in first.json["results"]]
    assert all(result["replayed"] for result in again.json["results"])


async def test_a_price_that_another_gateway_answered_for_holds_here(gateway: Any, key: str) -> None:
    """An action is called without a price only when the view holds all that was ever answered: 503 while
    that cannot be known, and nothing is recorded; 400 for what has none."""
    event = {**EVENT, "action": "new"}
    gateway.log.lags_behind = True
    before = len(gateway.log.values())
    for path, body in [("/v1/meter", event), ("/v1/meter/batch", {"events": [EVENT, event]})]:
        blind = await gateway.call("POST", path, body, key)
        assert (blind.status, blind.json["code"]) == (503, "not_recorded")
    assert len(gateway.log.values()) == before
    gateway.log.lags_behind, gateway.log.elsewhere = False, True
    for action in ("new", "newer"):
        made = {"action_type": action, "base_rate_cents": 7}
        assert (await gateway.call("POST", "/api/admin/pricing", made, "the-admin-token")).status == 201
        assert gateway.context.view.price_for(0, "acme", action) is None
    charged = await gateway.call("POST", "/v1/meter", event, key)
    assert (charged.status, charged.json["price"]["total_cents"]) == (201, 7)
    batch = await gateway.call("POST", "/v1/meter/batch", {"events": [{**EVENT, "action": "newer"}]}, key)
    assert (batch.status, batch.json["total_cents"]) == (201, 7)
    assert (await gateway.call("POST", "/v1/meter", {**EVENT, "action": "newest"}, key)).status == 400


async def test_respond_async_is_answered_at_once(gateway: Any, key: str) -> None:
    """202 with Location and no price, although the pricer is there."""
    answer = await gateway.call("POST", "/v1/meter", {**EVENT, "outcome": "pending"}, key, Prefer="respond-async")
    shown = answer.json
    assert answer.status == 202 and answer.headers["Location"] == f"/v1/events/{shown['event_id']}"
    assert (shown["price"], shown["price_charged"], shown["price_breakdown"]) == (None, None, None)
    assert shown["status"] == "accepted" and shown["outcome_id"] == f"oc_{shown['event_id']}"
    assert shown["created_at"] == "2026-04-26T12:00:00.000Z"


async def test_without_a_pricer_202_and_a_repeat_gets_the_201(gateway: Any, key: str) -> None:
    """After REV_REPLY_TIMEOUT the address is answered; later the same key gets the same event's price."""
    gateway.log.pause()
    body = {**EVENT, "idempotency_key": "k"}
    accepted = await gateway.call("POST", "/v1/meter", body, key)
    assert accepted.status == 202
    batch = await gateway.call("POST", "/v1/meter/batch", {"events": [EVENT]}, key)
    assert batch.status == 202 and batch.json["results"][0]["total_cents"] is None
    gateway.log.resume()
    priced = await gateway.call("POST", "/v1/meter", body, key)
    assert (priced.status, priced.json["event_id"]) == (201, accepted.json["event_id"])
    assert not gateway.log.replies.waiting


async def test_a_stopping_gateway_lets_those_who_wait_go_with_a_202(gateway: Any, key: str, eventually: Any) -> None:
    """stop_waiting answers requests under way at once."""
    gateway.log.pause()
    under_way = asyncio.ensure_future(gateway.call("POST", "/v1/meter", EVENT, key))
    await eventually(lambda: gateway.log.replies.waiting)
    gateway.submitter.stop_waiting()
    assert (await under_way).status == 202


@pytest.mark.parametrize(("error", "code"), [(NotRecorded("no"), "not_recorded"), (AppendUnknown("late"), "unknown")])
async def test_an_append_that_fails_says_whether_it_may_be_recorded(
    gateway: Any, key: str, error: Exception, code: str
) -> None:
    """503 with Retry-After and one of the two codes; nobody waits on."""
    gateway.log.error = error
    answer = await gateway.call("POST", "/v1/meter", EVENT, key)
    assert (answer.status, answer.json["code"]) == (503, code)
    assert answer.headers["Retry-After"] and not gateway.log.replies.waiting


async def test_a_full_disk_stops_intake(gateway: Any, key: str) -> None:
    """503 not_recorded, /readyz names the disk, and it ends when there is space."""
    gateway.free = 5
    gateway.reserve.check()
    answer = await gateway.call("POST", "/v1/meter", EVENT, key)
    assert (answer.status, answer.json["code"]) == (503, "not_recorded")
    ready = await gateway.call("GET", "/readyz")
    assert ready.status == 503 and any("disk" in reason for reason in ready.json["reasons"])
    gateway.free = 10**12
    gateway.reserve.check()
    assert (await gateway.call("POST", "/v1/meter", EVENT, key)).status == 201


async def test_a_lagging_shard_is_not_waited_for_and_then_refused(gateway: Any, key: str) -> None:
    """Lag over 1 s: 202; over 10 s: 429 for who has most unanswered, 202 for others of the shard."""
    shard = partition_of(b"acme-corp", 4)
    small = next(f"small-{n}" for n in range(100) if partition_of(f"small-{n}".encode(), 4) == shard)
    other = await gateway.make_key(small)
    gateway.log.pause()
    for _ in range(25):
        gateway.monotonic += 0.4
        assert (await gateway.call("POST", "/v1/meter", EVENT, key, Prefer="respond-async")).status == 202
    gateway.monotonic += 0.45
    assert (await gateway.call("POST", "/v1/meter", EVENT, other)).status == 202
    refused = await gateway.call("POST", "/v1/meter", EVENT, key)
    assert refused.status == 429 and refused.headers["Retry-After"]
    gateway.log.resume()
    assert (await gateway.call("POST", "/v1/meter", EVENT, key)).status == 201


async def test_an_event_that_costs_too_much_is_refused_by_the_pricer(gateway: Any, key: str) -> None:
    """400 that says why; nothing is charged, of a batch nothing at all, and the refusal alone is an entry."""
    price = {"action_type": "dear", "token_rate_cents": 1_000_000_000}
    assert (await gateway.call("POST", "/api/admin/pricing", price, "the-admin-token")).status == 201
    dear = {"agent_id": "a", "action": "dear", "tokens": 10**12}
    before = len(gateway.log.entries)
    answer = await gateway.call("POST", "/v1/meter", dear, key)
    assert answer.status == 400 and answer.json["request_id"] and "1000000000000" in answer.json["error"]
    batch = await gateway.call("POST", "/v1/meter/batch", {"events": [EVENT, dear]}, key)
    assert (batch.status, [error["index"] for error in batch.json["errors"]]) == (400, [1])
    left = [entry for record in gateway.log.entries[before:] for entry in entries.decode(record).entries]
    assert [(entry.kind, entry.total) for entry in left] == 3 * [("rejected", "0")]
    most = {"agent_id": "a", "action": "dear", "tokens": 1000}
    assert (await gateway.call("POST", "/v1/meter", most, key)).json["price"]["total_cents"] == 10**12


async def test_gzip_is_accepted(gateway: Any, key: str) -> None:
    """A gzip body, of several members too."""
    text = json.dumps(EVENT).encode()
    body = gzip.compress(text[:10]) + gzip.compress(text[10:])
    answer = await gateway.call("POST", "/v1/meter", body, key, Content_Encoding="gzip")
    assert answer.status == 201


async def test_a_test_key_makes_test_commands(gateway: Any) -> None:
    """rg_test_ keys: the command says test."""
    secret = await gateway.make_key("tester", test=True)
    assert secret.startswith("rg_test_")
    assert (await gateway.call("POST", "/v1/meter", EVENT, secret)).status == 201
    assert last(gateway).test is True


async def test_a_platform_key_names_its_customer(gateway: Any) -> None:
    """In the body, in the query, or beside the events of a batch."""
    platform = await gateway.make_key("*")
    for path, body in [
        ("/v1/meter", {**EVENT, "customer_id": "tenant"}),
        ("/v1/meter?customer_id=tenant", EVENT),
        ("/v1/meter/batch", {"events": [EVENT], "customer_id": "tenant"}),
    ]:
        assert (await gateway.call("POST", path, body, platform)).status == 201
        assert last(gateway).customer_id == "tenant"


async def test_the_request_id_is_echoed_or_made(gateway: Any, key: str) -> None:
    """A usable X-Request-Id comes back; one with blanks is replaced; refusals carry it in the body."""
    echoed = await gateway.call("POST", "/v1/meter", {}, key, X_Request_Id="mine-1")
    assert echoed.headers["X-Request-Id"] == echoed.json["request_id"] == "mine-1"
    made = await gateway.call("POST", "/v1/meter", EVENT, key, X_Request_Id="not mine")
    assert made.headers["X-Request-Id"] not in ("", "not mine")


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        (["k", "k"], "1.47"), (["k", "k", "k"], "1.47"), (["k", "l", "k"], "2.94"), ([None, None], "2.94"),
        (["old", "k"], "1.47"), (["old", "old"], "0"), (["old"], "0"), (["old", None, "k", "k"], "2.94"),
    ],
)  # fmt: skip
async def test_the_total_of_a_batch_is_what_it_charged(gateway: Any, key: str, keys: list[Any], wanted: str) -> None:
    """A repeat adds nothing, in the batch or of before; its result shows the first price and says replayed."""
    await gateway.call("POST", "/v1/meter", {**EVENT, "idempotency_key": "old"}, key)
    events = [{**EVENT, **({} if one is None else {"idempotency_key": one})} for one in keys]
    answer = await gateway.call("POST", "/v1/meter/batch", {"events": events}, key)
    assert answer.status == 201
    assert answer.json["total_cents"] == Decimal(wanted)
    results = answer.json["results"]
    assert [one["total_cents"] for one in results] == [Decimal("1.47")] * len(keys)
    assert sum(one["total_cents"] for one in results if "replayed" not in one) == Decimal(wanted)


async def test_the_key_of_a_voided_event_says_so(gateway: Any, key: str) -> None:
    """Alone and in a batch, by either way to send it; nothing is charged again, and other keys say nothing."""
    sent = {**EVENT, "idempotency_key": "k"}
    made = (await gateway.call("POST", "/v1/meter", sent, key)).json
    assert made["status"] == "priced"
    gateway.settle()
    voided = await gateway.call("POST", f"/api/admin/events/{made['event_id']}/void", {"reason": "r"}, ADMIN)
    assert voided.status == 201
    again = await gateway.call("POST", "/v1/meter", sent, key)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.json == {**made, "status": "voided"}
    batch = await gateway.call("POST", "/v1/meter/batch", {"events": [sent, {**EVENT, "idempotency_key": "l"}]}, key)
    first, second = batch.json["results"]
    assert first == {
        "event_id": made["event_id"],
        "total_cents": Decimal("1.47"),
        "replayed": True,
        "status": "voided",
    }
    assert "status" not in second and batch.json["total_cents"] == Decimal("1.47")
