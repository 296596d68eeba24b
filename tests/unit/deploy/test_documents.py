"""What the documents name is there: settings with their defaults, topics, paths, links, commands and options."""

import contextlib
import io
import re
from pathlib import Path

import pytest

import deploy.kafka
from ingest.dialects.genai_spans import WANTED
from schemas import settings
from schemas.settings import read
from schemas.topics import topics
from tools import cli

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("sdk/*/README.md")])
PACKAGES = (
    "bench|collector|deploy|docs|expirer|ingest|ledger|notifier|pricer|schemas|sdk|streams|tests|tools|warehouse|web"
)
OTHERS = {
    "REV_JAVA": "of the embedded Kafka alone",
    "REV_URL": "of the clients' command lines",
    "REV_API_KEY": "of the clients' command lines",
    "REV_RUN_ALL": "of the tests",
}
each = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def known_settings() -> set[str]:
    return set(re.findall(r'"(REV_[A-Z_]+)"', Path(settings.__file__).read_text()))


def rows() -> list[tuple[list[str], list[str]]]:
    """Names and defaults of each row of the table of settings."""
    text = (ROOT / "docs" / "operations.md").read_text()
    table = text[text.index("## Settings") : text.index("## What each service promises")]
    cells = [line.split(" | ") for line in table.splitlines() if line.startswith("| REV_")]
    return [(row[0].removeprefix("| ").split(", "), row[1].split(", ")) for row in cells]


def test_every_setting_is_in_the_table() -> None:
    """Once each, and nothing else is."""
    told = [name for names, _ in rows() for name in names]
    assert sorted(told) == sorted({*known_settings(), "REV_JAVA"})
    assert "REV_JAVA" in (Path(deploy.kafka.__file__).parent / "java.py").read_text()


def test_the_defaults_are_those_of_the_code() -> None:
    """Setting what the table gives as the default changes nothing."""
    checked = 0
    for names, defaults in rows():
        for name, default in zip(
            names, defaults if len(defaults) == len(names) else defaults * len(names), strict=True
        ):
            value = default.partition(" (")[0]
            if re.fullmatch(r"[0-9][0-9a-z.]*|rev(-data)?", value):
                assert read({name: value}) == read({}), name
                checked += 1
    assert checked >= 18


@each
def test_no_other_variable_is_named(path: Path) -> None:
    """A misspelt one would be set in vain."""
    assert set(re.findall(r"\bREV_[A-Z_]+\b", path.read_text())) <= known_settings() | OTHERS.keys()


@each
def test_topics_and_tables_are_there(path: Path) -> None:
    """``rev.`` names a topic, a table or view of the ledger, or an attribute of a span."""
    schema = (ROOT / "warehouse" / "sql" / "schema.sql").read_text()
    known = {topic.name for topic in topics(4)} | set(re.findall(r"\brev\.\w+", schema))
    known |= {f"rev.{name}" for name in re.findall(r"PROJECTION (\w+)", schema)}
    known |= {".".join(name.split(".")[:2]) for name in WANTED}
    assert set(re.findall(r"(?<![\w/.])rev\.[a-z_]+\b", path.read_text())) <= known


@each
def test_paths_and_links_lead_somewhere(path: Path) -> None:
    """Of this repository; a decision may be named by its number alone."""
    text = path.read_text()
    named = set(re.findall(rf"(?<![\w/.])(?:{PACKAGES})/[\w./-]*\w", text))
    assert [name for name in named if not (ROOT / name).exists() and not list(ROOT.glob(f"{name}-*"))] == []
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


@each
def test_commands_and_their_options_are_there(path: Path) -> None:
    """`rev …` as it is written can be typed."""
    for command, rest in re.findall(r"(?:^ {4}|`|bin/)rev ([a-z]+)([^`\n]*)", path.read_text(), re.MULTILINE):
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0
        assert set(re.findall(r"--[a-z][a-z-]*", rest)) <= set(re.findall(r"--[a-z][a-z-]*", shown.getvalue()))
