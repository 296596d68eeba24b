"""Names of the topics that a shard host reads and writes, so that a test can use its own set."""

from typing import NamedTuple

from schemas import topics


class TopicNames(NamedTuple):
    raw: str = topics.RAW
    entries: str = topics.ENTRIES
    state: str = topics.STATE
    view: str = topics.CONFIG
    replies: str = topics.REPLIES
    dead: str = topics.DEAD


STANDARD = TopicNames()
