"""Kinds of files and what becomes of each: a table of inputs, from the command line to what was charged."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.importer.serving import Lines, Serving

pytestmark = pytest.mark.usefixtures("quick")

SET = ("--set", "action=completion")
TOKENS = "tokens,agent\n"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def totals(serving: Serving) -> list[int]:
    """Tokens of what was charged, in order."""
    found = [
        e["tokens"] if "tokens" in e else e.get("tokens_input", 0) + e.get("tokens_output", 0)
        for e in serving.gateway.charged
    ]
    return [int(tokens) for tokens in found]


REFUSED = [
    (
        "unclosed quote",
        "a.csv",
        'tokens,note\n1,"a\n2,b\n3,c\n',
        (),
        "line 2, column 3: the quote opened here is never closed",
    ),
    ("unclosed quote at the end", "a.csv", 'tokens,note\n1,a\n2,"b', (), "line 3, column 3"),
    ("unclosed quote in the header", "a.csv", 'tokens,"note\n1,a\n', (), "line 1"),
    ("text after a quote", "a.csv", 'tokens,note\n1,"a"b\n', (), "line 2, column 6: there is text after a quoted cell"),
    (
        "a quote that closes lines later",
        "a.csv",
        'tokens,note\n1,"a\n2,"b"\n3,c\n',
        (),
        "text after a quoted cell (its quote was opened at line 2",
    ),
    ("repeated header", "a.csv", "tokens,tokens\n1,2\n", (), "twice"),
    (
        "repeated header by case",
        "a.csv",
        "Tokens,tokens\n1,2\n",
        (),
        "could both be tokens: choose one with --map tokens=COLUMN",
    ),
    ("no header", "a.csv", "12,34\n56,78\n", (), "is the header line missing?"),
    ("no header, names", "a.csv", "ann,completion\nbob,completion\n", (), "add a header line"),
    (
        "no header, times",
        "a.csv",
        "2026-01-01T00:00:00Z,5\n2026-01-01T00:00:00Z,6\n",
        (),
        "is the header line missing?",
    ),
    ("misspelt tokens", "a.csv", "prompt_tokns,agent\n1,a\n", (), "--map tokens_input=prompt_tokns"),
    (
        "misspelt tokens, json",
        "a.jsonl",
        '{"completion_tokes": 1, "agent": "a"}\n',
        (),
        "--map tokens_output=completion_tokes",
    ),
    ("no tokens", "a.csv", "agent,model\na,m\n", (), "--no-tokens"),
    ("no tokens, json", "a.jsonl", '{"agent": "a"}\n', (), "--no-tokens"),
    (
        "a mapped column that is not there",
        "a.csv",
        "tokens,agent\n1,a\n",
        ("--map", "model=modle"),
        "no column 'modle'",
    ),
    ("the same in json", "a.jsonl", '{"tokens": 1}\n{"tokens": 2}\n', ("--map", "model=modle"), "no column 'modle'"),
    (
        "the same in a json array",
        "a.json",
        '[{"tokens": 1, "model": "m"}]',
        ("--map", "model=modle"),
        "did you mean 'model'",
    ),
    ("a field that is none", "a.csv", TOKENS, ("--map", "tokns=tokens"), "did you mean 'tokens'"),
    ("semicolons", "a.csv", "tokens;agent\n1;a\n", (), "--delimiter"),
    ("tabs in a .csv", "a.csv", "tokens\tagent\n1\ta\n", (), "--delimiter"),
    ("sep= and another --delimiter", "a.csv", "sep=;\ntokens;agent\n1;a\n", ("--delimiter", ","), "separated by ';'"),
    ("UTF-16", "a.csv", "tokens\n1\n".encode("utf-16"), (), "UTF-16"),
    ("UTF-16 without a mark", "a.csv", "tokens\n1\n".encode("utf-16-le"), (), "UTF-16"),
    ("empty", "a.csv", "", (), "no header"),
    ("blank", "a.csv", "\n\n\n", (), "no header"),
    ("a json object", "a.json", '{"tokens": 1}', (), "not one JSON array"),
    ("json lines named .json", "a.json", '{"tokens": 1}\n{"tokens": 2}\n', (), "jsonl"),
    ("a cut json array", "a.json", '[{"tokens": 1},', (), "not one JSON array"),
    ("another ending", "a.xlsx", "PK", (), "must end in"),
    ("a key for every row", "a.csv", TOKENS, ("--set", "idempotency_key=x"), "a key of its own"),
    ("source_time", "a.csv", "tokens,t\n1,x\n", ("--map", "metadata.source_time=t"), "use another name"),
    ("another customer", "a.csv", TOKENS + "1,a\n", ("--customer", "globex"), "403"),
]


@pytest.mark.parametrize(("kind", "name", "content", "options", "says"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_file_that_cannot_be_trusted_is_refused_whole(
    serving: Serving, tmp_path: Path, capsys: Any, kind: str, name: str, content: Any, options: Any, says: str
) -> None:
    """Exit 2, the reason by line and column, and nothing is charged."""
    assert serving.run(write(tmp_path / name, content), *options, *SET) == 2
    assert says in capsys.readouterr().err
    assert serving.gateway.charged == []


TAKEN = [
    ("plain", "a.csv", "tokens,agent\n1,a\n2,b\n", (), [1, 2], []),
    ("quoted", "a.csv", '"tokens","agent"\n"1","a, b"\n"2","say ""hi"""\n', (), [1, 2], []),
    ("a line break in a cell", "a.csv", 'tokens,note\n1,"a\nb"\n2,c\n', (), [1, 2], []),
    ("CRLF", "a.csv", "tokens,agent\r\n1,a\r\n2,b\r\n", (), [1, 2], []),
    ("CR alone", "a.csv", "tokens,agent\r1,a\r2,b\r", (), [1, 2], []),
    ("no last line end", "a.csv", "tokens,agent\n1,a\n2,b", (), [1, 2], []),
    ("a byte order mark", "a.csv", b"\xef\xbb\xbftokens,agent\n1,a\n", (), [1], []),
    ("sep=", "a.csv", "sep=;\ntokens;agent\n1;a\n2;b\n", (), [1, 2], []),
    ("SEP= quoted", "a.csv", '"SEP=|"\ntokens|agent\n1|a\n', (), [1], []),
    ("blank rows", "a.csv", "tokens,agent\n\n1,a\n,\n  ,\t\n2,b\n\n", (), [1, 2], []),
    ("blanks around cells", "a.csv", " tokens , agent \n 1 , a \n2,\tb\n", (), [1, 2], []),
    ("fewer cells", "a.csv", "tokens,agent,model\n1,a,m\n2,b\n3,c,m\n", (), [1, 3], [3]),
    ("more cells", "a.csv", "tokens,agent\n1,a\n2,b,c\n3,d\n", (), [1, 3], [3]),
    ("a quote within a cell", "a.csv", 'tokens,agent\n1,5" disk\n2,b\n', (), [2], [2]),
    ("a NUL byte", "a.csv", "tokens,agent\n1,a\x00b\n2,b\n3,c\n4,d\n", (), [2, 3, 4], [2]),
    ("a float", "a.csv", "tokens,agent\n1.0,a\n2,b\n", (), [2], [2]),
    ("thousands", "a.csv", 'tokens,agent\n"1,000",a\n2,b\n', (), [2], [2]),
    ("a negative", "a.csv", "tokens,agent\n-1,a\n2,b\n", (), [2], [2]),
    ("an empty cell", "a.csv", "tokens,agent\n,a\n2,b\n", (), [0, 2], []),
    ("a serial date", "a.csv", "tokens,time\n1,45982.5\n2,2026-11-20\n", (), [2], [2]),
    ("a day as a number", "a.csv", "tokens,time\n1,20261120\n2,2026-11-20\n", (), [2], [2]),
    ("no epoch", "a.csv", "tokens,time\n1,0\n2,1\n3,1764158400\n", (), [3], [2, 3]),
    ("json lines", "a.jsonl", '{"tokens": 1}\n\n{}\n{"tokens": 2}\n', (), [1, 2], []),
    ("null", "a.jsonl", '{"tokens": null, "agent": null}\n{"tokens": 2, "agent": "a"}\n', (), [2], []),
    ("json strings", "a.jsonl", '{"tokens": "1"}\n{"tokens": 2}\n', (), [2], [1]),
    ("no json", "a.jsonl", '{"tokens": 1}\n{"tokens": 2\n{"tokens": 3}\n', (), [1, 3], [2]),
    ("an array", "a.json", '[{"tokens": 1},\n {"tokens": 2}, {}]', (), [1, 2], []),
    ("an array with others", "a.json", '[{"tokens": 1},\n 5,\n {"tokens": 2}]', (), [1, 2], [2]),
    ("tab separated", "a.tsv", "tokens\tagent\n1\ta\n", (), [1], []),
    ("told to have none", "a.csv", "agent\na\nb\n", ("--no-tokens",), [0, 0], []),
    ("told by --set", "a.csv", "agent\na\nb\n", ("--set", "tokens=7"), [7, 7], []),
    ("a misspelling that is not meant", "a.csv", "token_s,agent\n1,a\n", ("--map", "tokens="), [0], []),
    ("serial dates, told", "a.csv", "tokens,time\n1,45982.5\n", ("--excel-dates",), [1], []),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "content", "options", "tokens", "bad"), TAKEN, ids=[row[0] for row in TAKEN])
