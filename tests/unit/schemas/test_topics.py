"""schemas.topics: Kafka's own partitioner, and topics that keep what must be kept."""

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from schemas import topics
from schemas.limits import DAY


@given(st.binary(max_size=64), st.integers(1, 64))
def test_a_key_goes_where_kafkas_default_partitioner_sends_it(key: bytes, partitions: int) -> None:
    """partition_of agrees with the client library's murmur2, so every producer agrees."""
    assert topics.partition_of(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions


@pytest.mark.parametrize(
    ("key", "hashed"), [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)]
)
def test_known_hashes(key: bytes, hashed: int) -> None:
    """Values that Kafka's own tests publish for the Java implementation."""
    assert topics._murmur2(key) == hashed & 0xFFFFFFFF


def test_the_config_topic_is_created_last() -> None:
    """Where rev.config exists all the others do, so its presence means a finished creation."""
    assert topics.topics(4)[-1].name == topics.CONFIG


def test_raw_entries_and_state_are_co_partitioned() -> None:
    """A shard's input, output and state live under one partition number."""
    by_name = {topic.name: topic for topic in topics.topics(7)}
    assert {by_name[name].partitions for name in (topics.RAW, topics.ENTRIES, topics.STATE)} == {7}


def test_the_log_outlives_the_idempotency_window() -> None:
    """Raw commands and entries are kept longer than keys are remembered (35 d)."""
    by_name = {topic.name: topic.config for topic in topics.topics(4)}
    for name in (topics.RAW, topics.ENTRIES):
        assert int(by_name[name]["retention.ms"]) > 35 * DAY
        assert by_name[name]["cleanup.policy"] == "delete"
    assert by_name[topics.RAW]["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize("name", [topics.STATE, topics.CONFIG])
def test_what_must_stay_for_ever_is_compacted(name: str) -> None:
    """State and configuration are compacted, and tombstones stay a week for slow readers."""
    config = {topic.name: topic.config for topic in topics.topics(4)}[name]
    assert config["cleanup.policy"] == "compact"
    assert int(config["delete.retention.ms"]) == 7 * DAY
