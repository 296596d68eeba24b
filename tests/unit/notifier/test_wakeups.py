"""When a queue is looked at again."""

from hypothesis import given
from hypothesis import strategies as st

from notifier.wakeups import WakeupQueue

IDS = st.integers(1, 5)


@given(st.lists(st.tuples(IDS, st.integers(0, 100) | st.none()), max_size=40))
def test_each_goes_off_once_at_its_earliest_time(asked: list[tuple[int, int | None]]) -> None:
    """Whatever was asked for and in which order; never early, and :meth:`next` is never late."""
    wakeups, due = WakeupQueue(), dict[int, int]()
    for id, at in asked:
        if at is None:
            wakeups.wake_now(id)
        else:
            wakeups.wake_at(id, at)
        due[id] = min(due.get(id, 1000), -1 if at is None else at)
    waiting = {id: min((at for one, at in asked if one == id and at is not None), default=None) for id in due}
    went_off: dict[int, list[int]] = {id: [] for id in due}
    for now in range(101):
        before = wakeups.next()
        for id in wakeups.take(now):
            went_off[id].append(now)
            assert before is None or before <= now or due[id] == -1
    for id, times in went_off.items():
        wake_now = [0] if due[id] == -1 else []
        later = [] if waiting[id] is None or (wake_now and waiting[id] == 0) else [waiting[id]]
        assert times == wake_now + later
    assert wakeups.next() is None
