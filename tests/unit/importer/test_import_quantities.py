"""Columns and objects of quantities: what becomes of them, what they cost, and what is refused."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import PICO
from tests.unit.importer.serving import Serving
from tests.unit.importer.test_import_events import read
from tools.importer.cells import CsvCells, JsonCells, quantities_of_json
from tools.importer.columns import Columns, MappingError, pairs
from tools.importer.parquet import ParquetCells

SET = ("--set", "action=completion")


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def kept(path: Path, content: str, *mapped: str, fixed: str = "action=completion") -> list[dict[str, Any]]:
    """Tokens and quantities of each event; there must be no bad row."""
    found = read(path, content, ",".join(mapped), fixed)
    assert not found.bad
    names = ("tokens", "tokens_input", "tokens_output", "quantities")
    return [{name: fields[name] for name in names if name in fields} for fields in found.sent]


@given(st.integers(0, 10**18), st.integers(0, 3))
def test_a_quantity_is_read_as_it_is_written(micro: int, zeros: int) -> None:
    """Exactly, in every format; zeros at the end say nothing."""
    number = Decimal(micro).scaleb(-6)
    text = f"{number:f}"
    want = text.rstrip("0").rstrip(".") if "." in text else text
    assert CsvCells().quantity(text) == want
    assert JsonCells().quantity(msgspec.Raw(text.encode())) == JsonCells().quantity(msgspec.Raw(f'"{text}"'.encode()))
    assert JsonCells().quantity(msgspec.Raw(text.encode())) == want
    assert ParquetCells().quantity(Decimal(f"{text}{'0' * zeros}" if "." in text else text)) == want
    assert ParquetCells().quantity(text) == want
    assert quantities_of_json(f'{{"images": {text}, "pages": "{text}"}}') == {"images": want, "pages": want}


@pytest.mark.parametrize(
    "text", ["-1", "+1", "1e3", "1.0000001", "1,5", "1000000000001", "1000000000000.1", ".5", "5.", "NaN", "", "٣"]
)
def test_a_quantity_that_is_not_exact_is_refused(text: str) -> None:
    """In text and in JSON; nothing is rounded."""
    for cells, cell in ((CsvCells(), text), (JsonCells(), msgspec.Raw(f'"{text}"'.encode()))):
        with pytest.raises(ValueError, match="must be"):
            cells.quantity(cell)  # type: ignore[attr-defined]
    for raw in (b"true", b"[1]", b"{}", b"1E2"):
        with pytest.raises(ValueError):
            JsonCells().quantity(msgspec.Raw(raw))


@pytest.mark.parametrize("value", [1.0, 0.5, float("nan"), True, b"1", [1]])
def test_a_double_of_parquet_is_refused(value: Any) -> None:
    """Whole or not: what it was before it became a double cannot be known."""
    with pytest.raises(ValueError, match="is a double, which is not exact" if isinstance(value, float) else "not a"):
        ParquetCells().quantity(value)


def test_columns_become_quantities(tmp_path: Path) -> None:
    """By --map, by --set, and by a column's own name; an empty cell is no quantity, 0 is one."""
    text = "quantities.images,secs,Tokens_Cache_Read,tokens_reasoning,input_tokens\n2,12.50,30,7,100\n0,,,,5\n"
    mapped = "quantities.audio_seconds=secs"
    assert kept(tmp_path / "a.csv", text, mapped, fixed="action=completion,quantities.pages=1.0") == [
        {
            "tokens_input": 100,
            "quantities": {"audio_seconds": "12.5", "cache_read": "30", "images": "2", "pages": "1", "reasoning": "7"},
        },
        {"tokens_input": 5, "quantities": {"images": "0", "pages": "1"}},
    ]
    assert [made.total for made in read(tmp_path / "a.csv", text, mapped).events] == [137, 5]


def test_a_token_kind_has_one_field_under_two_names(tmp_path: Path) -> None:
    """quantities.input is tokens_input, quantities.cache_read is tokens_cache_read; both at once are ambiguous."""
    assert kept(tmp_path / "a.csv", "a,b\n1,2\n", "quantities.input=a", "quantities.cache_read=b") == [
        {"tokens_input": 1, "quantities": {"cache_read": "2"}}
    ]
    assert kept(tmp_path / "a.csv", "quantities.output\n1\n") == [{"tokens_output": 1}]
    with pytest.raises(MappingError, match=r"'tokens_input' and 'quantities\.input' could both be tokens_input"):
        read(tmp_path / "a.csv", "tokens_input,quantities.input\n1,2\n")
    with pytest.raises(MappingError, match="--map: tokens_input twice"):
        Columns(pairs("--map", ["tokens_input=a,quantities.input=b"]), {})


