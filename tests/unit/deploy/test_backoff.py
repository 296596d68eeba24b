"""How long a child waits before it is started again."""

from deploy.supervisor.backoff import Backoff


def test_a_child_that_keeps_dying_waits_longer_each_time() -> None:
    """From a tenth of a second it doubles to the longest wait and stays there."""
    backoff = Backoff(first=0.1, longest=1.0, settled=5.0)
    assert [round(backoff.after(0.2), 3) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_child_that_had_been_up_is_back_at_once() -> None:
    """The death of a child that had served is no reason to wait, however often it died before."""
    backoff = Backoff(first=0.1, longest=1.0, settled=5.0)
    for _ in range(4):
        backoff.after(0.2)
    assert backoff.after(5.0) == 0.1
    assert backoff.after(0.0) == 0.2
