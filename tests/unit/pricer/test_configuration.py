"""pricer.configuration: keys, prices and customers, decided once for every gateway and shard."""

import json
from typing import Any

import pytest

from pricer.memory import MemoryShard
from schemas import config, entries, state
from schemas.commands import (
    Configure,
    CreateKey,
    DeletePrice,
    EnsureCustomer,
    Genesis,
    Meter,
    MeterEvent,
    Rates,
    RevokeKey,
    SetPrice,
    Signup,
    UpdateCustomer,
)
from schemas.commands import decode as decode_command
from schemas.entries import Entry
from schemas.price_match import PriceSlot
from schemas.prices import DEFAULTS
from schemas.replies import ChargedReply, ConfiguredReply, RefusedReply
from schemas.topics import CONFIG_KEY, PRICE_KEY, partition_of
from streams.types import Decision

PARTITIONS = 4
NOON = 1_777_204_800_000
GENESIS = Genesis("e0", DEFAULTS)
RATES = Rates("0.75", "0.0004", "0.3")


@pytest.fixture
def log() -> MemoryShard:
    """A new log after its genesis, at 2026-04-26T12:00:00.000Z."""
    made = MemoryShard(PARTITIONS)
    made.now = NOON
    configure(made, GENESIS)
    return made


def configure(log: MemoryShard, command: Configure) -> Decision:
    """Decide a configuration command."""
    return log.append(CONFIG_KEY, command)


def result(decision: Decision, status: int = 201) -> Any:
    """The object that a successful command answers."""
    assert isinstance(decision.reply, ConfiguredReply)
    assert decision.reply.status == status
    return json.loads(memoryview(decision.reply.result).tobytes())


def refusal(decision: Decision, status: int) -> RefusedReply:
    """The refusal, which left a rejected entry and nothing else."""
    assert isinstance(decision.reply, RefusedReply)
    assert decision.reply.status == status
    assert (decision.changes, decision.view, decision.outgoing) == ((), (), ())
    (entry,) = written(decision)
    assert (entry.kind, entry.reason) == ("rejected", decision.reply.error)
    return decision.reply


def written(decision: Decision) -> list[Entry]:
    """The decision's ledger entries."""
    return entries.decode(decision.entries).entries if decision.entries is not None else []


def detail(decision: Decision) -> tuple[str | None, str | None, Any]:
    """Type, actor and object of the one config entry."""
    (entry,) = written(decision)
    assert entry.kind == "config"
    return entry.type, entry.actor, json.loads(memoryview(entry.detail).tobytes())


def charge(log: MemoryShard, customer: str, action: str = "completion") -> str | int:
    """Total of an event of a customer now, or the status of its refusal."""
    reply = log.append(customer.encode(), Meter(customer, 1, [MeterEvent("a", action)], 1, 1)).reply
    return (
        reply.receipt.total
        if isinstance(reply, ChargedReply)
        else reply.status
        if isinstance(reply, RefusedReply)
        else -1
    )


def test_genesis_prices_every_shard(log: MemoryShard) -> None:
    """The default prices are numbered from 1, in the view, and installed in every partition."""
    assert sorted(log.view) == sorted(b"price/%d" % id for id in range(1, len(DEFAULTS) + 1))
    first = json.loads(log.view[b"price/1"])
    assert (first["action_type"], first["rates"]["base"], first["number"]) == ("chat", "0.1", 1)
    for shard in log.shards:
        for seed in DEFAULTS:
            installed = state.decode_price(shard.get(state.price_key(PriceSlot(None, seed.action_type))) or b"")
            assert (installed.rates, installed.is_default) == (seed.rates, True)


def test_genesis_leaves_an_audit_of_every_price() -> None:
    """One entry for each default price, under consecutive indexes."""
    log = MemoryShard(PARTITIONS)
    decision = configure(log, GENESIS)
    found = written(decision)
    assert [entry.index for entry in found] == list(range(len(DEFAULTS)))
    assert {(entry.kind, entry.type, entry.actor) for entry in found} == {("config", "pricing.updated", "genesis")}


def test_a_second_genesis_is_ignored(log: MemoryShard) -> None:
    """Whoever repeats the first command, with whatever prices, changes nothing."""
    again = configure(log, Genesis("e1", DEFAULTS[:1]))
    assert isinstance(again.reply, ConfiguredReply)
    assert again == Decision(reply=again.reply)
    assert again.reply.status == 200


def test_genesis_keeps_a_price_that_came_before_it() -> None:
    """A price that an administrator was quicker to set is not replaced by a default."""
    log = MemoryShard(PARTITIONS)
    configure(log, SetPrice("chat", RATES))
    configure(log, GENESIS)
    assert charge(log, "acme", "chat") == "0.75"
    assert len(log.view) == len(DEFAULTS)