@pytest.mark.parametrize("name", ["", "Images", "a b", "event", "tokens", "success", "x" * 65])
def test_a_name_that_no_quantity_can_have_is_refused(tmp_path: Path, name: str) -> None:
    """By --map and --set, as a column (whose case does not count) and in an object."""
    for mapped, fixed in (({f"quantities.{name}": "a"}, {}), ({}, {f"quantities.{name}": "1"})):
        with pytest.raises(MappingError, match="the name"):
            Columns(mapped, fixed)
    (bad,) = read(tmp_path / "a.jsonl", f'{{"quantities": {{"{name}": 1}}}}\n').bad
    assert bad.column == "quantities" and "the name" in bad.reason
    if name != "Images":
        with pytest.raises(MappingError, match="the name"):
            read(tmp_path / "a.csv", f"tokens,quantities.{name}\n1,2\n")


def test_objects_become_quantities(tmp_path: Path) -> None:
    """In JSON and in a JSON cell of a CSV; null is absent, and their order does not count."""
    want = [{"tokens_input": 5, "tokens_output": 7, "quantities": {"cache_read": "3", "images": "2.5"}}]
    cell = '{"images": 2.50, "output": 7, "cache_read": "3", "input": 5, "pages": null}'
    for name in ("a.jsonl", "a.json"):
        line = f'{{"quantities": {cell}}}'
        assert kept(tmp_path / name, line if name == "a.jsonl" else f"[{line}]") == want
    quoted = cell.replace('"', '""')
    assert kept(tmp_path / "a.csv", f'quantities\n"{quoted}"\n') == want
    assert kept(tmp_path / "b.jsonl", f'{{"usage": {cell}}}\n', "quantities=usage") == want
    assert kept(tmp_path / "c.jsonl", f'{{"tokens": 1, "quantities": {cell}}}\n', "quantities=") == [{"tokens": 1}]
    without = kept(tmp_path / "d.jsonl", f'{{"quantities": {cell}}}\n', "quantities.images=", "tokens_input=")
    assert without == [{"tokens_output": 7, "quantities": {"cache_read": "3"}}]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ('{"quantities": {"images": 1, "images": 1}}', "has images twice"),
        ('{"quantities": {"images": 1e3}}', "images: '1e3' must be a number"),
        ('{"quantities": {"images": -1}}', "images: '-1' must be"),
        ('{"quantities": {"images": true}}', "images: is not a number"),
        ('{"quantities": {"images": [1]}}', "images: is not a number"),
        ('{"quantities": {"images": NaN}}', "is not a JSON object"),
        ('{"quantities": {"cache_read": 1.5}}', "cache_read: '1.5' must be an integer"),
        ('{"quantities": [["images", 1]]}', "is not an object of quantities"),
        ('{"quantities": 5}', "'5' is not an object of quantities"),
        ('{"quantities": {"images": 1}, "quantities.images": 2}', "quantities.images is 2, but another column says 1"),
        ('{"quantities": {"input": 1}, "tokens_input": 2}', "quantities.input is 1, tokens_input is 2"),
        ('{"tokens": 5, "quantities": {"input": 1, "cache_read": 3}}', "5 is not the sum of its kinds, 4"),
        (
            '{"tokens_cache_read": 1000000000000, "tokens_in": 1}',
            "must be at most 1000000000000 together, not 1000000000001",
        ),
        (json.dumps({"tokens": 1, "quantities": {f"q{n}": 1 for n in range(33)}}), "are 33, more than 32"),
    ],
)
def test_bad_quantities_cost_their_row(tmp_path: Path, row: str, why: str) -> None:
    """The reason is told, and the next row is read."""
    found = read(tmp_path / "a.jsonl", f'{row}\n{{"quantities": {{"images": 1}}}}\n')
    (bad,) = found.bad
    assert why in bad.reason
    assert [made.event.quantities for made in found.events] == [{"images": "1"}]


