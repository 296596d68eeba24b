"""The pricing simulator: the example of the landing page to the cent, and the same figures in Python and JavaScript."""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from schemas.money import MAX_RATE, PICO
from web.views.estimate import CHOICES, ModelRates, Workload, figures, rates, workload
from web.web_refusals import Refusal

HERE = Path(__file__).parent
COMPLETION = ModelRates(flat=PICO // 10, base=PICO // 2, token=3 * PICO // 10_000, bonus=PICO // 4)


def test_the_defaults_are_the_example_of_the_landing_page() -> None:
    """A million calls, 2,000 tokens, 80 %: $1,000 flat; $5,000 + $6,000 + $2,000 with Rev."""
    shown = figures(Workload(), COMPLETION)
    assert (shown["calls"], shown["tokens"], shown["success"]) == ("1,000,000", "2,000", "80 %")
    assert [shown[name] for name in ("flat", "base", "token", "bonus", "hybrid")] == [
        "$1,000",
        "$5,000",
        "$6,000",
        "$2,000",
        "$13,000",
    ]
    assert (shown["difference"], shown["direction"], shown["percent"]) == ("$12,000", "more", "+1,200 %")
    assert (shown["hybrid_cents"], shown["wins"]) == ("1300000", "800,000")
    assert shown["break_even"].startswith("From a success rate of 40 %")


def test_sums_are_exact_and_rounded_once() -> None:
    shown = figures(Workload(1000, 60, 51), ModelRates(1, 1, 1, 1))
    assert shown["hybrid_cents"] == "0.00000006151" and shown["hybrid"] == "$0"
    assert (shown["percent"], shown["direction"]) == ("+6,051 %", "more")
    less = figures(Workload(1000, 50, 50), ModelRates(2 * PICO, PICO, 0, 0))
    assert (less["difference"], less["direction"], less["percent"]) == ("$10", "less", "−50 %")
    assert figures(Workload(), ModelRates(0, 1, 1, 1))["percent"] == ""


def test_every_number_of_wins_is_whole() -> None:
    """Calls come in hundreds, so that a success rate in percent needs no rounding."""
    assert all(calls % 100 == 0 for calls in CHOICES["calls"])
    for name, (least, most) in {"calls": (1000, 10**7), "tokens": (50, 50_000), "success": (50, 99)}.items():
        choices = CHOICES[name]
        assert (choices[0], choices[-1]) == (least, most) and list(choices) == sorted(set(choices))
        assert getattr(Workload(), name) in choices


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"calls": "7"}, "calls"),
        ({"tokens": "2000.0"}, "tokens"),
        ({"success": ""}, "success"),
        ({"success": "80<script>"}, "success"),
    ],
)
def test_a_workload_that_the_page_does_not_offer_is_refused(query: dict[str, str], field: str) -> None:
    with pytest.raises(Refusal, match=f"^{field} must be") as refused:
        workload(query)
    assert refused.value.status == 400


@pytest.mark.parametrize("text", ["", ".", "-1", "1e3", "NaN", "٣", "1.0000000000001", "1000000001", "9" * 31, "1,5"])
def test_a_rate_that_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match=r"^bonus must"):
        rates({"bonus": text}, COMPLETION)
    assert answers([{"text": text}]) == [None]


def test_rates_are_read_alike() -> None:
    texts = ["0", "0.0003", "1000000000", "1000000000.0", ".5", "5.", "0.000000000001", "00012.50"]
    read = [rates({"base": text}, COMPLETION).base for text in texts]
    assert [int(found) for found in answers([{"text": text} for text in texts])] == read


def test_the_browser_shows_what_the_server_does() -> None:
    """Every figure as the same text, over edges and a thousand drawn cases."""
    rng = random.Random(7)
    drawn = [0, 1, PICO, MAX_RATE]

    def rate() -> int:
        return rng.choice([*drawn, rng.randrange(10 ** rng.randrange(1, 21))])

    cases = [(Workload(), COMPLETION)]
    for _ in range(1000):
        work = Workload(*(rng.choice(CHOICES[name]) for name in Workload._fields))
        cases.append((work, ModelRates(rate(), rate(), rate(), rate())))
    # rates as text: JSON numbers of this size are no integers in JavaScript
    asked = [{"work": w._asdict(), "rates": {k: str(v) for k, v in r._asdict().items()}} for w, r in cases]
    assert answers(asked) == [figures(w, r) for w, r in cases]


def answers(cases: list[dict[str, Any]]) -> list[Any]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("not run: node is absent")
    text = "".join(json.dumps(case) + "\n" for case in cases)
    done = subprocess.run(
        [node, str(HERE / "estimate_cases.mjs")], input=text, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
