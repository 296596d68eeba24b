"""The pure parts of the shard: intake, rejects, watchdog, checkpoints, addresses."""

from typing import NamedTuple

import pytest
from aiokafka.producer import sender
from hypothesis import given
from hypothesis import strategies as st

from schemas.limits import DAY, MAX_TRANSACTION_RAW
from streams import clients, position
from streams.input_buffer import InputBuffer
from streams.rejects import TRIES, BrokerRejections, RejectLimit
from streams.reply_sender import ReplyAddress, parse_reply_header
from streams.restore import OLDEST, Ends, mismatch
from streams.state import FORMAT, Checkpoint
from streams.watchdog import SILENT, STUCK, Watchdog


class Record(NamedTuple):
    offset: int
    value: bytes
    timestamp: int = 0
    headers: tuple = ()
    partition: int = 0
    key: bytes = b"k"


class Weighing:
    """A processor that weighs a record by the number in it."""

    def weight(self, record):
        return int(record.value)


def buffer(*records, at=0):
    made = InputBuffer(Weighing(), at)
    made.add(list(records))
    return made


def test_time_never_goes_back():
    """Accepted times are the append times, made monotone from where the shard was."""
    made = buffer(*(Record(i, b"1", ts) for i, ts in enumerate([5, 20, 10, 30])), at=8)
    assert [item.input.at for item in made] == [8, 20, 20, 30]


def test_records_stay_until_done():
    """What was not decided is given again; a record that cannot be weighed is not lost."""
    made = buffer(Record(0, b"no number"), Record(1, b"1"))
    assert [item.input.offset for item in made] == [item.input.offset for item in made] == [0, 1]
    made.done(1)
    assert [(item.input.offset, item.weight) for item in made] == [(1, 1)]
    made.done(1)
    assert (len(made), list(made)) == (0, [])


def test_reading_ahead_is_bounded():
    """What is read and not yet applied is bounded by records and by bytes, so memory is."""
    made = buffer(*(Record(i, b"1" * (MAX_TRANSACTION_RAW // 4)) for i in range(3)))
    assert not made.full
    made.add([Record(3, b"1" * (MAX_TRANSACTION_RAW // 4))])
    assert made.full
    made.done(1)
    assert not made.full
    assert buffer(*(Record(i, b"1") for i in range(2000))).full


async def test_quick_transactions():
    """Point 6: neither the wait between transactions nor that for the broker's verification is as long as shipped."""
    producer = clients.transactional_producer("127.0.0.1:1", "t")
    assert (sender.BACKOFF_OVERRIDE, producer._sender._retry_backoff) == (0.004, 0.001)
    assert producer._txn_manager.transaction_timeout_ms == 10_000
    await clients.discard_producer(producer)


def test_who_waits():
    """The reply header names who waits; a record without one, or with another's, waits for nobody."""
    given = Record(0, b"1", headers=(("x", b""), ("reply", b"boot:7:3")))
    made = buffer(given, Record(1, b"1", headers=(("reply", b"?"),)))
    first, second = made
    assert (first.to, first.request) == (ReplyAddress(b"boot", 3), 7)
    assert (second.to, second.request) == (None, -1)


@pytest.mark.parametrize("header", [b"", b"a:b:c", b"a:1", b"a:1:2:3", b"a:-1:2", b"a:1:"])
def test_bad_addresses(header):
    """What is no return address is nobody's."""
    assert parse_reply_header(header) is None


@given(n=st.integers(0, 10**9), partition=st.integers(0, 63))
def test_addresses(n, partition):
    """A return address is boot, number and partition."""
    assert parse_reply_header(b"b0:%d:%d" % (n, partition)) == (ReplyAddress(b"b0", partition), n)


def test_reject_limit_is_of_a_run():
    """Point 4: so many rejects in so many records are too many; spread out they are not."""
    spread = RejectLimit(2, 10)
    for _ in range(20):
        assert spread.reject()
        spread.passed(6)
    dense = RejectLimit(2, 10)
    assert [dense.reject() for _ in range(3)] == [True, True, False]


def test_refusals_halve_down_to_one():
    """Point 4: refused batches are halved down to one record, which is condemned after its tries."""
    rejections = BrokerRejections()
    batch, steps = list(range(100, 116)), 0
    while rejections.poison_offset is None:
        rejections.refused(batch)
        batch = batch[: rejections.max_records]
        steps += 1
    assert rejections.poison_offset == 100 and steps == 4 + TRIES
    rejections.taken(100)
    assert (rejections.poison_offset, rejections.max_records) == (None, 1)
    rejections.taken(115)
    assert rejections.max_records is None


def test_watchdog():
    """A consumer without fetches is silent, one that stays below the known end is stuck, and one at the end is well."""
    now = [0.0]
    dog = Watchdog(5, lambda: now[0])
    for second in range(20):
        now[0] = second
        assert dog.observe(10, 10, second) is None
    silent = [dog.observe(10, 10, 19) for now[0] in (23.0, 24.5)]
    assert silent == [None, SILENT]
    dog.reset()
    stuck = [dog.observe(10, 11, mark) for mark, now[0] in ((1, 25.0), (2, 29.0), (3, 31.0))]
    assert stuck == [None, None, STUCK]


def test_checkpoints_that_do_not_fit():
    """Point 8: another epoch, another format, beyond the end, older than 3 days; anything else fits."""
    ends, now = Ends(5, 100), 10 * DAY
    good = Checkpoint("e", 100, 90, now - OLDEST, FORMAT)
    assert mismatch(good, "e", ends, ends, now) is None
    assert mismatch(good, "f", ends, ends, now) == "epoch"
    assert mismatch(good._replace(format=0), "e", ends, ends, now) == "format"
    assert mismatch(good._replace(state=101), "e", ends, ends, now) == "beyond"
    assert mismatch(good._replace(entries=101), "e", ends, ends, now) == "beyond"
    assert mismatch(good._replace(at=good.at - 1), "e", ends, ends, now) == "old"


def test_position_round_trip():
    """Point 2: the position record keeps all of it; one from before answers came early is clean."""
    there = position.Position(2**37, 1_700_000_000_000, "abc", 3, False)
    assert position.decode(position.encode(there)) == there
    old = position.decode(b'{"next":5,"at":7,"epoch":"abc"}')
    assert old == position.Position(5, 7, "abc", 0, True)
    assert position.decode(None) is None
