"""One file imported twice with other keys, other customers or other names of its fields: never charged twice, never
charged with 0 tokens unawares."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.unit.importer.serving import Serving
from tests.unit.importer.test_import_kinds import SET, totals, write

pytestmark = pytest.mark.usefixtures("quick")

FILE = "id,other,tokens\n" + "".join(f"e{n},o{n},{n}\n" for n in range(1, 1201))
BY_ROW: tuple[str, ...] = ()
BY_ID = ("--map", "idempotency_key=id")
BY_OTHER = ("--map", "idempotency_key=other")
SCHEMES = (BY_ROW, BY_ID, BY_OTHER)
UNDO = ("--undo", "--token", "admin")


@pytest.mark.parametrize("lag", [0, 3])
@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(SCHEMES, 2)))
def test_other_keys_for_the_same_file_are_refused(
    serving: Serving, tmp_path: Path, capsys: Any, first: Any, second: Any, lag: int
) -> None:
    """At once after the first import, and when the server has forgotten the keys; after an undo they are fine."""
    serving.gateway.lag = lag
    path = write(tmp_path / "a.csv", FILE)
    assert serving.run(path, *SET, *first) == 0
    for _ in range(2):
        assert serving.run(path, *SET, *second) == 2
        assert "1,200 events of this file were charged to 'acme' with other keys" in capsys.readouterr().err
        assert serving.run(path, *SET, *first) == 0
        serving.gateway.forget()
    assert len(serving.gateway.charged) == 1200
    assert serving.run(path, *UNDO) == 0
    assert serving.run(path, *SET, *second) == 0
    assert len(serving.gateway.charged) == 2400
    assert serving.run(path, *SET, *first) == 2


@pytest.mark.parametrize(("first", "second"), [(BY_ROW, BY_ID), (BY_ID, BY_OTHER), (BY_ID, BY_ROW)])
def test_half_an_import_counts_as_one(serving: Serving, tmp_path: Path, first: Any, second: Any) -> None:
    """An import that was cut off goes on with its own keys only."""
    path = write(tmp_path / "a.csv", FILE)
    assert serving.run(path, *SET, *first) == 0
    lost = {event["idempotency_key"] for event in serving.gateway.charged[700:]}
    del serving.gateway.charged[700:]
    serving.gateway.lose(lost, forget=False)
    assert serving.run(path, *SET, *second) == 2
    assert len(serving.gateway.charged) == 700
    assert serving.run(path, *SET, *first) == 0
    assert len(serving.gateway.charged) == 1200


def test_ids_that_another_file_charged_are_no_other_keys(serving: Serving, tmp_path: Path) -> None:
    """Overlapping exports: rows of another import are found, and do not hide that this one has other keys."""
    assert serving.run(write(tmp_path / "a.csv", "id,tokens\nx,1\ny,2\n"), *SET, *BY_ID) == 0
    both = write(tmp_path / "b.csv", "id,tokens\ny,2\nz,3\n")
    for _ in range(2):
        assert serving.run(both, *SET, *BY_ID) == 0
        serving.gateway.forget()
    assert totals(serving) == [1, 2, 3]
    assert serving.run(both, *SET) == 2
    assert totals(serving) == [1, 2, 3]


def test_a_row_of_an_unlabelled_import_that_is_bad_now_is_told(serving: Serving, tmp_path: Path, capsys: Any) -> None:
    """Rows of before imports had labels are known by their keys alone; one that was charged cannot become bad."""
    path = write(tmp_path / "a.csv", "tokens,time\n2,20261120\n1,\n")
    assert serving.run(path, *SET, "--map", "timestamp=") == 0
    for event in serving.gateway.charged:
        event["import_id"] = None
    serving.gateway.forget()
    capsys.readouterr()
    assert serving.run(path, *SET) == 2
    assert "the row was imported before, and now time" in capsys.readouterr().err


def test_an_import_that_charged_nothing_leaves_all_ways_open(serving: Serving, tmp_path: Path) -> None:
    """All its rows were there already, so nothing is known of its keys, and nothing is to be held against them."""
    assert serving.run(write(tmp_path / "a.csv", "id,tokens\nx,1\n"), *SET, *BY_ID) == 0
    other = write(tmp_path / "b.csv", "id,tokens\nx,1\n\n")
    assert serving.run(other, *SET, *BY_ID) == 0
    assert totals(serving) == [1]


class TestPlatform:
    """A platform key, whose imports may name any customer."""

    FILE = "customer_id,who,tokens\nacme,globex,1\nglobex,acme,2\n,acme,3\nacme,acme,4\n"

    def run(self, serving: Serving, path: Path, *options: str) -> int:
        return serving.run(path, *SET, *options, key="rg_platform")

    def found(self, serving: Serving) -> list[tuple[str, int]]:
        return sorted((e["space"].customer, e["tokens"]) for e in serving.gateway.charged if e["void"] is None)

    def test_a_repeat_with_bad_rows(self, serving: Serving, tmp_path: Path) -> None:
        """A row without a customer is bad each time; the others are charged once."""
        path = write(tmp_path / "a.csv", self.FILE)
        for _ in range(3):
            assert self.run(serving, path) == 1
            assert self.found(serving) == [("acme", 1), ("acme", 4), ("globex", 2)]
            serving.gateway.forget()

    @pytest.mark.parametrize("forget", [False, True])
    @pytest.mark.parametrize(
        "second",
        [
            ("--map", "customer_id=who"),
            ("--map", "customer_id=", "--customer", "acme"),
            ("--map", "customer_id=", "--customer", "umbrella"),
            ("--set", "customer_id=globex", "--map", "metadata.x=who"),
        ],
    )
    def test_other_customers_for_the_same_file_are_refused(
        self, serving: Serving, tmp_path: Path, capsys: Any, second: Any, forget: bool
    ) -> None:
        """Whom a row is charged to is part of what must not differ."""
        path = write(tmp_path / "a.csv", self.FILE)
        assert self.run(serving, path) == 1
        before = self.found(serving)
        if forget:
            serving.gateway.forget()
        assert self.run(serving, path, *second) == 2
        assert "undo" in capsys.readouterr().err
        assert self.found(serving) == before

    def test_another_customer_when_told(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """The same file may be meant for two customers; each is charged once."""
        path = write(tmp_path / "a.csv", "tokens,agent\n5,a\n")
        assert self.run(serving, path, "--customer", "acme") == 0
        assert self.run(serving, path, "--customer", "globex") == 2
        assert "was charged to 'acme' before" in capsys.readouterr().err
        for _ in range(2):
            assert self.run(serving, path, "--customer", "globex", "--other-customer") == 0
        assert self.run(serving, path, "--customer", "acme", "--other-customer") == 0
        assert self.found(serving) == [("acme", 5), ("globex", 5)]

    def test_an_undo_finds_all_customers(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """Whatever the file names, and by the import's id alone; then it may be charged to others."""
        path = write(tmp_path / "a.csv", self.FILE)
        assert self.run(serving, path) == 1
        capsys.readouterr()
        assert serving.list(key="rg_platform") == 0
        listed = capsys.readouterr().out
        (id,) = {event["import_id"] for event in serving.gateway.charged}
        assert listed.count(id) == 2 and "acme" in listed and "globex" in listed
        assert serving.run(id, *UNDO, key="rg_platform") == 0
        assert self.found(serving) == []
        assert self.run(serving, path, "--map", "customer_id=who") == 0
        assert self.found(serving) == [("acme", 2), ("acme", 3), ("acme", 4), ("globex", 1)]