def test_a_key_is_created_as_the_reference_shows_it(log: MemoryShard) -> None:
    """The answer, the view and the entry; the customer appears with the key's name."""
    decision = configure(log, CreateKey("acme-corp", "ab" * 32, "rg_a1b2...f6g7", "Acme Corp"))
    shown = {
        "id": 1,
        "customer_id": "acme-corp",
        "customer_name": "Acme Corp",
        "api_key_masked": "rg_a1b2...f6g7",
        "is_active": True,
        "test": False,
        "created_at": "2026-04-26T12:00:00.000Z",
    }
    assert result(decision) == shown
    assert detail(decision) == ("key.created", "admin", shown)
    view = dict(decision.view)
    key = json.loads(view[config.key_key(1)] or b"")
    assert (key["hash"], key["mask"], key["created_at"]) == ("ab" * 32, "rg_a1b2...f6g7", NOON)
    customer = json.loads(view[config.customer_key("acme-corp")] or b"")
    assert customer == {"customer_id": "acme-corp", "created_at": NOON, "name": "Acme Corp"}
    assert b"hash" not in (decision.entries or b"")


def test_a_signup_makes_a_new_customer_and_leaves_an_entry(log: MemoryShard) -> None:
    """The key, and who signed up from where, in one decision; neither is in the reply or the view."""
    signup = Signup("ann@example.com", utm_source="x", utm_campaign="launch")
    decision = configure(log, CreateKey("cus_1", "00", "m", "Ann", actor="signup", signup=signup))
    made, entry = written(decision)
    assert (made.type, made.actor, entry.type, entry.actor) == ("key.created", "signup", "signup.created", "signup")
    assert json.loads(memoryview(entry.detail).tobytes()) == {
        "customer_id": "cus_1",
        "name": "Ann",
        "email": "ann@example.com",
        "utm_source": "x",
        "utm_medium": None,
        "utm_campaign": "launch",
        "created_at": "2026-04-26T12:00:00.000Z",
    }
    assert b"example.com" not in repr((decision.view, result(decision))).encode()


@pytest.mark.parametrize(("taken", "status"), [("acme", 409), ("*", 400), ("_config", 400)])
def test_a_signup_never_gets_a_key_of_another_customer(log: MemoryShard, taken: str, status: int) -> None:
    configure(log, CreateKey("acme", "00", "m", "Acme"))
    signup = CreateKey(taken, "11", "m", "Mallory", actor="signup", signup=Signup("m@example.com"))
    assert taken in refusal(configure(log, signup), status).error


def test_keys_are_numbered_on_their_own(log: MemoryShard) -> None:
    """Key ids and price ids are two sequences from 1 without gaps."""
    ids = [result(configure(log, CreateKey("acme", "00", "m")))["id"] for _ in range(3)]
    price = result(configure(log, SetPrice("chat", RATES)))["id"]
    assert (ids, price) == ([1, 2, 3], len(DEFAULTS) + 1)
    assert result(configure(log, CreateKey("acme", "00", "m")))["id"] == 4


def test_a_customer_keeps_its_first_name(log: MemoryShard) -> None:
    """A later key without a name shows the customer's; one with another name renames nobody;
    a customer without a name takes the first that comes.
    """
    assert result(configure(log, CreateKey("acme", "00", "m")))["customer_name"] is None
    assert result(configure(log, CreateKey("acme", "00", "m", "Acme")))["customer_name"] == "Acme"
    assert result(configure(log, CreateKey("acme", "00", "m")))["customer_name"] == "Acme"
    assert result(configure(log, CreateKey("acme", "00", "m", "Other")))["customer_name"] == "Other"
    assert json.loads(log.view[b"customer/acme"])["name"] == "Acme"


def test_a_platform_key_belongs_to_no_customer(log: MemoryShard) -> None:
    """``*`` may have keys and is not a customer."""
    assert result(configure(log, CreateKey("*", "00", "m", test=True)))["test"] is True
    assert b"customer/*" not in log.view


@pytest.mark.parametrize("customer_id", ["_config", "_", "", "x" * 257, "a\nb", "a\x1fb", "a\x85b"])
def test_reserved_and_broken_customer_ids_are_refused(log: MemoryShard, customer_id: str) -> None:
    """Neither a key nor a price for a name that Rev keeps for itself or cannot tell apart."""
    for command in (CreateKey(customer_id, "00", "m"), SetPrice("chat", RATES, customer_id)):
        assert refusal(configure(log, command), 400).code == "invalid_request"


