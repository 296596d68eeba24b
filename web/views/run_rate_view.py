"""What flows right now, as the overview shows it. Pure; money in pico-cents, times in ms."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from schemas.limits import HOUR
from schemas.money import parse_cents
from warehouse.dashboard_rows import RunRateRow
from warehouse.time_range import TimeRange
from web import formats, jumps
from web.views.overview_view import Figure

MINUTE = HOUR // 60
SHOWN = 5
"""Jumps with a line of their own."""
WORDS = {"failures": "Failures", "silence": "Silence", "spend": "Spend"}


class RunRate(NamedTuple):
    """The rows of the last minute and of the hour before it, which is ``hour``."""

    minute: Sequence[RunRateRow]
    before: Sequence[RunRateRow]
    hour: TimeRange


class JumpLine(NamedTuple):
    """A sudden jump. ``tone``: bad or warn; ``of``: the customer of an agent; ``sentence``: what it is and was."""

    word: str
    tone: str
    name: str
    of: str
    href: str
    sentence: str


class RunRateView(NamedTuple):
    """``headline`` answers whether money is flowing; ``tone``: good, or nothing at rest."""

    headline: str
    tone: str
    figures: list[Figure]
    lines: list[JumpLine]
    more: int
    hour: TimeRange


def customers(run_rate: RunRate) -> list[str]:
    """Return the customers that the lines name."""
    return [jump.customer for jump in jumps.jumps(run_rate.minute, run_rate.before)[:SHOWN] if jump.customer]


def assemble(run_rate: RunRate, names: Mapping[str, str]) -> RunRateView:
    """Return the card. ``names``: of customers."""
    now, before = jumps.whole(run_rate.minute), jumps.whole(run_rate.before)
    found = jumps.jumps(run_rate.minute, run_rate.before)
    total = parse_cents(now.total)
    return RunRateView(
        headline="Money is flowing"
        if total > 0
        else "Events arrive"
        if now.events > 0
        else "Nothing in the last minute",
        tone="good" if now.events > 0 or total > 0 else "",
        figures=_figures(now, before),
        lines=[_line(jump, names) for jump in found[:SHOWN]],
        more=max(len(found) - SHOWN, 0),
        hour=run_rate.hour,
    )


def _figures(now: RunRateRow, before: RunRateRow) -> list[Figure]:
    total, usual = parse_cents(now.total), parse_cents(before.total)
    hourly = 60 * total
    in_the_hour = f"{formats.dollars(usual)} in the hour before"
    failed = f"{formats.percent(before.failed, before.ended)} in the hour before" if before.ended else ""
    return [
        Figure("Last minute", formats.dollars(total), formats.cents(total)),
        Figure(
            "An hour at this rate",
            formats.dollars(hourly),
            formats.cents(hourly),
            *formats.change(hourly, usual),
            note=in_the_hour,
        ),
        Figure("Events a minute", formats.grouped(now.events), note=f"{_a_minute(before.events)} in the hour before"),
        Figure("Failed", formats.percent(now.failed, now.ended), note=failed or "no verdicts in the hour before"),
    ]


def _a_minute(events: int) -> str:
    """Return a sixtieth of the events of an hour, with one decimal below ten: "7.5"."""
    tenths = (events * 10 + 30) // 60
    return formats.grouped(tenths // 10) if tenths >= 100 or tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}"


def _line(jump: jumps.Jump, names: Mapping[str, str]) -> JumpLine:
    """Return a line; what has no agent, such as a registered task, is of its customer alone."""
    customer = names.get(jump.customer, jump.customer)
    if jump.agent:
        name, of, href = jump.agent, customer, "/agents?agent=" + quote(jump.agent, safe="")
    elif jump.customer:
        name, of, href = customer, "", "/customers/" + quote(jump.customer, safe="")
    else:
        name, of, href = "All agents", "", ""
    tone = "bad" if jump.kind == "failures" else "warn"
    return JumpLine(WORDS[jump.kind], tone, name, of, href, _sentence(jump))


def _sentence(jump: jumps.Jump) -> str:
    now, usual = jump.now, jump.usual
    if jump.kind == "failures":
        before = f"{formats.grouped(usual.failed)} of {formats.grouped(usual.ended)}" if usual.ended else "no verdict"
        return f"{formats.grouped(now.failed)} of {formats.grouped(now.ended)} failed; {before} in the hour before"
    if jump.kind == "silence":
        return f"no event; {_a_minute(usual.events)} a minute in the hour before"
    most = parse_cents(usual.most)
    total = formats.dollars(parse_cents(now.total))
    return f"{total} charged; at most {formats.dollars(most)} in a minute of the hour before"