def test_what_is_right_is_charged_and_the_rest_is_told(
    serving: Serving,
    tmp_path: Path,
    capsys: Any,
    kind: str,
    name: str,
    content: Any,
    options: Any,
    tokens: list[int],
    bad: list[int],
) -> None:
    """Each right row once, each other row by its line; again adds nothing."""
    path = write(tmp_path / name, content)
    for _ in range(2):
        assert serving.run(path, *options, *SET) == (1 if bad else 0)
        told = [int(line) for line in re.findall(r"^line (\d+)", capsys.readouterr().err, re.M)]
        assert told == bad
        assert totals(serving) == tokens
        serving.gateway.forget()


def test_cells_are_trimmed_and_made_one_form(serving: Serving, tmp_path: Path) -> None:
    """A blank or another Unicode form would find another price, or be refused by the server."""
    path = write(tmp_path / "a.csv", "tokens,agent,action,model\n1, cafe\u0301 ,\u00a0chat\u200b,gpt \n")
    assert serving.run(path) == 0
    (event,) = serving.gateway.charged
    assert (event["agent_id"], event["action"], event["model"]) == ("caf\u00e9", "chat", "gpt")


CHANGES = [
    ("another zone", "tokens,time,agent\n1,{recent},a\n", (), ("--tz", "+01:00"), "timestamp"),
    ("another fixed label", "tokens,agent\n1,a\n", (), ("--set", "model=m"), "model"),
    ("another action", "tokens,agent\n1,a\n", SET, ("--set", "action=chat"), "action"),
    ("another agent", "tokens,agent,who\n1,a,b\n", (), ("--map", "agent_id=who"), "agent_id"),
    ("metadata kept now", "tokens,agent,note\n1,a,n\n", (), ("--metadata",), "metadata.note"),
    ("metadata no longer kept", "tokens,agent,note\n1,a,n\n", ("--metadata",), (), "metadata.note"),
    (
        "metadata under another name",
        "tokens,note\n1,n\n",
        ("--map", "metadata.a=note"),
        ("--map", "metadata.b=note"),
        "metadata.",
    ),
    ("the other column", "tokens,total,agent\n1,2,a\n", (), ("--map", "tokens=total"), "tokens"),
    ("no tokens now", "tokens,agent\n1,a\n", (), ("--map", "tokens="), "tokens"),
    (
        "input as total",
        "prompt_tokens,agent\n1,a\n",
        (),
        ("--map", "tokens=prompt_tokens,tokens_input="),
        "tokens_input",
    ),
    ("a trace", "tokens,x\n1,t\n", (), ("--map", "trace_id=x"), "trace_id"),
    ("a task", "tokens,x\n1,t\n", ("--map", "task_id=x"), (), "task_id"),
    ("an outcome", "tokens,x\n1,success\n", (), ("--map", "outcome=x"), "outcome"),
    ("a provider", "tokens,x\n1,p\n", ("--map", "provider=x"), ("--set", "provider=q"), "provider"),
    ("no time now", "tokens,time,agent\n1,{recent},a\n", (), ("--map", "timestamp="), "timestamp"),
]