def test_a_revoked_key_stays_revoked(log: MemoryShard) -> None:
    """200 and one entry; again 200 with the view's record but no second entry; unknown 404."""
    configure(log, CreateKey("acme", "00", "m", "Acme"))
    first = configure(log, RevokeKey(1, actor="ann"))
    assert result(first, 200) == {"success": True}
    type, actor, shown = detail(first)
    assert (type, actor, shown["id"], shown["is_active"]) == ("key.revoked", "ann", 1, False)
    assert json.loads(log.view[b"key/1"])["is_active"] is False
    again = configure(log, RevokeKey(1))
    assert result(again, 200) == {"success": True}
    assert (again.entries, again.view) == (None, first.view)
    assert refusal(configure(log, RevokeKey(2)), 404).code == "not_found"


def test_a_price_is_set_as_the_reference_shows_it(log: MemoryShard) -> None:
    """The answer of the reference's example, in money's one spelling, and the same object in
    the ledger.
    """
    decision = configure(log, SetPrice("completion", Rates("0.75", "0.0004", "0.30"), "acme-corp", actor="ann"))
    assert isinstance(decision.reply, ConfiguredReply)
    text = memoryview(decision.reply.result).tobytes()
    assert text == (
        b'{"id":11,"customer_id":"acme-corp","action_type":"completion","base_rate_cents":0.75,'
        b'"token_rate_cents":0.0004,"outcome_bonus_cents":0.3,"is_active":true,'
        b'"created_at":"2026-04-26T12:00:00.000Z","ended_at":null}'
    )
    assert detail(decision) == ("pricing.updated", "ann", json.loads(text))


def test_an_override_goes_to_its_customers_shard_alone(log: MemoryShard) -> None:
    """One numbered record, to the partition that prices the customer."""
    (sent,) = configure(log, SetPrice("completion", RATES, "acme")).outgoing
    assert sent.partitions == (partition_of(b"acme", PARTITIONS),)
    assert sent.key == PRICE_KEY
    installed = decode_command(sent.value)
    assert (installed.number, installed.customer_id, installed.active) == (11, "acme", True)  # type: ignore[union-attr]
    assert charge(log, "acme") == "0.75"
    assert charge(log, "other") == "0.5"


def test_a_default_price_goes_to_every_shard(log: MemoryShard) -> None:
    """Without a customer the record is sent to all partitions."""
    (sent,) = configure(log, SetPrice("completion", RATES)).outgoing
    assert sent.partitions is None
    assert {charge(log, f"c{i}") for i in range(20)} == {"0.75"}


def test_a_new_price_ends_the_one_before_it(log: MemoryShard) -> None:
    """The previous row of the same customer and action becomes inactive at that moment, with
    one record to the shards; rows of others stay.
    """
    configure(log, SetPrice("completion", RATES, "acme"))
    log.now += 5
    decision = configure(log, SetPrice("completion", Rates("8", "0", "0"), "acme"))
    assert len(decision.outgoing) == len(written(decision)) == 1
    before, after = json.loads(log.view[b"price/11"]), json.loads(log.view[b"price/12"])
    assert (before["is_active"], before["ended_at"], before["number"]) == (False, NOON + 5, 11)
    assert ("is_active" not in after, after["created_at"], after["number"]) == (True, NOON + 5, 12)
    assert "is_active" not in json.loads(log.view[b"price/2"])
    assert charge(log, "acme") == "8"


def test_a_deleted_override_uncovers_the_default(log: MemoryShard) -> None:
    """After the deletion the next price in the order applies; a repeat changes nothing."""
    configure(log, SetPrice("completion", RATES, "acme"))
    log.now += 5
    first = configure(log, DeletePrice(11, actor="ann"))
    assert result(first, 200) == {"success": True, "deleted_id": 11}
    type, actor, shown = detail(first)
    assert (type, actor, shown["is_active"]) == ("pricing.updated", "ann", False)
    assert shown["ended_at"] == "2026-04-26T12:00:00.005Z"
    assert charge(log, "acme") == "0.5"
    again = configure(log, DeletePrice(11))
    assert result(again, 200) == {"success": True, "deleted_id": 11}
    assert (again.entries, again.outgoing, again.view) == (None, (), first.view)


def test_a_default_can_be_deleted(log: MemoryShard) -> None:
    """Then the action has no price at all, and events of it are refused."""
    configure(log, DeletePrice(2))
    assert charge(log, "acme") == 400
    assert refusal(configure(log, DeletePrice(99)), 404).code == "not_found"


