"""Where an event without a row stands: the rule as a table, and held against a small model of the log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.reads.event_status import EventStatus, StatusEvidence, event_status
from schemas.ids import Address

ACCEPTED, ABSENT = EventStatus.ACCEPTED, EventStatus.ABSENT


@pytest.mark.parametrize(
    ("why", "address", "seen", "wanted"),
    [
        ("another customer's partition", Address(2, 5, 0), StatusEvidence(1, 10, 0, 0, -1, -1), ABSENT),
        ("at the log's end", Address(1, 10, 0), StatusEvidence(1, 10, 10, 4, 9, 2), ABSENT),
        ("above the log's end", Address(1, 99, 0), StatusEvidence(1, 10, 0, 0, -1, -1), ABSENT),
        ("an empty log", Address(1, 0, 0), StatusEvidence(1, 0, -1, 0, -1, -1), ABSENT),
        ("the ledger has later commands", Address(1, 5, 0), StatusEvidence(1, 10, 0, 0, 6, 8), ABSENT),
        ("the ledger has this command, not this index", Address(1, 5, 3), StatusEvidence(1, 10, 0, 0, 5, 8), ABSENT),
        ("the pricer is not there yet", Address(1, 9, 0), StatusEvidence(1, 10, 9, 20, 8, 18), ACCEPTED),
        (
            "the pricer has said nothing since the start",
            Address(1, 9, 0),
            StatusEvidence(1, 10, -1, 20, 8, 18),
            ACCEPTED,
        ),
        ("priced, the ledger lags", Address(1, 9, 0), StatusEvidence(1, 10, 10, 22, 8, 18), ACCEPTED),
        ("priced, its marker is not written yet", Address(1, 9, 0), StatusEvidence(1, 10, 10, 21, 8, 18), ACCEPTED),
        ("decided, then an aborted transaction", Address(1, 9, 0), StatusEvidence(1, 10, 10, 21, 8, 18), ACCEPTED),
        ("decided without an entry", Address(1, 9, 0), StatusEvidence(1, 10, 10, 20, 8, 18), ABSENT),
        ("decided without an entry, nothing ever was", Address(1, 3, 0), StatusEvidence(1, 10, 10, 0, -1, -1), ABSENT),
        ("decided, the ledger has nothing yet", Address(1, 3, 0), StatusEvidence(1, 10, 10, 2, -1, -1), ACCEPTED),
        ("the first entry, without its marker yet", Address(1, 3, 0), StatusEvidence(1, 10, 10, 1, -1, -1), ACCEPTED),
    ],
)
def test_the_rule(why: str, address: Address, seen: StatusEvidence, wanted: EventStatus) -> None:
    """Each case of docs/decisions/0020-event-standing.md."""
    assert event_status(address, seen) is wanted, why


class Shard:
    """A shard's log: which raw records left an entry, in which transactions."""

    def __init__(self, leaves: list[bool], sizes: list[int], decided: int) -> None:
        self.entries: list[tuple[int, int, int]] = []
        """(offset in rev.entries, raw offset, transaction)"""
        self.end = done = 0
        for transaction, size in enumerate([*sizes, decided]):
            upto = min(done + size, decided)
            wrote = False
            for raw in range(done, upto):
                if leaves[raw]:
                    self.entries.append((self.end, raw, transaction))
                    self.end += 1
                    wrote = True
            self.end += wrote  # the marker
            done = upto


@given(st.data())
def test_an_event_on_its_way_is_never_absent(data: st.DataObject) -> None:
    """However far pricer, markers and ledger have come, a durable event without a row is
    accepted, and once all is in the ledger what has no row is absent."""
    leaves = data.draw(st.lists(st.booleans(), min_size=1, max_size=12))
    decided = data.draw(st.integers(0, len(leaves)))
    shard = Shard(leaves, data.draw(st.lists(st.integers(1, 4), max_size=12)), decided)
    copied = shard.entries[: data.draw(st.integers(0, len(shard.entries)))]
    end = shard.end
    if shard.entries and shard.entries[-1][2] not in {transaction for _, _, transaction in copied}:
        end -= data.draw(st.integers(0, 1))  # the last marker may still be on its way
    ledger_entries, ledger_raw, _ = copied[-1] if copied else (-1, -1, -1)
    seen = StatusEvidence(0, len(leaves), decided, end, ledger_raw, ledger_entries)
    for raw in set(range(len(leaves))) - {of for _, of, _ in copied}:
        found = event_status(Address(0, raw, 0), seen)
        if leaves[raw] or raw >= decided:
            assert found is ACCEPTED
        elif len(copied) == len(shard.entries):
            assert found is ABSENT
