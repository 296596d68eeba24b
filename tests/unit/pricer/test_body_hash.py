"""pricer.idempotency: when two bodies are the same body."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricer import idempotency
from pricer.idempotency import body_hash
from schemas.commands import MeterEvent, PriceRef, Rates, Register
from schemas.replies import Receipt
from streams.state import Checkpoint, MemoryStore

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), values, max_size=5)

FULL = MeterEvent(
    "agent",
    "chat",
    5,
    2,
    3,
    "pending",
    99,
    "success",
    msgspec.Raw(b'{"a":1}'),
    "key",
    77,
    task_id="task",
    model="model",
    provider="provider",
    trace_id="trace",
)


def hashed(metadata: str) -> str:
    """Hash of an event with this metadata text."""
    return body_hash(MeterEvent("agent", "chat", metadata=msgspec.Raw(metadata.encode())))


def shuffled(value: object) -> object:
    """The same JSON value with every object's keys in reverse order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(one) for one in value] if isinstance(value, list) else value


@given(objects)
def test_spelling_of_metadata_does_not_matter(value: dict[str, object]) -> None:
    """Key order, white space and escapes leave the hash alone."""
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert hashed(plain) == hashed(json.dumps(shuffled(value), ensure_ascii=True, indent=3))


@given(objects, objects)
def test_other_metadata_is_another_body(one: dict[str, object], other: dict[str, object]) -> None:
    """Equal hashes mean equal JSON values."""
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (hashed(json.dumps(one)) == hashed(json.dumps(other))) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1}', '{"a":1.0}'),
        ('{"a":0.1}', '{"a":0.10}'),
        ('{"a":1.0}', '{"a":"1.0"}'),
        ('{"a":0.1}', '{"a":0.1000000000000000055511151231257827}'),
        ('{"a":1e400}', '{"a":2e400}'),
        ('{"a":null}', "{}"),
        ('{"a":[1,2]}', '{"a":[2,1]}'),
        ('{"a":' + "7" * 5000 + "}", '{"a":' + "7" * 4999 + "8}"),
    ],
)
def test_numbers_are_compared_by_their_text(one: str, other: str) -> None:
    """No float and no rounding decides whether a retry is the same request."""
    assert hashed(one) != hashed(other)
    assert hashed(one) == hashed(one)


@pytest.mark.parametrize("field", [name for name in MeterEvent.__struct_fields__ if name != "idempotency_key"])
def test_every_field_but_the_key_counts(field: str) -> None:
    """A retry that differs in any field is a conflict, so each field changes the hash."""
    default = msgspec.structs.fields(MeterEvent)[MeterEvent.__struct_fields__.index(field)].default
    set_here = {"quantities": {"images": "2"}, "reservation_id": "rs_1"}  # unset in FULL
    other = set_here.get(field, "other" if default is msgspec.NODEFAULT else default)
    assert body_hash(msgspec.structs.replace(FULL, **{field: other})) != body_hash(FULL)


def test_the_key_does_not_count() -> None:
    """The key names the body; it is no part of it."""
    assert body_hash(msgspec.structs.replace(FULL, idempotency_key=None)) == body_hash(FULL)


def test_hashes_stay_the_same_over_releases() -> None:
    """Hashes are compared with those in the log, so a change of the format would turn every
    retry over an upgrade into a conflict.
    """
    assert body_hash(MeterEvent("agent", "chat", 2400, outcome="success")) == "f04a39af012f22927a62c5cb0fdc5be6"
    assert body_hash(FULL) == "0fe263d166d3ea2182e2fb3824d8908d"


RECEIPT = Receipt(1 << 16, 1000, PriceRef(1, "chat", Rates("1", "0", "0"), 4), "1", "0", "0", "1")


@pytest.mark.parametrize(("now", "found"), [(1000, True), (1099, True), (1100, False), (5000, False)])
def test_a_key_is_remembered_for_its_window(now: int, found: bool) -> None:
    """From the accepted time until just before the window has passed."""
    shard = MemoryStore()
    memory = idempotency.receipt_record("acme", "k", "f" * 32, RECEIPT, False)
    shard.write({}, [memory], Checkpoint("e", 0, 0, now))
    recalled = idempotency.KeyRecords(shard, "acme", now, 100, "live").find("k")
    assert recalled == (idempotency.IdempotencyRecord("f" * 32, RECEIPT) if found else None)
    assert idempotency.KeyRecords(shard, "other", now, 100, "live").find("k") is None


