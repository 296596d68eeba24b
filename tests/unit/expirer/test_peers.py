"""What an expirer knows of the others from their heartbeats."""

import pytest

from expirer.peers import PRESENT, Announcement, Peers, decode, encode


def test_an_announcement_comes_back_as_it_was() -> None:
    for one in (Announcement("expirer-0"), Announcement("expirer-1", (0, 63), leaving=True)):
        assert decode(encode(one)) == one


@pytest.mark.parametrize("value", [b"expirer-0", b"", b"\xff", b"[1]", b'{"name": 5}'])
def test_every_other_value_is_a_name_that_announces_nothing(value: bytes) -> None:
    """Expirers of earlier versions send their name alone, and nothing in the topic may stop the reader."""
    assert decode(value) == Announcement(value.decode(errors="replace"))


def test_another_reminds_for_what_it_announced_after_that_time() -> None:
    """An announcement from before a hand-over says nothing about it."""
    peers = Peers("expirer-0")
    peers.observe(encode(Announcement("expirer-1", (1, 3))), 1000)
    assert [peers.remind_for(partition, 999) for partition in range(4)] == [False, True, False, True]
    assert not peers.remind_for(1, 1000)
    peers.observe(encode(Announcement("expirer-2", (1,))), 1001)
    assert peers.remind_for(1, 1000) and not peers.remind_for(3, 1000)


def test_our_own_heartbeats_are_not_another_expirers() -> None:
    peers = Peers("expirer-0")
    peers.observe(encode(Announcement("expirer-0", (0,))), 1000)
    assert not peers.remind_for(0, 0) and not peers.present(1000)


def test_another_is_present_for_a_while_unless_it_leaves() -> None:
    """Also one of an earlier version; one that is leaving takes nothing over."""
    peers = Peers("expirer-0")
    peers.observe(b"expirer-1", 1000)
    assert peers.present(1000 + PRESENT) and not peers.present(1001 + PRESENT)
    peers.observe(encode(Announcement("expirer-2")), 5000)
    assert peers.present(5000)
    peers.observe(encode(Announcement("expirer-2", (), leaving=True)), 5001)
    assert not peers.present(5001)
