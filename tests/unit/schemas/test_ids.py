"""schemas.ids: event ids are addresses, exact and reversible up to the last one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import ids

partitions = st.integers(0, ids.MAX_PARTITIONS - 1)
offsets = st.integers(0, ids.MAX_OFFSET)
addresses = st.integers(0, ids.MAX_INDEX)


@given(partitions, offsets, addresses)
def test_an_event_id_is_its_address(partition: int, offset: int, event_index: int) -> None:
    """Every address has one id, exact in JavaScript, from which it can be read back."""
    event = ids.event_id(partition, offset, event_index)
    assert 0 <= event < 2**53
    assert ids.address_of(event) == (partition, offset, event_index)


@given(partitions, offsets, st.integers(0, 999))
def test_ids_within_a_record_are_consecutive(partition: int, offset: int, event_index: int) -> None:
    """The id of event i is the record's first id plus i; the pricer relies on it."""
    assert ids.event_id(partition, offset, event_index) == ids.event_id(partition, offset) + event_index


@pytest.mark.parametrize(
    "address",
    [(-1, 0, 0), (ids.MAX_PARTITIONS, 0, 0), (0, -1, 0), (0, ids.MAX_OFFSET + 1, 0), (0, 0, -1), (0, 0, 1024)],
)
def test_an_address_without_an_id_is_refused(address: tuple[int, int, int]) -> None:
    """No id is ever made for an address that could collide with another."""
    with pytest.raises(ValueError, match="no event id"):
        ids.event_id(*address)


@pytest.mark.parametrize("event", [-1, 2**53])
def test_a_number_that_is_no_id_is_refused(event: int) -> None:
    """Only what event_id can have made has an address."""
    with pytest.raises(ValueError, match="not an event id"):
        ids.address_of(event)


def test_the_alarm_comes_before_the_end() -> None:
    """At 80 % of a shard's ids there is still room for 27 billion records."""
    assert ids.MAX_OFFSET - ids.OFFSET_ALARM > 27 * 10**9


def test_an_outcome_is_named_after_its_event() -> None:
    """The reference's oc_42."""
    assert ids.outcome_id(42) == "oc_42"
