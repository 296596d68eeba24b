"""Assignments that a membership takes, and those that it asks for again. Against Kafka: tests/integration/streams."""

from typing import Any

import pytest

from streams.membership import Membership


class Consumer:
    """``known``: the partitions of the topic in its metadata."""

    def __init__(self, known: set[int] | None) -> None:
        self._known = known

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self._known


@pytest.mark.parametrize(
    ("known", "given", "taken"),
    [
        ({0, 1}, {0, 1}, [{0, 1}]),
        ({0, 1}, set(), [set()]),  # more members than partitions
        (None, set(), []),  # the topic was only just created
        (set(), set(), []),
    ],
)
async def test_nothing_shared_out_for_want_of_metadata_is_asked_for_again(
    known: set[int] | None, given: set[int], taken: list[set[int]]
) -> None:
    """Found by a run of CI: both members were given nothing and kept it."""
    found: list[set[int]] = []

    async def assign(partitions: frozenset[int]) -> None:
        found.append(set(partitions))

    membership = Membership("nowhere", group="g", instance="g-0", session_timeout=2000, topic="t", assign=assign)
    consumer: Any = Consumer(known)
    membership._consumer = consumer
    await membership.assigned(consumer, frozenset(given))
    assert found == taken
    assert (membership.not_ready_reason is None) == bool(taken)
    assert (membership._failed is None) == bool(taken)
