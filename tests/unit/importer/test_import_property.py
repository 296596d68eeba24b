"""For any file, dialect and mapping: each right row is charged once, each other row is told, and a second run, a
killed run, a prefix or a superset adds exactly what is new."""

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.importer.serving import Serving
from tools.importer.memory import MemoryGateway

SPELLINGS = {
    "tokens": ["tokens", "total_tokens", "Token Count"],
    "agent_id": ["agent_id", "Agent", "agent name"],
    "model": ["model", "Model-Name"],
    "note": ["note", "Näme"],
}


class Line(NamedTuple):
    """One row as it is written: tokens as text, and whether it is right."""

    id: str
    tokens: str
    agent: str
    model: str
    note: str

    @property
    def right(self) -> bool:
        return self.tokens.isdigit() and bool(self.agent)


class Dialect(NamedTuple):
    """How a file is written."""

    kind: str
    delimiter: str
    quoting: int
    ends: str
    mark: bool
    blanks: bool
    header: tuple[str, str, str, str]


text = st.text(st.sampled_from("ab\"',;|\t é日\n"), max_size=6).map(str.strip)
lines = st.builds(
    Line,
    st.just(""),
    st.integers(0, 10**6).map(str) | st.sampled_from(["1.5", "-1", "x", "1e3"]),
    st.sampled_from(["ann", "bob", "çeç", ""]),
    st.sampled_from(["", "m-1"]),
    text,
)
dialects = st.builds(
    Dialect,
    st.sampled_from(["csv", "csv", "jsonl", "json"]),
    st.sampled_from([",", ";", "|"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
    st.tuples(*(st.sampled_from(names) for names in SPELLINGS.values())),
)


def numbered(rows: list[Line]) -> list[Line]:
    return [row._replace(id=f"id-{number}") for number, row in enumerate(rows)]


def write(path: Path, rows: list[Line], dialect: Dialect) -> Path:
    """The file, in the dialect."""
    names = ("id", *dialect.header)
    mark = "\ufeff" if dialect.mark else ""
    if dialect.kind == "csv":
        buffer = io.StringIO()
        writer = csv.writer(
            buffer,
            delimiter=dialect.delimiter,
            quoting=dialect.quoting,
            lineterminator=dialect.ends,  # type: ignore[arg-type]
        )
        writer.writerow(names)
        for row in rows:
            writer.writerow(row)
            if dialect.blanks:
                buffer.write(dialect.ends)
        content = buffer.getvalue()
    else:
        made = [_object(names, row) for row in rows]
        if dialect.kind == "json":
            content = "[" + ",\n".join(made) + "]"
        else:
            content = "".join(one + dialect.ends * (1 + dialect.blanks) for one in made)
    target = path.with_suffix("." + dialect.kind)
    target.write_bytes((mark + content).encode())
    return target


def _object(names: tuple[str, ...], row: Line) -> str:
    cells: dict[str, Any] = {name: cell for name, cell in zip(names, row, strict=True) if cell}
    shown = json.dumps(cells, ensure_ascii=False)
    return re.sub(r'("(?:tokens|total_tokens|Token Count)": )"(-?[0-9.]+(?:e3)?)"', r"\1\2", shown)


def options(dialect: Dialect, own_ids: bool, kept: bool) -> list[str]:
    found = ["--set", "action=completion", "--delimiter", dialect.delimiter]
    if own_ids:
        found += ["--map", "idempotency_key=id"]
    return found + (["--metadata"] if kept else [])


def right(rows: list[Line], dialect: Dialect) -> list[Line]:
    """Rows that can be charged: in JSON an absent agent is the default one, in CSV an empty cell is bad."""
    return [row for row in rows if row.right or (dialect.kind != "csv" and row.tokens.isdigit())]


def charged(gateway: MemoryGateway) -> Counter[tuple[int, str]]:
    """Tokens and agent of what was charged."""
    return Counter((event.get("tokens", 0), event["agent_id"]) for event in gateway.charged)


def wanted(rows: list[Line], dialect: Dialect) -> Counter[tuple[int, str]]:
    return Counter((int(row.tokens), row.agent or "import") for row in right(rows, dialect))


@pytest.fixture(scope="module")
def gateway() -> Any:
    served = Serving(MemoryGateway())
    yield served
    served.stop()


def fresh(served: Serving) -> MemoryGateway:
    """A gateway that has seen nothing, behind the same port."""
    gateway = served.gateway
    gateway.charged.clear()
    gateway.forget()
    gateway.faults = []
    return gateway


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, min_size=1, max_size=12), dialects, st.booleans(), st.booleans(), st.data())
def test_every_right_row_once_and_every_other_told(
    gateway: Serving,
    tmp_path: Path,
    capsys: Any,
    rows: list[Line],
    dialect: Dialect,
    own_ids: bool,
    kept: bool,
    data: Any,
) -> None:
    """Σ events = right rows; the others are told; again, after faults, and long after, nothing is added. With ids,
    a prefix and then a superset add what is new."""
    served = fresh(gateway)
    rows = numbered(rows)
    if dialect.kind != "csv" and not any(row.tokens for row in rows):
        return
    path = write(tmp_path / "a", rows, dialect)
    told_to = options(dialect, own_ids, kept)
    served.faults = data.draw(st.lists(st.sampled_from([None, "unknown", "drop", "accepted"]), max_size=2))
    wrong = len(rows) - len(right(rows, dialect))
    capsys.readouterr()
    assert gateway.run(path, *told_to) == (1 if wrong else 0)
    assert charged(served) == wanted(rows, dialect)
    assert len(re.findall(r"\(row \d+\)|^row \d+", capsys.readouterr().err, re.M)) == wrong
    for forget in (False, True):
        if forget:
            served.forget()
        assert gateway.run(path, *told_to) == (1 if wrong else 0)
        assert charged(served) == wanted(rows, dialect)
    if own_ids:
        more = [*rows, *(row._replace(id=f"new-{row.id}") for row in rows[:3])]
        for part in (rows[: len(rows) // 2] or rows, more):
            gateway.run(write(tmp_path / "b", part, dialect), *told_to)
        assert charged(served) == wanted(more, dialect)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 3500), st.sets(st.integers(0, 3)), st.booleans(), st.booleans())
def test_a_killed_run_is_completed(
    gateway: Serving, tmp_path: Path, count: int, lost: set[int], own_ids: bool, forget: bool
) -> None:
    """Whichever batches the killed run had charged, the next one charges exactly the others."""
    served = fresh(gateway)
    rows = numbered([Line("", str(n), "ann", "", "") for n in range(count)])
    dialect = Dialect("csv", ",", csv.QUOTE_MINIMAL, "\n", False, False, ("tokens", "agent_id", "model", "note"))
    path = write(tmp_path / "a", rows, dialect)
    assert gateway.run(path, *options(dialect, own_ids, False)) == 0
    kept = [event for event in served.charged if event["tokens"] // 1000 not in lost]
    gone = {event["idempotency_key"] for event in served.charged} - {event["idempotency_key"] for event in kept}
    served.charged[:] = kept
    served.lose(gone, forget)
    assert gateway.run(path, *options(dialect, own_ids, False)) == 0
    assert charged(served) == wanted(rows, dialect)
