"""A gzip body becomes the bytes that were packed, whatever it is made of, in bounded time."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.problems import Invalid, PayloadTooLarge
from ingest.request_body import inflate
from schemas.limits import MAX_BATCH_BODY

EMPTY = gzip.compress(b"")
TIME_OUT = 20
"""Seconds; it takes half a second, and took 40 when each member copied all that followed it."""


@given(st.lists(st.binary(max_size=300), max_size=60), st.integers(0, 3))
def test_members_are_joined(parts: list[bytes], level: int) -> None:
    """Several members are one body, wherever they begin; one byte more than the limit is refused."""
    whole = b"".join(parts)
    packed = b"".join(gzip.compress(part, level) for part in parts)
    assert inflate(packed, len(whole)) == whole
    if whole:
        with pytest.raises(PayloadTooLarge):
            inflate(packed, len(whole) - 1)


@pytest.mark.parametrize("cut", [1, 8, 9, 5000])
def test_a_cut_off_member_is_refused(cut: int) -> None:
    """A body that ends within a member is no body, however much of it came."""
    with pytest.raises(Invalid, match="ends too early"):
        inflate(EMPTY + gzip.compress(bytes(range(256)) * 40, 0)[:-cut], MAX_BATCH_BODY)


@pytest.mark.timeout(TIME_OUT)
def test_many_tiny_members_are_soon_done() -> None:
    """The largest body of empty members does not hold the gateway up for a minute."""
    assert inflate(EMPTY * (MAX_BATCH_BODY // len(EMPTY)), MAX_BATCH_BODY) == b""