@pytest.mark.parametrize(
    ("mode", "at_live", "at_test", "found"),
    [
        ("live", 10, 20, "live"), ("live", 10, None, "live"), ("live", None, 20, None),
        ("test", 10, 20, "test"), ("test", 10, None, None), ("test", None, 20, "test"),
        (None, 10, 20, "test"), (None, 20, 10, "live"), (None, 10, None, "live"), (None, None, 20, "test"),
        (None, None, None, None),
    ],
)  # fmt: skip
def test_a_key_belongs_to_a_mode(mode: Any, at_live: int | None, at_test: int | None, found: str | None) -> None:
    """One mode never meets the other's key; a command of before modes were separate meets the later one."""
    shard = MemoryStore()
    records = [
        idempotency.receipt_record(
            "acme", "k", word * 8, msgspec.structs.replace(RECEIPT, recorded_at=at), word == "test"
        )
        for word, at in (("live", at_live), ("test", at_test))
        if at is not None
    ]
    shard.write({}, records, Checkpoint("e", 0, 0, 20))
    recalled = idempotency.KeyRecords(shard, "acme", 25, 100, mode).find("k")
    assert (None if recalled is None else recalled.body_hash[:4]) == found


@pytest.mark.parametrize("outcome_key", ["outcome/oc_1", "k", ""])
def test_an_answer_about_an_outcome_is_remembered_like_a_receipt(outcome_key: str) -> None:
    """Status and text come back as they were; a receipt of an older release is still a receipt."""
    shown = idempotency.OutcomeResponse(201, msgspec.Raw(b'{"a": 1.50}'))
    memory = idempotency.response_record("acme", outcome_key, "f" * 32, shown, 1000, False)
    shard = MemoryStore()
    shard.write({}, [memory], Checkpoint("e", 0, 0, 1000))
    recalled = idempotency.KeyRecords(shard, "acme", 1000, 100, "live").find(outcome_key)
    assert recalled is not None
    assert isinstance(recalled.answer, idempotency.OutcomeResponse)
    assert (recalled.body_hash, recalled.answer.status) == ("f" * 32, 201)
    assert bytes(memoryview(recalled.answer.result)) == b'{"a": 1.50}'
    assert b"\x1f" in memory.key  # so that it is never the key under which an outcome itself is remembered


TERMS: dict[str, Any] = {
    "price_on_success": "4900", "price_on_failure": "7", "success_criteria": msgspec.Raw(b'{"a":1}'),
}  # fmt: skip
TASK = Register("acme", 3, "task", "agent", 5000, 1000, "success", "key", True, **TERMS)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("task_id", "other"),
        ("agent_id", "other"),
        ("price_on_success", "1"),
        ("price_on_failure", "0"),
        ("expires_at", 1),
        ("on_expiry", "failure"),
        ("success_criteria", msgspec.Raw(b'{"a":2}')),
        ("success_criteria", msgspec.Raw(b"")),
    ],
)
def test_every_field_of_a_registration_counts(field: str, other: object) -> None:
    """But its key, and what the gateway adds: whose key it was and how long keys are remembered."""
    assert idempotency.register_hash(msgspec.structs.replace(TASK, **{field: other})) != idempotency.register_hash(TASK)
    same = msgspec.structs.replace(TASK, idempotency_key=None, api_key_id=9, idempotency_window=9, test=False)
    respelt = msgspec.structs.replace(same, success_criteria=msgspec.Raw(b' { "a" : 1 } '))
    assert idempotency.register_hash(respelt) == idempotency.register_hash(TASK)


def test_every_part_of_a_verdict_counts() -> None:
    """The outcome, the verdict, and the evidence as a JSON value."""
    evidence = msgspec.Raw(b'{"a":1}')
    hashes = {
        idempotency.resolve_hash("oc_1", True, evidence),
        idempotency.resolve_hash("oc_2", True, evidence),
        idempotency.resolve_hash("oc_1", False, evidence),
        idempotency.resolve_hash("oc_1", True),
        idempotency.resolve_hash("oc_1", True, msgspec.Raw(b"{}")),
    }
    assert len(hashes) == 5
    assert idempotency.resolve_hash("oc_1", True, msgspec.Raw(b'{ "a": 1 }')) in hashes


def test_hashes_of_outcomes_stay_the_same_over_releases() -> None:
    """They are compared with those in the log, as those of meter events are."""
    assert idempotency.register_hash(TASK) == "6b2beb9faa80b80c578378661b1964b7"
    assert idempotency.resolve_hash("oc_1", True, msgspec.Raw(b'{"a":1}')) == "061afd8214ae97e00ae9e247f49b4a42"
