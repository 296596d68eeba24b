"""Where an event without a row stands: the rule as a table, and held against a small model of the log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.reads.standing import Evidence, Standing, standing
from schemas.ids import Address

ACCEPTED, ABSENT = Standing.ACCEPTED, Standing.ABSENT


@pytest.mark.parametrize(
    ("why", "address", "seen", "wanted"),
    [
        ("another customer's partition", Address(2, 5, 0), Evidence(1, 10, 0, 0, -1, -1), ABSENT),
        ("at the log's end", Address(1, 10, 0), Evidence(1, 10, 10, 4, 9, 2), ABSENT),
        ("above the log's end", Address(1, 99, 0), Evidence(1, 10, 0, 0, -1, -1), ABSENT),
        ("an empty log", Address(1, 0, 0), Evidence(1, 0, -1, 0, -1, -1), ABSENT),
        ("the ledger has later commands", Address(1, 5, 0), Evidence(1, 10, 0, 0, 6, 8), ABSENT),
        ("the ledger has this command, not this index", Address(1, 5, 3), Evidence(1, 10, 0, 0, 5, 8), ABSENT),
        ("the pricer is not there yet", Address(1, 9, 0), Evidence(1, 10, 9, 20, 8, 18), ACCEPTED),
        ("the pricer has said nothing since the start", Address(1, 9, 0), Evidence(1, 10, -1, 20, 8, 18), ACCEPTED),
        ("priced, the ledger lags", Address(1, 9, 0), Evidence(1, 10, 10, 22, 8, 18), ACCEPTED),
        ("priced, an aborted transaction is last", Address(1, 9, 0), Evidence(1, 10, 10, 21, 8, 18), ACCEPTED),
        ("decided without an entry", Address(1, 9, 0), Evidence(1, 10, 10, 20, 8, 18), ABSENT),
        ("decided without an entry, nothing ever was", Address(1, 3, 0), Evidence(1, 10, 10, 0, -1, -1), ABSENT),
        ("decided, the ledger has nothing yet", Address(1, 3, 0), Evidence(1, 10, 10, 2, -1, -1), ACCEPTED),
    ],
)
def test_the_rule(why: str, address: Address, seen: Evidence, wanted: Standing) -> None:
    """Each case of docs/decisions/0020-event-standing.md."""
    assert standing(address, seen) is wanted, why


@given(st.data())
def test_an_event_on_its_way_is_never_absent(data: st.DataObject) -> None:
    """However far pricer and ledger have come, a durable event without a row is accepted, and
    once all is in the ledger what has no row is absent."""
    leaves_entry = data.draw(st.lists(st.booleans(), min_size=1, max_size=12))
    decided = data.draw(st.integers(0, len(leaves_entry)))
    batches = data.draw(st.lists(st.integers(1, 4), max_size=12))
    entries, end, done = [], 0, 0  # raw offset by offset of rev.entries
    for size in [*batches, decided]:
        upto = min(done + size, decided)
        for raw in range(done, upto):
            if leaves_entry[raw]:
                entries.append((end, raw))
                end += 1
        if entries and entries[-1][0] == end - 1:
            end += 1  # the marker of the transaction
        done = upto
    copied = entries[: data.draw(st.integers(0, len(entries)))]
    ledger_entries, ledger_raw = copied[-1] if copied else (-1, -1)
    seen = Evidence(0, len(leaves_entry), decided, end, ledger_raw, ledger_entries)
    for raw, leaves in enumerate(leaves_entry):
        if any(raw == of for _, of in copied):
            continue
        found = standing(Address(0, raw, 0), seen)
        if leaves or raw >= decided:
            assert found is ACCEPTED
        elif len(copied) == len(entries):
            assert found is ABSENT