def test_quantities_of_parquet(tmp_path: Path) -> None:
    """Integers, decimals, text, structs and maps; a column of doubles is told row by row."""
    struct = pa.struct([("images", pa.int32()), ("cache_read", pa.int64())])
    table = pa.table(
        {
            "quantities": pa.array([{"images": 2, "cache_read": 9}, {"images": None, "cache_read": 1}, None], struct),
            "secs": pa.array([Decimal("12.50000000"), None, Decimal(100)], pa.decimal128(38, 8)),
            "double": pa.array([None, None, 1.0]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    found = read(tmp_path / "a.parquet", content, "quantities.secs=secs,quantities.pages=double")
    assert [made.event.quantities for made in found.events] == [
        {"cache_read": "9", "images": "2", "secs": "12.5"},
        {"cache_read": "1"},
    ]
    assert [(bad.column, bad.reason[:15]) for bad in found.bad] == [("double", "1.0 is a double")]
    mapping = pa.array([[("images", 3), ("pages", None)]], pa.map_(pa.string(), pa.int64()))
    pq.write_table(pa.table({"quantities": mapping}), tmp_path / "b.parquet")
    found = read(tmp_path / "b.parquet", (tmp_path / "b.parquet").read_bytes())
    assert [made.event.quantities for made in found.events] == [{"images": "3"}]


class TestWithin:
    """A count that may be within another one is never charged twice unasked."""

    @pytest.mark.parametrize(
        "header",
        [
            "input_tokens,cache_read_input_tokens,cache_creation_input_tokens",
            "inputTokens,cacheReadInputTokens,cacheWriteInputTokens",
        ],
    )
    def test_providers_whose_input_excludes_the_cache(self, tmp_path: Path, header: str) -> None:
        """Anthropic's and Bedrock's names are unambiguous together."""
        assert kept(tmp_path / "a.csv", f"{header}\n1,2,3\n") == [
            {"tokens_input": 1, "quantities": {"cache_read": "2", "cache_write": "3"}}
        ]

    @pytest.mark.parametrize(
        ("header", "field", "whole"),
        [
            ("prompt_tokens,cached_tokens", "tokens_cache_read", "the column 'prompt_tokens'"),
            ("prompt_tokens,cache_read_input_tokens", "tokens_cache_read", "the column 'prompt_tokens'"),
            ("input_tokens,cached_input_tokens", "tokens_cache_read", "the column 'input_tokens'"),
            ("prompt_tokens,cache_write_tokens", "tokens_cache_write", "the column 'prompt_tokens'"),
            ("completion_tokens,reasoning_tokens", "tokens_reasoning", "the column 'completion_tokens'"),
            ("prompt_tokens,thoughtsTokenCount", "tokens_reasoning", "tokens_output"),
        ],
    )
    def test_other_names_are_told_and_not_charged(
        self, serving: Serving, tmp_path: Path, capsys: Any, header: str, field: str, whole: str
    ) -> None:
        """--map charges them, and says what must hold."""
        path, column = write(tmp_path / "a.csv", f"{header}\n100,40\n"), header.partition(",")[2]
        assert serving.run(path, *SET, "--dry-run") == 0
        told = capsys.readouterr().out
        assert f"The column {column!r} is not charged: some providers count it within {whole}," in told
        assert f"--map {field}={column}" in told
        assert serving.run(path, *SET, "--map", f"{field}={column}") == 0
        assert f"{field} is read from the column {column!r}: it must not be within {whole}," in capsys.readouterr().out
        (event,) = serving.gateway.charged
        assert event["quantities"] == {field.removeprefix("tokens_"): "40"}

    def test_the_total_finds_what_is_within(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """OpenAI's cached tokens, mapped: each row says that they are counted twice, and nothing is charged."""
        path = write(tmp_path / "a.csv", "prompt_tokens,completion_tokens,total_tokens,cached_tokens\n100,10,110,40\n")
        assert serving.run(path, *SET, "--map", "tokens_cache_read=cached_tokens") == 1
        assert "110 is not the sum of its kinds, 150" in capsys.readouterr().err
        assert serving.gateway.charged == []


FILE = "quantities.images,secs,tokens_cache_read\n2,12.5,30\n1,0.5,\n"
MAP = ("--map", "quantities.seconds=secs")


class TestImport:
    """Against a gateway that has rates for images and seconds."""

    @pytest.fixture(autouse=True)
    def rates(self, serving: Serving) -> None:
        serving.gateway.rates = {"images": 4 * PICO, "seconds": PICO // 100}

    def test_each_row_is_charged_once_at_its_rates(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """The preview, the import and its repeat agree."""
        path = write(tmp_path / "a.csv", FILE)
        assert serving.run(path, *SET, *MAP, "--dry-run") == 0
        shown = capsys.readouterr().out
        for wanted in ("8.634 cents", "4.505 cents", "13.139", "quantities.images", "quantities.seconds", "no tokens"):
            assert (wanted in shown) == (wanted != "no tokens"), shown
        for _ in range(2):
            assert serving.run(path, *SET, *MAP) == 0
            assert serving.gateway.pico * 1000 == 13_139 * PICO and len(serving.gateway.charged) == 2
            serving.gateway.forget()

    @pytest.mark.parametrize(
        ("first", "second", "field"),
        [
            (MAP, (), "quantities.seconds 12.5, now it has none"),
            ((), MAP, "quantities.seconds none, now it has 12.5"),
            (MAP, ("--map", "quantities.seconds=quantities.images"), "quantities.images 2, now it has none"),
            (MAP, (*MAP, "--map", "tokens_cache_read="), "tokens 30, now it has 0"),
            (
                MAP,
                (*MAP, "--map", "tokens_cache_read=,tokens_input=tokens_cache_read"),
                "tokens_input none, now it has",
            ),
            (MAP, (*MAP, "--map", "tokens_cache_read=,tokens_reasoning=tokens_cache_read"), "quantities.cache_read 30"),
        ],
    )
    @pytest.mark.parametrize("lag", [False, True])
    def test_a_repeat_with_other_quantities_is_refused(
        self, serving: Serving, tmp_path: Path, capsys: Any, first: Any, second: Any, field: str, lag: bool
    ) -> None:
        """Whatever of them differs, whether the server remembers the keys or the ledger alone does."""
        path = write(tmp_path / "a.csv", FILE)
        assert serving.run(path, *SET, *first) == 0
        if lag:
            for event in serving.gateway.charged:
                event["seen"] += 3
        else:
            serving.gateway.forget()
        capsys.readouterr()
        assert serving.run(path, *SET, *second) == 2
        assert f"was imported before with {field}" in capsys.readouterr().err
        assert len(serving.gateway.charged) == 2

    def test_a_quantity_without_a_rate_is_an_error_of_the_preview(
        self, serving: Serving, tmp_path: Path, capsys: Any
    ) -> None:
        """At the row, in the total and among what looks wrong; the import tells the rows and charges the others."""
        path = write(tmp_path / "a.jsonl", '{"quantities": {"pages": 1}}\n{"quantities": {"images": 1}}\n')
        assert serving.run(path, *SET, "--dry-run") == 0
        shown, why = capsys.readouterr().out, "quantities.pages must have a rate in the price of action 'completion'"
        assert f"error: {why}; it will be refused" in shown
        assert f"- {why}: such rows will be refused." in shown
        assert "4.5 and the rows without a price" in shown
        assert serving.run(path, *SET) == 1
        assert f"line 1 (row 1): {why}" in capsys.readouterr().err
        assert [event["quantities"] for event in serving.gateway.charged] == [{"images": "1"}]

    def test_quantities_alone_are_enough_to_charge(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """A file without tokens or quantities is stopped, a JSON row without them is bad."""
        assert serving.run(write(tmp_path / "a.csv", "quantities.images\n1\n"), *SET) == 0
        assert serving.run(write(tmp_path / "b.csv", "img,agent\n1,a\n"), *SET) == 2
        assert "--map quantities.NAME=COLUMN" in capsys.readouterr().err
        assert serving.run(write(tmp_path / "b.csv", "img,agent\n1,a\n"), *SET, "--map", "quantities.images=img") == 0
        assert serving.run(write(tmp_path / "c.jsonl", '{"quantities": {"images": 1}}\n{"agent": "a"}\n'), *SET) == 1
        assert "line 2 (row 2): has no tokens and no quantities" in capsys.readouterr().err
        assert len(serving.gateway.charged) == 3

    def test_ids_compare_quantities_too(self, serving: Serving, tmp_path: Path, capsys: Any) -> None:
        """Two rows with one id: the same in another order is one event, another number is a bad row."""
        rows = ('{"images": 1, "seconds": 2.0}', '{"seconds": 2, "images": 1}', '{"seconds": 3, "images": 1}')
        text = "".join(f'{{"id": "a", "quantities": {row}}}\n' for row in rows)
        assert serving.run(write(tmp_path / "a.jsonl", text), *SET, "--map", "idempotency_key=id") == 1
        assert "line 3 (row 3), column id: 'a' is also the id of row 1, whose values differ" in capsys.readouterr().err
        assert len(serving.gateway.charged) == 1
