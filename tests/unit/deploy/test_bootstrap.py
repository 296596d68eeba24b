"""How topics are created and compared, without a cluster."""

import pytest
from aiokafka.errors import NodeNotReadyError

from deploy.bootstrap import BROKER_TRIES, new_topic, with_a_broker, wrong_partitions
from schemas import topics


def test_a_log_with_another_number_of_partitions_is_refused_by_name() -> None:
    """A partition count that differs would send a customer to another shard, so it is named and refused."""
    wanted = topics.topics(4)
    assert wrong_partitions(wanted, {}) is None
    assert wrong_partitions(wanted, {topic.name: topic.partitions for topic in wanted}) is None
    reason = wrong_partitions(wanted, {topics.RAW: 8})
    assert reason is not None and "rev.raw must have 4 partitions, not 8" in reason


def test_a_replicated_topic_needs_all_replicas_but_one() -> None:
    """Three replicas survive the loss of one without losing what was acknowledged; one is enough alone."""
    topic = topics.topics(4)[0]
    assert new_topic(topic, 3).topic_configs["min.insync.replicas"] == "2"
    assert new_topic(topic, 1).topic_configs["min.insync.replicas"] == "1"
    assert new_topic(topic, 3).topic_configs["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize("without", [0, 1, 7])
async def test_a_cluster_that_has_no_broker_yet_is_asked_again(without: int) -> None:
    """A broker answers a moment before its cluster names it; `rev up` must not end for that."""
    asked = 0

    async def attempt() -> None:
        nonlocal asked
        asked += 1
        if asked <= without:
            raise NodeNotReadyError("node id None")

    await with_a_broker(attempt, pause=0)
    assert asked == without + 1


async def test_a_cluster_that_never_has_a_broker_is_given_up() -> None:
    """With the library's own error."""
    asked = 0

    async def attempt() -> None:
        nonlocal asked
        asked += 1
        raise NodeNotReadyError("node id None")

    with pytest.raises(NodeNotReadyError):
        await with_a_broker(attempt, pause=0)
    assert asked == BROKER_TRIES