@pytest.mark.parametrize("lag", [False, True])
@pytest.mark.parametrize(("kind", "content", "first", "second", "field"), CHANGES, ids=[row[0] for row in CHANGES])
def test_a_repeat_that_would_record_something_else_is_refused(
    serving: Serving,
    tmp_path: Path,
    capsys: Any,
    kind: str,
    content: str,
    first: Any,
    second: Any,
    field: str,
    lag: bool,
) -> None:
    """Whatever differs, in whichever row, long after the server has forgotten the keys or at once."""
    recent = f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d %H:%M:%S}"
    head, _, row = content.format(recent=recent).partition("\n")
    path = write(tmp_path / "a.csv", head + "\n" + row * 1500)
    action = () if "--set" in first and "action" in str(first) else SET
    assert serving.run(path, *first, *action) == 0
    charged = len(serving.gateway.charged)
    if lag:
        for event in serving.gateway.charged:
            event["seen"] += 3
    else:
        serving.gateway.forget()
    capsys.readouterr()
    action = () if "action" in str(second) else SET
    assert serving.run(path, *second, *action) == 2
    assert f"was imported before with {field}" in capsys.readouterr().err
    assert len(serving.gateway.charged) == charged == 1500


def test_a_difference_in_one_row_is_found(serving: Serving, tmp_path: Path, capsys: Any) -> None:
    """Not the first, nor the last: the ledger's row 1234 says another model."""
    path = write(tmp_path / "a.csv", "tokens,model\n" + "1,m\n" * 2000)
    assert serving.run(path, *SET) == 0
    serving.gateway.charged[1233]["model"] = "other"
    serving.gateway.forget()
    assert serving.run(path, *SET) == 2
    assert "line 1235 (row 1234): this row was imported before with model 'other'" in capsys.readouterr().err


