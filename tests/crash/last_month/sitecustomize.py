"""Put on PYTHONPATH by test_months.py: this process's wall clock is behind by REV_TEST_BEHIND seconds, and rev.raw is
made with its senders' times. So everything is accepted that long ago, until the topic gets its broker's time again."""

import datetime
import os
import time

os.environ["AIOKAFKA_NO_EXTENSIONS"] = "1"  # the compiled one asks the machine's clock for the time of a record

from schemas import topics

BEHIND = int(os.environ["REV_TEST_BEHIND"])
SENDERS = {"message.timestamp.type": "CreateTime"}

_REAL, _REAL_NS, _TOPICS = time.time, time.time_ns, topics.topics
time.time = lambda: _REAL() - BEHIND
time.time_ns = lambda: _REAL_NS() - BEHIND * 10**9


class _Off(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return super().now(tz) - datetime.timedelta(seconds=BEHIND)


def _topics(*partitions: int) -> list[topics.Topic]:
    found = _TOPICS(*partitions)
    return [one._replace(config={**one.config, **SENDERS}) if one.name == topics.RAW else one for one in found]


datetime.datetime = _Off  # type: ignore[misc]
topics.topics = _topics
