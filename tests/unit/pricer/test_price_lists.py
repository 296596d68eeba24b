"""A price list: all of its rows or none, and what each changed."""

import json
from typing import Any

import pytest

from pricer.memory import MemoryShard
from schemas import entries
from schemas.commands import ListedPrice, Meter, MeterEvent, Rates, SetPrice, SetPriceList
from schemas.replies import ConfiguredReply, RefusedReply

PARTITIONS = 4
OLD, NEW = Rates("1", "0", "0"), Rates("2", "0", "0")


def upload(log: MemoryShard, *rows: ListedPrice) -> ConfiguredReply | RefusedReply:
    reply = log.append(b"_config", SetPriceList(list(rows))).reply
    assert isinstance(reply, ConfiguredReply | RefusedReply)
    return reply


def shown(reply: ConfiguredReply | RefusedReply) -> list[tuple[Any, ...]]:
    """Row, change, id and the old base rate of each row."""
    assert isinstance(reply, ConfiguredReply)
    rows = json.loads(memoryview(reply.result).tobytes())["rows"]
    return [(r["row"], r["change"], r.get("id"), r.get("old", {}).get("base_rate_cents")) for r in rows]


def cost(log: MemoryShard, customer: str, action: str) -> str:
    decision = log.append(customer.encode(), Meter(customer, 1, [MeterEvent("a", action)], 1000, 1000))
    assert decision.entries is not None
    return entries.decode(decision.entries).entries[0].total


def test_a_list_says_what_each_row_changed() -> None:
    """Added, changed with what was, and unchanged; the price of each is in force on every shard after it."""
    log = MemoryShard(PARTITIONS)
    for action in ("chat", "search"):
        log.append(b"_config", SetPrice(action, OLD))
    rows = (ListedPrice("chat", NEW), ListedPrice("search", OLD), ListedPrice("chat", NEW, "acme"))
    reply = upload(log, *rows)
    assert reply.status == 201
    assert shown(reply) == [(0, "changed", 3, 1), (1, "unchanged", 2, None), (2, "added", 4, None)]
    assert [cost(log, f"c{n}", "chat") for n in range(9)] == ["2"] * 9
    again = upload(log, *rows)
    assert (again.status, {change for _, change, _, _ in shown(again)}) == (200, {"unchanged"})
    assert shown(again)[0][2] == 3


def test_a_shard_takes_the_rows_of_a_list_as_one_record() -> None:
    """One record a shard, with an override only on its customer's, each numbered."""
    log = MemoryShard(PARTITIONS)
    decision = log.append(
        b"_config", SetPriceList([ListedPrice("a", OLD), ListedPrice("b", OLD), ListedPrice("a", NEW, "acme")])
    )
    told = {sent.partitions: [one["number"] for one in json.loads(sent.value)["prices"]] for sent in decision.outgoing}
    assert sorted(told.values()) == [[1, 2], [1, 2], [1, 2], [1, 2, 3]]
    assert decision.entries is not None and len(entries.decode(decision.entries).entries) == 3
    before = [dict(shard.scan(b"")) for shard in log.shards]
    for sent in decision.outgoing:
        assert sent.partitions is not None
        log.append_value(sent.partitions[0], sent.key, sent.value)
    assert [dict(shard.scan(b"")) for shard in log.shards] == before


def test_a_row_with_a_start_replaces_the_one_scheduled_for_it() -> None:
    """The same terms are unchanged, others replace it; a row for now is another row."""
    log = MemoryShard(PARTITIONS)
    upload(log, ListedPrice("chat", OLD), ListedPrice("chat", NEW, effective_at=100))
    reply = upload(log, ListedPrice("chat", Rates("7", "0", "0"), effective_at=100), ListedPrice("chat", OLD))
    assert shown(reply) == [(0, "changed", 3, 2), (1, "unchanged", 1, None)]
    log.now = 100
    assert cost(log, "acme", "chat") == "7"


@pytest.mark.parametrize(
    "bad, says",
    [
        (ListedPrice("outcome_charge", NEW), "rows[1].action 'outcome_charge' is reserved"),
        (ListedPrice("b", Rates("x", "0", "0")), "rows[1].base_rate_cents: 'x' is not an amount in cents"),
        (ListedPrice("b", NEW, "_x"), "rows[1].customer id '_x' is reserved"),
        (ListedPrice("b", NEW, effective_at=5), "rows[1].effective_at must be in the future"),
        (ListedPrice("a", OLD), "rows[1] must differ from rows[0]"),
    ],
)
def test_one_bad_row_refuses_the_list(bad: ListedPrice, says: str) -> None:
    """400 naming the row; no price and no record for a shard is left of the others."""
    log = MemoryShard(PARTITIONS)
    log.now = 5
    decision = log.append(b"_config", SetPriceList([ListedPrice("a", NEW), bad]))
    assert isinstance(decision.reply, RefusedReply)
    assert decision.reply.status == 400 and decision.reply.error.startswith(says)
    assert (decision.changes, decision.view, decision.outgoing) == ((), (), ())
    assert upload(log).status == 400
