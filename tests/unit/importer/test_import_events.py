"""Rows made into events and batches."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tools.importer.batch_sender import window
from tools.importer.batches import BadRow, Batch, BatchCutter, BatchOwner
from tools.importer.cells import BadCell
from tools.importer.columns import Columns, MappingError, pairs
from tools.importer.event_maker import EventMaker, Prepared
from tools.importer.kept_batches import KeptBatches
from tools.importer.sources import FileError, digest, open_source
from tools.importer.timestamps import Times

NOW = int(datetime(2026, 4, 26, 12, tzinfo=UTC).timestamp() * 1000)


class Read(NamedTuple):
    """What a file came to: its batches' events and bad rows, and what its columns were taken for."""

    events: list[Prepared]
    bad: list[BadRow]
    batches: list[Batch]
    of: EventMaker

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The fields of the events as they are sent."""
        placed = [made.placed(*window(NOW)) for made in self.events]
        return [{k: v for k, v in msgspec.structs.asdict(one).items() if v is not None} for one in placed]


def read(
    path: Path, content: str | bytes, mapped: str = "", fixed: str = "action=completion", keep: bool = False
) -> Read:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    columns = Columns(pairs("--map", [mapped] if mapped else []), pairs("--set", [fixed] if fixed else []))
    found = digest(path)
    source = open_source(path, nul=found.nul)
    with closing(source):
        events = EventMaker(source.cells, source.header, columns, Times(NOW), keep)
        kept = KeptBatches()
        cut = list(kept.keep(BatchCutter(events, BatchOwner("acme"), found.sha256).batches(source.rows)))
    assert not kept.complete or list(map(msgspec.json.encode, kept)) == list(map(msgspec.json.encode, cut))
    return Read([made for b in cut for made in b.events], [bad for b in cut for bad in b.bad], cut, events)


def test_common_headers_need_no_map(tmp_path: Path) -> None:
    """The headers of the Azure trace and of an OpenAI usage log are recognised."""
    (fields,) = read(
        tmp_path / "a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,4808,10\n"
    ).sent
    assert (fields["tokens_input"], fields["tokens_output"]) == (4808, 10)
    assert (fields["agent_id"], fields["action"]) == ("import", "completion")
    (fields,) = read(
        tmp_path / "b.jsonl", '{"created": 1777204800, "model": "m", "prompt_tokens": 5, "completion_tokens": 7}\n'
    ).sent
    assert (fields["tokens_input"], fields["tokens_output"], fields["model"]) == (5, 7, "m")
    assert fields["timestamp"] == "2026-04-26T12:00:00.000Z"


def test_a_time_within_the_window_is_the_timestamp_and_any_other_is_kept(tmp_path: Path) -> None:
    """35 days back and 5 minutes ahead become timestamp, the rest metadata.source_time."""
    text = "timestamp,tokens\n2026-04-26T12:05:00Z,1\n2026-04-26T12:05:01Z,1\n2026-03-23T12:00:00Z,1\n2026-03-21,1\n"
    first, ahead, inside, before = read(tmp_path / "a.csv", text).sent
    assert first["timestamp"] == "2026-04-26T12:05:00.000Z" and "metadata" not in first
    assert "timestamp" not in ahead and ahead["metadata"] == {"source_time": "2026-04-26T12:05:01.000Z"}
    assert inside["timestamp"] == "2026-03-23T12:00:00.000Z"
    assert before["metadata"] == {"source_time": "2026-03-21T00:00:00.000Z"}


def test_a_row_that_is_nested_without_end_costs_itself_alone(tmp_path: Path) -> None:
    """Deeper than can be read is a bad row, and the import goes on."""
    deep = "[" * 100_000 + "]" * 100_000
    found = read(tmp_path / "a.jsonl", f'{{"tokens": 1, "x": {deep}}}\n{{"tokens": 2}}\n')
    assert [bad.reason for bad in found.bad] == ["is nested too deeply"]
    assert [made.total for made in found.events] == [2]


def test_keys_come_from_the_content_and_the_row(tmp_path: Path) -> None:
    """The same bytes under another name have the same keys; one byte more and all differ."""
    text = "tokens\n1\n2\n"
    keys = [[made.key for made in read(tmp_path / name, text).events] for name in ("a.csv", "b.csv")]
    assert keys[0] == keys[1] and keys[0][0] != keys[0][1]
    assert keys[0][0] not in [made.key for made in read(tmp_path / "c.csv", text + "3\n").events]


def test_batches_do_not_depend_on_options_or_bad_rows(tmp_path: Path) -> None:
    """The rows of a file keep their keys, whatever is wrong with others and whatever is kept."""
    text = "tokens,note\n" + "".join(f"{'x' if i % 7 == 0 else i},n\n" for i in range(2500))
    plain, kept = read(tmp_path / "a.csv", text), read(tmp_path / "a.csv", text, keep=True)
    assert len(plain.events) + len(plain.bad) == 2500 and max(b.rows for b in plain.batches) == 1000
    assert [made.key for made in plain.events] == [made.key for made in kept.events]


def test_a_batch_is_cut_before_it_is_too_large_for_the_log(tmp_path: Path) -> None:
    """Long metadata makes shorter batches, each below 2 MiB as JSON."""
    text = "tokens,note\n" + "".join(f"{i},{'n' * 8000}\n" for i in range(400))
    cut = read(tmp_path / "a.csv", text, keep=True).batches
    assert len(cut) > 2 and sum(len(b.events) for b in cut) == 400
    assert all(len(msgspec.json.encode([made.event for made in b.events])) < 2 << 20 for b in cut)


@pytest.mark.parametrize(
    ("row", "column", "why"),
    [
        ("2400.0,1,a", "prompt_tokens", "not an integer"),
        ("5,-1,a", "completion_tokens", "must be from 0 to 1000000000000, not -1"),
        ("5,1", "", "2 cells"),
        ("5,1,", "agent", "is empty"),
        ("5,1,a\tb", "agent", "control"),
        ("1000000000000,1,a", "prompt_tokens", "must be at most 1000000000000 together"),
    ],
)
def test_a_bad_row_is_told_by_line_and_column(tmp_path: Path, row: str, column: str, why: str) -> None:
    """The row is left out with its line, column and reason, and the others stay."""
    text = f'prompt_tokens,completion_tokens,agent\n1,2,"two\nlines"\n1,2,ok\n{row}\n3,4,ok\n'.replace("\nlines", "")
    found = read(tmp_path / "a.csv", text)
    (bad,) = found.bad
    assert (bad.line, bad.row, bad.column) == (4, 3, column)
    assert why in bad.reason
    assert len(found.events) == 3


def test_lines_are_counted_through_quoted_line_breaks(tmp_path: Path) -> None:
    """A cell over two lines moves the line number, not the row number."""
    (bad,) = read(tmp_path / "a.csv", 'tokens,note\n1,"a\nb"\nx,c\n').bad
    assert (bad.line, bad.row) == (4, 2)


def test_bytes_that_are_not_utf8_cost_one_row(tmp_path: Path) -> None:
    """A Latin-1 cell is a bad cell; a byte order mark is no part of the header."""
    found = read(tmp_path / "a.csv", b"\xef\xbb\xbftokens,agent\n1,caf\xe9\n2,caf\xc3\xa9\n")
    assert [(bad.line, bad.column) for bad in found.bad] == [(2, "agent")]
    assert found.sent[0]["agent_id"] == "café"


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ('{"tokens": "5"}', "tokens"),
        ('{"tokens": 5.0}', "tokens"),
        ("[5]", ""),
        ('{"tokens": 5', ""),
        ('{"tokens": 5, "agent": 7}', "agent"),
        ('{"tokens": 9, "prompt_tokens": 5, "completion_tokens": 3}', "tokens"),
        ('{"tokens": 5, "outcome": "maybe"}', "outcome"),
        ('{"tokens": 5, "timestamp": "soon"}', "timestamp"),
    ],
)
def test_bad_json_lines(tmp_path: Path, line: str, column: str) -> None:
    """A line of the wrong type or syntax is told, blank lines and nulls are nothing."""
    found = read(tmp_path / "a.jsonl", f'\n{line}\n{{"tokens": 5, "agent": null}}\n')
    (bad,) = found.bad
    assert (bad.line, bad.column) == (2, column)
    assert found.sent[0]["tokens"] == 5


def test_unknown_columns_are_ignored_or_kept(tmp_path: Path) -> None:
    """Without --metadata they are listed once; with it they are kept as they were written."""
    text = '{"tokens": 5, "cost": 0.10, "user": "u"}\n{"tokens": 6, "user": "v"}\n'
    assert list(read(tmp_path / "a.jsonl", text).of.unused) == ["cost", "user"]
    found = read(tmp_path / "a.jsonl", text, keep=True)
    assert msgspec.json.encode(found.events[0].event.metadata) == b'{"cost":0.10,"user":"u"}'
    assert not found.of.unused


def test_map_and_set_come_before_the_aliases(tmp_path: Path) -> None:
    """--map takes the named column, an empty --map takes none, --set fills every row."""
    text = "who,tokens,total,region\nann,1,2,eu\n"
    mapped = "agent_id=who,tokens=total,metadata.region=region,model="
    (fields,) = read(tmp_path / "a.csv", text, mapped, "action=chat,provider=p,metadata.run=7").sent
    assert (fields["agent_id"], fields["tokens"], fields["action"], fields["provider"]) == ("ann", 2, "chat", "p")
    assert fields["metadata"] == {"run": "7", "region": "eu"}


@pytest.mark.parametrize(
    ("mapped", "fixed"), [("tokns=a", ""), ("action=a", "action=b"), ("action", ""), ("action=a,action=b", "")]
)
def test_a_mapping_that_cannot_be_is_refused(mapped: str, fixed: str) -> None:
    """Unknown fields, both ways at once, no equals sign, the same field twice."""
    with pytest.raises(MappingError):
        Columns(pairs("--map", [mapped]), pairs("--set", [fixed] if fixed else []))


@pytest.mark.parametrize("fixed", ["tokens=2.0", "outcome=", "timestamp=never"])
def test_a_fixed_value_is_checked_like_a_cell(tmp_path: Path, fixed: str) -> None:
    """--set cannot send what a cell could not."""
    with pytest.raises(BadCell):
        bad = read(tmp_path / "a.csv", "tokens_in\n1\n", fixed=f"action=chat,{fixed}").bad[0]
        raise BadCell(bad.column, bad.reason)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", b"", "no header"),
        ("a.csv", b"a,a\n1,2\n", "twice"),
        ("a.csv", b"a;b\n1;2\n", "delimiter"),
        ("a.xlsx", b"PK", "must end in"),
        ("a.csv", "a,b\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_a_file_that_cannot_be_imported(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    """What is wrong with the file is said before anything is sent."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileError, match=why):
        digest(path)
        open_source(path)
