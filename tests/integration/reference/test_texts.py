"""The examples that the tests play are the reference's own text, and none of its calls is left out."""

import re
from pathlib import Path

import pytest

from tests.shared import beside

TESTS = Path(__file__).parents[2]
PLAYED = ("meter", "usage", "pricing", "outcomes", "api/admin")
"""Endpoints whose every example is held; of the others (webhooks, dashboard) other rooms see to it."""
EXAMPLES = sorted(file for file in TESTS.glob("integration/*/examples/*") if file.is_file())


def one_line(text: str) -> str:
    """Without regard to white space: the text dump has joined lines and lost indentation."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def reference() -> str:
    texts = sorted(beside("reference").glob("*.txt"))
    assert texts
    return one_line("\n".join(file.read_text(encoding="utf-8") for file in texts))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: f"{file.parts[-3]}/{file.name}")
def test_an_example_stands_in_the_reference(reference: str, file: Path) -> None:
    """Letter by letter; what is substituted is substituted when it is played."""
    assert one_line(file.read_text(encoding="utf-8")) in reference


def test_no_call_of_the_reference_is_left_out(reference: str) -> None:
    """Without the texts that are held no call of these endpoints is left, in whatever language."""
    left = reference
    for text in sorted((one_line(file.read_text(encoding="utf-8")) for file in EXAMPLES), key=len, reverse=True):
        left = left.replace(text, "")
    calls = re.findall(r"(?:curl [^{]{0,40}|fetch\([`']|'|POST )(https://[\w.]+/v1/\w+|https://[\w.]+/api/\w+)", left)
    assert [call for call in calls if call.split("/", 3)[3].removeprefix("v1/").startswith(PLAYED)] == [
        "https://rev.polsia.app/v1/meter"  # "POST /v1/meter means POST https://…", which is no example
    ]
    assert re.findall(r"revgrid\.\w+\(", left) == []