def test_deleting_a_replaced_price_leaves_its_successor(log: MemoryShard) -> None:
    """A row that was already ended has nothing to remove from the shards."""
    configure(log, SetPrice("completion", RATES))
    decision = configure(log, DeletePrice(2))
    assert decision.outgoing == ()
    assert charge(log, "acme") == "0.75"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (SetPrice("outcome_charge", RATES), "reserved"),
        (SetPrice("", RATES), "action_type"),
        (SetPrice("a\x00", RATES), "action_type"),
        (SetPrice("chat", RATES, "*"), "reserved"),
        (SetPrice("chat", Rates("-1", "0", "0")), "base_rate_cents"),
        (SetPrice("chat", Rates("0", "0.0000000000001", "0")), "token_rate_cents"),
        (SetPrice("chat", Rates("0", "0", "1000000001")), "outcome_bonus_cents"),
        (SetPrice("chat", Rates("0", "0", "1e3")), "outcome_bonus_cents"),
    ],
)
def test_a_price_that_cannot_be_kept_is_refused(log: MemoryShard, command: SetPrice, error: str) -> None:
    """400 with the field's name, and the prices stay as they were."""
    assert error in refusal(configure(log, command), 400).error
    assert charge(log, "acme") == "0.5"
    assert result(configure(log, SetPrice("chat", RATES)))["id"] == len(DEFAULTS) + 1


def test_a_customer_is_changed_where_it_is_said(log: MemoryShard) -> None:
    """What is absent stays; the answer, the view and the entry agree."""
    configure(log, CreateKey("acme", "00", "m", "Acme"))
    decision = configure(log, UpdateCustomer("acme", external_ids={"stripe": "cus_1"}, actor="ann"))
    shown = {
        "customer_id": "acme",
        "name": "Acme",
        "external_ids": {"stripe": "cus_1"},
        "test": False,
        "created_at": "2026-04-26T12:00:00.000Z",
        "metered": False,
    }
    assert result(decision, 200) == shown
    assert detail(decision) == ("customer.updated", "ann", shown)
    assert json.loads(log.view[b"customer/acme"])["external_ids"] == {"stripe": "cus_1"}
    renamed = result(configure(log, UpdateCustomer("acme", name="New", test=True)), 200)
    assert (renamed["name"], renamed["test"], renamed["external_ids"]) == ("New", True, {"stripe": "cus_1"})


def test_a_metered_customer_is_listed_once_until_somebody_makes_it(log: MemoryShard) -> None:
    """One entry with the key as actor; a repeat changes nothing; a key or an update makes it one of ours."""
    decision = configure(log, EnsureCustomer("acme", "key 7"))
    shown = result(decision)
    assert (shown["customer_id"], shown["metered"], shown["name"]) == ("acme", True, None)
    assert detail(decision) == ("customer.created", "key 7", shown)
    again = configure(log, EnsureCustomer("acme", "key 8"))
    assert (result(again, 200), again.entries) == (shown, None)
    configure(log, CreateKey("acme", "00", "m", "Acme"))
    made = result(configure(log, EnsureCustomer("acme", "key 7")), 200)
    assert (made["metered"], made["name"]) == (False, "Acme")
    configure(log, EnsureCustomer("globex", "key 7"))
    assert result(configure(log, UpdateCustomer("globex", name="G")), 200)["metered"] is False
    assert refusal(configure(log, EnsureCustomer("_x", "key 7")), 400)


def test_an_update_without_a_change_is_no_change(log: MemoryShard) -> None:
    """200 with the customer as it is, and nothing in the audit."""
    configure(log, CreateKey("acme", "00", "m", "Acme"))
    decision = configure(log, UpdateCustomer("acme", name="Acme"))
    assert result(decision, 200)["name"] == "Acme"
    assert decision.entries is None


def test_an_unknown_customer_is_not_found(log: MemoryShard) -> None:
    """A customer begins with its first key, not with an update or a price."""
    configure(log, SetPrice("chat", RATES, "ghost"))
    for unknown in ("ghost", "*", "_config"):
        assert refusal(configure(log, UpdateCustomer(unknown, name="x")), 404).code == "not_found"


def test_every_number_is_sent_once_and_in_order(log: MemoryShard) -> None:
    """Price changes are numbered without gaps, whatever their kind."""
    sent = [
        decode_command(outgoing.value).number  # type: ignore[union-attr]
        for command in (SetPrice("a", RATES), SetPrice("a", RATES, "c"), DeletePrice(11), SetPrice("a", RATES))
        for outgoing in configure(log, command).outgoing
    ]
    assert sent == [11, 12, 13, 14]
