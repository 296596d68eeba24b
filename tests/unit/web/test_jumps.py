"""What counts as a sudden jump, and that nothing is said when nothing is wrong."""

from typing import Any

import pytest

from tests.unit.web.conftest import NOW, Server, event
from warehouse.dashboard_rows import RunRateRow
from warehouse.time_range import TimeRange
from web import jumps
from web.jumps import STEADY_MINUTES, WATCHED, Jump
from web.live_feed import current_run_rate
from web.views import run_rate_view
from web.views.run_rate_view import MINUTE, SHOWN, RunRate

HOUR = TimeRange(NOW - 61 * MINUTE, NOW - MINUTE)


def row(agent: str = "a", customer: str = "acme", **given: Any) -> RunRateRow:
    """An agent that had 20 events a minute at a cent each; its busiest minute had 30."""
    usual = {
        "events": 1200,
        "failed": 12,
        "ended": 600,
        "total": "1200",
        "minutes": 60,
        "most_events": 30,
        "most": "30",
    }
    return RunRateRow(**{"customer": customer, "agent": agent, **usual, **given})


def minute(agent: str = "a", customer: str = "acme", **given: Any) -> RunRateRow:
    usual = {"events": 20, "failed": 0, "ended": 10, "total": "20", "minutes": 1, "most_events": 20, "most": "20"}
    return RunRateRow(**{"customer": customer, "agent": agent, **usual, **given})


def everyone(made: RunRateRow) -> RunRateRow:
    return RunRateRow(
        **{name: getattr(made, name) for name in RunRateRow.__struct_fields__} | {"customer": "", "agent": ""}
    )


def found(now: list[RunRateRow], usual: list[RunRateRow]) -> list[tuple[str, str]]:
    """The jumps, among others that go on as ever."""
    steady = (minute("steady"), row("steady"))
    heads = everyone(steady[0]), everyone(steady[1])
    return [(one.kind, one.agent) for one in jumps.jumps([heads[0], steady[0], *now], [heads[1], steady[1], *usual])]


def test_nothing_is_said_when_nothing_is_wrong() -> None:
    assert found([minute(total="30", events=30)], [row()]) == []
    assert jumps.jumps([], []) == []
    assert found([minute(total="-20", events=-2)], [row(most="-1")]) == [("silence", "a")], "voids are no spend"


@pytest.mark.parametrize(
    ("now", "usual", "kinds"),
    [
        ({"total": "90"}, {}, []),
        ({"total": "90.000000000001"}, {}, ["spend"]),
        ({"total": "500", "events": 9}, {}, []),
        ({"total": "500"}, {"minutes": 9}, []),
        ({"failed": 5, "ended": 10}, {}, ["failures"]),
        ({"failed": 4, "ended": 4}, {}, []),
        ({"failed": 5, "ended": 11}, {}, []),
        ({"failed": 5, "ended": 10}, {"failed": 150}, ["failures"]),
        ({"failed": 5, "ended": 10}, {"failed": 151}, []),
        ({"failed": 9, "ended": 9, "total": "500"}, {}, ["failures", "spend"]),
    ],
)
def test_a_jump_is_against_the_hour_before(now: dict[str, Any], usual: dict[str, Any], kinds: list[str]) -> None:
    assert [kind for kind, _ in found([minute(**now)], [row(**usual)])] == kinds


def test_silence_is_of_an_agent_that_was_steady() -> None:
    assert found([], [row()]) == [("silence", "a")]
    assert found([], [row(minutes=STEADY_MINUTES - 1)]) == []
    assert found([], [row(events=599)]) == []


def test_if_all_are_silent_that_is_the_one_jump() -> None:
    (only,) = jumps.jumps([], [everyone(row()), row("a"), row("b")])
    assert only == Jump("silence", jumps.none("", ""), everyone(row()))


def test_an_agent_without_a_history_is_compared_in_its_failures_alone() -> None:
    assert found([minute("new", total="9000")], []) == []
    assert found([minute("new", failed=8, ended=8)], []) == [("failures", "new")]


def test_what_was_cut_off_is_not_compared() -> None:
    """The rows are the largest; an agent that is not among them may be anywhere below."""
    full = [row(f"agent-{number}") for number in range(WATCHED)]
    assert "new" not in {one.agent for one in jumps.jumps([minute("new", failed=8, ended=8)], full)}
    busy = [everyone(minute()), *(minute(f"agent-{number}") for number in range(WATCHED - 1))]
    assert jumps.jumps(busy, [everyone(row()), row("small")]) == []


def test_the_card_says_what_it_is_and_was() -> None:
    many = [row(f"agent-{number}", events=1200 + 10 * number) for number in range(SHOWN + 2)]
    run_rate = RunRate(
        [everyone(minute()), minute("f", failed=9, ended=10, total="500")], [everyone(row()), row("f"), *many], HOUR
    )
    view = run_rate_view.assemble(run_rate, {"acme": "Acme & Co"})
    assert view.headline == "Money is flowing" and view.tone == "good"
    assert [(one.value, one.note) for one in view.figures] == [
        ("$0.20", ""),
        ("$12.00", "$12.00 in the hour before"),
        ("20", "20 in the hour before"),
        ("0.0 %", "2.0 % in the hour before"),
    ]
    failures, silence, *_ = view.lines
    assert (failures.word, failures.name, failures.of, failures.href) == (
        "Failures",
        "f",
        "Acme & Co",
        "/agents?agent=f",
    )
    assert failures.sentence == "9 of 10 failed; 12 of 600 in the hour before"
    assert silence.sentence == "no event; 21 a minute in the hour before" and silence.name == f"agent-{SHOWN + 1}"
    assert (len(view.lines), view.more) == (SHOWN, 4)
    spend = run_rate_view.assemble(RunRate([everyone(minute()), minute(total="500")], [row()], HOUR), {}).lines
    assert [one.sentence for one in spend] == ["$5.00 charged; at most $0.30 in a minute of the hour before"]
    nothing = run_rate_view.assemble(RunRate([], [], HOUR), {})
    assert (nothing.headline, nothing.tone, nothing.lines) == ("Nothing in the last minute", "", [])
    silent = run_rate_view.assemble(RunRate([], [everyone(row())], HOUR), {})
    assert [(one.name, one.href) for one in silent.lines] == [("All agents", "")]


async def test_the_hour_is_read_again_after_a_minute(server: Server) -> None:
    """So that a poll each second reads the last minute alone."""
    server.reads.hour_before = [everyone(row())]
    first = await current_run_rate(server.reads, NOW)
    server.reads.hour_before = []
    assert await current_run_rate(server.reads, NOW + MINUTE - 1, first) == first
    later = await current_run_rate(server.reads, NOW + MINUTE, first)
    assert (later.before, later.hour) == ([], TimeRange(HOUR.start + MINUTE, HOUR.end + MINUTE))


async def test_the_overview_shows_a_jump_and_markup_as_text(server: Server) -> None:
    agent = "<script>alert(1)</script>"
    server.reads.events = [event(event_id=number, agent_id=agent, outcome="failure") for number in range(6)]
    server.reads.hour_before = [everyone(row()), row(agent, "acme-corp")]
    server.reads.named = {"acme-corp": "Acme & Co"}
    _, _, page = await server.get("/dashboard", **server.signed_in())
    assert "6 of 6 failed; 12 of 600 in the hour before" in page and "of Acme &amp; Co" in page
    assert "&lt;script&gt;" in page and agent not in page
    server.reads.hour_before = [everyone(row()), row(agent, "acme-corp", failed=600)]
    _, _, page = await server.get("/dashboard", **server.signed_in())
    assert "No sudden change" in page