class TestOwnIds:
    """--map idempotency_key=id."""

    MAP = ("--map", "idempotency_key=id", *SET)

    def file(self, path: Path, ids: range) -> Path:
        return write(path, "id,tokens\n" + "".join(f"e{id},{id}\n" for id in ids))

    def test_overlapping_exports_charge_each_row_once(self, serving: Serving, tmp_path: Path) -> None:
        """A cumulative daily export adds what is new, within the window and after it."""
        for end, forget in ((10, False), (25, True), (25, True), (1700, True)):
            assert serving.run(self.file(tmp_path / f"{end}.csv", range(end)), *self.MAP) == 0
            assert totals(serving) == list(range(end))
            if forget:
                serving.gateway.forget()

    def test_a_row_that_changed_is_refused(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """The later export has the same id with other tokens: told, and nothing of it is charged."""
        assert serving.run(self.file(tmp_path / "a.csv", range(5)), *self.MAP) == 0
        other = write(tmp_path / "b.csv", "id,tokens\ne9,9\ne3,77\n")
        assert serving.run(other, *self.MAP) == 2
        assert "line 3 (row 2): this row was imported before with tokens 3, now it has 77" in capsys.readouterr().err
        assert len(serving.gateway.charged) == 5

    def test_an_id_that_is_there_twice(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """The same row is one event, another one is a bad row; an empty id is a bad row."""
        path = write(tmp_path / "a.csv", "id,tokens\na,1\na,1\nb,2\nb,3\n,4\nc,5\n")
        assert serving.run(path, *self.MAP) == 1
        assert totals(serving) == [1, 2, 5]
        output = capsys.readouterr()
        assert "line 5 (row 4), column id" in output.err and "line 6 (row 5), column id" in output.err

    def test_an_event_of_the_api_is_the_same_event(
        self, serving: Serving, tmp_path: Path, told: Lines, capsys: Any
    ) -> None:
        """Keys are one namespace, whoever sent them."""
        assert serving.run(self.file(tmp_path / "a.csv", range(3)), *self.MAP) == 0
        for event in serving.gateway.charged:
            event["import_id"] = None  # as if the API had sent them
        capsys.readouterr()
        assert serving.run(self.file(tmp_path / "b.csv", range(4)), *self.MAP) == 0
        assert told(capsys.readouterr().out)["already there"] == "3"
        assert totals(serving) == [0, 1, 2, 3]


class TestCustomers:
    """A column customer_id."""

    FILE = "customer_id,tokens\nacme,1\nglobex,2\nacme,3\n"

    def test_a_platform_key_charges_each_to_its_own(self, serving: Serving, tmp_path: Path) -> None:
        """And again charges nobody."""
        path = write(tmp_path / "a.csv", self.FILE)
        for _ in range(2):
            assert serving.run(path, *SET, key="rg_platform") == 0
            found = sorted((e["space"].customer, e["tokens"]) for e in serving.gateway.charged)
            assert found == [("acme", 1), ("acme", 3), ("globex", 2)]
            serving.gateway.forget()

    def test_a_customers_key_refuses_the_others_rows(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """Its own are charged, the other is a bad row."""
        assert serving.run(write(tmp_path / "a.csv", self.FILE), *SET) == 1
        assert totals(serving) == [1, 3]
        assert "line 3 (row 2), column customer_id: is 'globex'" in capsys.readouterr().err

    def test_a_platform_key_needs_to_know(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """Whom to charge is never guessed."""
        assert serving.run(write(tmp_path / "a.csv", TOKENS + "1,a\n"), *SET, key="rg_platform") == 2
        assert "--customer" in capsys.readouterr().err


class TestUndo:
    """--undo, and what may be imported after it."""

    def path(self, tmp_path: Path) -> Path:
        return write(tmp_path / "a.csv", "promt,agent\n" + "".join(f"{n},a\n" for n in range(1, 2501)))

    WRONG = ("--no-tokens", "--map", "tokens=", *SET)
    RIGHT = ("--map", "tokens=promt", *SET)
    TOKEN = ("--undo", "--token", "admin")

    def test_a_wrong_import_is_undone_and_redone(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """0 tokens were billed; after the undo the right mapping charges once, and may be undone again."""
        path = self.path(tmp_path)
        assert serving.run(path, *self.WRONG) == 0
        assert set(totals(serving)) == {0}
        assert serving.run(path, *self.RIGHT) == 2
        assert "--undo" in capsys.readouterr().err
        for _ in range(2):
            assert serving.run(path, *self.TOKEN) == 0
            assert all(event["void"] for event in serving.gateway.charged)
            serving.gateway.forget()
        for _ in range(2):
            assert serving.run(path, *self.RIGHT) == 0
            assert sum(totals(serving)) == sum(range(2501)) and len(serving.gateway.charged) == 5000
            serving.gateway.forget()
        (id,) = {event["import_id"] for event in serving.gateway.charged}
        assert serving.run(id, *self.TOKEN) == 0
        assert all(event["void"] for event in serving.gateway.charged)
        capsys.readouterr()
        assert serving.list() == 0
        listed = capsys.readouterr().out
        assert id in listed and "5,000" in listed

    def test_half_an_undo_is_finished_before_another_import(
        self, serving: Serving, tmp_path: Path, capsys: Any
    ) -> None:
        """The same mapping may go on, another one is told to finish the undo."""
        path = self.path(tmp_path)
        assert serving.run(path, *self.WRONG) == 0
        (id,) = {event["import_id"] for event in serving.gateway.charged}
        for event in serving.gateway.charged[:700]:
            event["void"] = f"undo of import {id}"
        serving.gateway.forget()
        assert serving.run(path, *self.RIGHT) == 2
        assert "repeat an undo that was interrupted" in capsys.readouterr().err
        assert len(serving.gateway.charged) == 2500

    def test_a_row_that_was_voided_for_another_reason_stays_so(
        self, serving: Serving, tmp_path: Path, told: Lines, capsys: Any
    ) -> None:
        """A repeat of the import does not charge it again."""
        path = self.path(tmp_path)
        assert serving.run(path, *self.RIGHT) == 0
        serving.gateway.charged[5]["void"] = "a mistake"
        serving.gateway.forget()
        capsys.readouterr()
        assert serving.run(path, *self.RIGHT) == 0
        assert told(capsys.readouterr().out)["already there"] == "2,500"
        assert len(serving.gateway.charged) == 2500

    @pytest.mark.parametrize("options", [("--undo",), ("--undo", "--token", "wrong")])
    def test_the_admin_token_is_needed(self, serving: Serving, tmp_path: Path, options: Any) -> None:
        """A customer's key takes nothing back."""
        path = self.path(tmp_path)
        assert serving.run(path, *self.RIGHT) == 0
        assert serving.run(path, *options) == 2
        assert not any(event["void"] for event in serving.gateway.charged)

    def test_what_was_never_imported(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """Nothing to undo is said."""
        assert serving.run(self.path(tmp_path), *self.TOKEN) == 2
        assert "there is no import imp_" in capsys.readouterr().err


class TestPreview:
    """--dry-run, and the question at a terminal."""

    FILE = "prompt_tokens,time,user,cost\n10,2001-05-01,u,1.5\n20,2001-06-01,u,1.5\n30,{recent},u,2\n"

    def path(self, tmp_path: Path) -> Path:
        recent = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
        return write(tmp_path / "a.csv", self.FILE.format(recent=recent))

    def test_a_dry_run_shows_all_and_charges_nothing(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """First rows with their price, fields with their columns, months with what is out of the window, ignored
        columns, totals, what looks wrong."""
        assert serving.run(self.path(tmp_path), "--dry-run", *SET) == 0
        shown = capsys.readouterr().out
        assert serving.gateway.charged == []
        for wanted in (
            "prompt_tokens", "tokens_input", "2001-05", "2001-06", "0.503", "user", "cost", "60", "1.518",
            "in this month", "Nothing was charged",
        ):  # fmt: skip
            assert wanted in shown, (wanted, shown)

    @pytest.mark.parametrize(("answer", "options", "charged"), [(True, (), 3), (False, (), 0), (False, ("--yes",), 3)])
    def test_a_person_is_asked_before_the_first_charge(
        self, serving: Serving, tmp_path: Path, answer: bool, options: Any, charged: int
    ) -> None:
        """Once, with the number of events; --yes asks nobody, and neither does a repeat that adds nothing."""
        asked: list[str] = []

        def ask(question: str) -> bool:
            asked.append(question)
            return answer

        path = self.path(tmp_path)
        assert serving.run(path, *options, *SET, ask=ask) == (0 if charged else 2)
        assert len(serving.gateway.charged) == charged
        assert asked == ([] if options else ["Charge 3 events?"])
        if charged and not options:
            assert serving.run(path, *SET, ask=ask) == 0
            assert len(asked) == 1

    def test_old_months_are_told_also_without_a_terminal(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """At the end, in words and numbers."""
        assert serving.run(self.path(tmp_path), *SET) == 0
        assert re.search(
            r"2 rows \(2001-05, 2001-06\) are more than 35 days in the past .* in this month", capsys.readouterr().out
        )


def test_modes_are_apart(serving: Serving, tmp_path: Path) -> None:
    """A file that was tried with a test key is charged when it is imported with the live one."""
    path = write(tmp_path / "a.csv", TOKENS + "1,a\n2,b\n")
    for key in ("rg_test_acme", "rg_live", "rg_test_acme", "rg_live"):
        assert serving.run(path, *SET, key=key) == 0
        serving.gateway.forget()
    assert [(e["space"].test, e["tokens"]) for e in serving.gateway.charged] == [
        (True, 1), (True, 2), (False, 1), (False, 2),
    ]  # fmt: skip


def test_every_event_carries_the_id_of_its_import(serving: Serving, tmp_path: Path) -> None:
    """Made of the file's content: the same bytes under another name are the same import."""
    for name in ("a.csv", "b.csv"):
        assert serving.run(write(tmp_path / name, TOKENS + "1,a\n"), *SET) == 0
    (event,) = serving.gateway.charged
    assert re.fullmatch(r"imp_[0-9a-f]{20}", event["import_id"])
    assert json.dumps(event["idempotency_key"]).count("/") == 2
