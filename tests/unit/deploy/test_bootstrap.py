"""How topics are created and compared, without a cluster."""

from deploy.bootstrap import new_topic, wrong_partitions
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