def test_what_was_never_imported_by_a_platform(serving: Serving, tmp_path: Path, capsys: Any) -> None:
    """Nothing to undo is said."""
    assert serving.run("imp_00000000000000000000", *UNDO, key="rg_platform") == 2
    assert "there is no import" in capsys.readouterr().err


JSON = [
    ("a name twice", '{"tokens": 1, "tokens": 2}', "column tokens: occurs twice"),
    ("a name twice, compact", '{"tokens":1,"agent":"a","tokens":2}', "column tokens: occurs twice"),
    ("a name twice, the same", '{"tokens":1,"tokens":1}', "column tokens: occurs twice"),
    ("a name twice, written otherwise", '{"tokens":1,"t\\u006fkens":2}', "column tokens: occurs twice"),
    ("a label twice", '{"tokens":1,"model":"a","model":"b"}', "column model: occurs twice"),
    ("a name twice, null", '{"tokens":1,"tokens":null}', "column tokens: occurs twice"),
    ("a misspelt name", '{"tokns": 5}', "has a column 'tokns', which looks like a misspelt tokens"),
    ("a misspelt half", '{"prompt_tokens": 1, "completion_tokns": 5}', "looks like a misspelt tokens_output"),
    ("a name that is none", '{"usage": 5}', "has no tokens"),
    ("no tokens", '{"agent": "a"}', "has no tokens"),
    ("two names for one", '{"input_tokens": 5, "prompt_tokens": 5}', None),
]  # fmt: skip


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize(("kind", "row", "says"), JSON, ids=[row[0] for row in JSON])
def test_json_rows_that_say_their_tokens_otherwise(
    serving: Serving, tmp_path: Path, capsys: Any, kind: str, row: str, says: str | None, name: str
) -> None:
    """Among rows that are right: told and left out, not charged with 0 tokens or with one of two values."""
    rows = ['{"tokens": 1, "agent": "say \\"hi\\""}', row, '{"tokens": 3, "agent": "b"}']
    text = "\n".join(rows) if name == "a.jsonl" else "[" + ",\n".join(rows) + "]"
    assert serving.run(write(tmp_path / name, text), *SET) == (1 if says else 0)
    if says:
        assert f"line 2 (row 2){says if says.startswith(',') else ''}" in (told := capsys.readouterr().err)
        assert says in told
        assert totals(serving) == [1, 3]
    else:
        assert totals(serving) == [1, 5, 3]


@pytest.mark.parametrize("row", ['{"usage": 5}', '{"agent": "a"}', '{"tokns": 5}'])
def test_json_rows_without_tokens_when_told(serving: Serving, tmp_path: Path, row: str) -> None:
    """--no-tokens: such rows cost their base price alone."""
    path = write(tmp_path / "a.jsonl", '{"tokens": 1}\n' + row + "\n")
    assert serving.run(path, *SET, "--no-tokens") == 0
    assert totals(serving) == [1, 0]


NAMES_WITH_QUOTES = ['{"tokens": 1, "a\\"b": 2}', '{"tokens": 1, "\\u0061": "\\"", "x": {"y": ["\\"", "z"]}}']


@pytest.mark.parametrize("row", NAMES_WITH_QUOTES)
def test_quotes_in_names_and_values_are_no_double(serving: Serving, tmp_path: Path, row: str) -> None:
    """What looks like a name too many is looked at again."""
    assert serving.run(write(tmp_path / "a.jsonl", row + "\n"), *SET) == 0
    assert totals(serving) == [1]
