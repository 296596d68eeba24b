"""The broker's time, told by heartbeats, against a broker whose clock is known."""

from hypothesis import given
from hypothesis import strategies as st

from expirer.clock import MILLION, BrokerClock

START = 1_777_000_000_000
beats = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=30)


@given(beats, st.integers(0, 10**12), st.integers(0, 5000))
def test_never_ahead_of_the_broker_and_behind_by_the_quickest_answer(
    rhythm: list[tuple[int, int, int]], boot: int, later: int
) -> None:
    """Whatever the delays to and from the broker, the time told is at most the broker's, and behind
    it by no more than the quickest of the last ten acknowledgements took."""
    clock, mono, ahead = BrokerClock(), boot * MILLION, START * MILLION
    for pause, there, back in rhythm:
        mono += pause * MILLION
        stamped = mono + there * MILLION
        clock.observe(mono, (stamped + ahead) // MILLION, mono := stamped + back * MILLION)
    mono += later * MILLION
    told, true = clock.now(mono), (mono + ahead) // MILLION
    assert true - min(back for _, _, back in rhythm[-10:]) - 1 <= told <= true


@given(st.integers(-3_600_000, 3_600_000), st.integers(0, 300), st.integers(0, 300))
def test_a_step_of_the_brokers_clock_is_noticed_by_the_next_heartbeat(step: int, there: int, back: int) -> None:
    """Set forward or back, by a second or an hour: after one heartbeat the time told is not ahead
    by more than what cannot be told from a slow answer."""
    clock, mono = BrokerClock(), 0
    for _ in range(5):
        clock.observe(mono, START + mono // MILLION, mono)
        mono += 1000 * MILLION
    stamp = START + step + mono // MILLION + there
    sent, mono = mono, mono + (there + back) * MILLION
    clock.observe(sent, stamp, mono)
    ahead = clock.now(mono) - (stamp + back)
    assert ahead <= there + 1
    if abs(step) > there + back:
        assert -back <= ahead <= 0


def test_unknown_before_the_first_heartbeat_and_old_without_them() -> None:
    """How long ago it was last heard of is told, so that it can be said that it is not known well."""
    clock = BrokerClock()
    assert not clock.known and clock.age(5) == float("inf")
    clock.observe(0, START, 2 * MILLION)
    assert clock.known and clock.age(2_002 * MILLION) == 2.0
    assert clock.now(2_002 * MILLION) == START + 2000
