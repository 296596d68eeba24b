"""The moments at which a process writes its blocks."""

from ledger.insert_schedule import GATHER, LINGER, MAX_LINGER, InsertSchedule


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 100.0
        self.schedule = InsertSchedule(lambda: self.time)


def test_everyone_gets_the_same_moment() -> None:
    """Records of several partitions that come before the next moment are written then, all of them."""
    hand = Hand()
    due = hand.schedule.due()
    assert due == 100.0 + GATHER
    hand.time = 100.09
    assert hand.schedule.due() == due
    hand.time = due
    assert hand.schedule.due() == due + GATHER


def test_the_distance_grows_with_what_a_write_took() -> None:
    """Writes begin at least LINGER apart, at most MAX_LINGER, and in between in proportion to the last one."""
    for took, distance in ((0.001, LINGER), (0.05, 0.4), (3.0, MAX_LINGER)):
        hand = Hand()
        hand.schedule.begins()
        hand.schedule.took(took)
        assert round(hand.schedule.due(), 9) == 100.0 + distance


def test_a_record_after_a_long_write_waits_for_company_only() -> None:
    """What comes when the next moment is long over waits no longer than after silence."""
    hand = Hand()
    hand.schedule.begins()
    hand.time = 105.0
    hand.schedule.took(5.0)
    assert hand.schedule.due() == 105.0 + GATHER
