"""Exports as Parquet, to a directory and to S3: exact, and whole after a kill at any point."""

import csv
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from obstore.store import S3Store
from pyarrow import parquet

from schemas.settings import SettingError
from tests.s3_stand_in import BUCKET, s3
from tests.unit.collector.memory_invoicing import Killed
from tests.unit.collector.test_exports import MemoryExports, export_all, gateway, no_grants, settings, two_months, world
from tests.unit.collector.test_invoices_http import World
from tools.admin_call import CallFailed
from tools.exporter import command
from tools.exporter.destinations import ExportedFile, ExportError, ExportPlace, Stored, open_destination
from tools.exporter.manifest import load

__all__ = ["gateway", "settings", "world"]
TO = f"s3://{BUCKET}"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture
def bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment leads to the stand-in."""
    for name, value in (("ENDPOINT_URL", address), ("ACCESS_KEY_ID", "id"), ("SECRET_ACCESS_KEY", "secret")):
        monkeypatch.setenv(f"AWS_{name}", value)
    return address


def held(address: str, prefix: str) -> dict[str, bytes]:
    """The objects under a prefix, as a client of its own sees them."""
    store = S3Store(
        BUCKET, prefix=prefix, endpoint=address, client_options={"allow_http": True}, access_key_id="x",
        secret_access_key="y",
    )  # fmt: skip
    names = [one["path"] for page in store.list() for one in page]
    return {name: bytes(store.get(name).bytes()) for name in names}


async def test_parquet_is_exact_and_what_csv_says(world: World, tmp_path: Path) -> None:
    """Read by another library: the same rows, amounts as Decimal128 to the last decimal."""
    found = await two_months(world)
    mine = found["/api/admin/invoices?limit=1000&month=2026-04"]["invoices"]
    one = next(one for one in mine if one["number"] == "INV-000001")
    found["/api/admin/customers/acme/billing"] = {"currency": "usd"}
    one["carried_out_cents"] = Decimal("-0.000000000001")
    one["lines_cents"] = Decimal("99999999999999999999999999.999999999999")
    for format in command.FORMATS:
        export_all(tmp_path / format, found, format, one_grant)
    for name in ("invoices", "lines-0001", "journal"):
        text = list(csv.DictReader((tmp_path / "csv" / f"{name}.csv").read_text().splitlines()))
        table = parquet.read_table(tmp_path / "parquet" / f"{name}.parquet")
        assert not [field.name for field in table.schema if str(field.type) in ("float", "double")]
        rows = table.to_pylist()
        assert [list(row) for row in rows] == [list(row) for row in text] and rows
        for row, line in zip(rows, text, strict=True):
            for column, value in row.items():
                assert plain(value) == line[column].removeprefix("'"), column
    schema = parquet.read_schema(tmp_path / "parquet" / "invoices.parquet")
    assert str(schema.field("lines_cents").type) == "decimal128(38, 12)"
    assert str(schema.field("from").type) == "timestamp[ms, tz=UTC]"
    first = parquet.read_table(tmp_path / "parquet" / "invoices.parquet").to_pylist()[0]
    assert (first["carried_out_cents"], first["lines_cents"]) == (one["carried_out_cents"], one["lines_cents"])
    assert "E-" not in (tmp_path / "csv" / "invoices.csv").read_text()


def one_grant(sql: str) -> Iterator[bytes]:
    """A ledger in which acme paid for credit in April, and has drawn none."""
    detail = (
        '{"id":7,"customer_id":"acme","amount_cents":5,"expires_at":null,"created_at":"2026-04-02T00:00:00.000Z",'
        '"category":"paid"}'
    )
    if "ARRAY JOIN" not in sql:
        yield json.dumps([detail]).encode()


def plain(value: Any) -> str:
    """A value of Parquet as CSV has it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return (
        value.isoformat(timespec="milliseconds").replace("+00:00", "Z") if hasattr(value, "isoformat") else str(value)
    )


class Dying:
    """A place at which the process dies with its n-th step: before, amid or after it."""

    def __init__(self, place: ExportPlace, at: int) -> None:
        self._place = place
        self._left = at
        self.read, self.is_intact = place.read, place.is_intact
        self.where, self.close = place.where, place.close

    def write(self, name: str, chunks: Iterable[bytes]) -> Stored:
        return self._step(lambda: self._place.write(name, self._cut(chunks)))

    def replace(self, name: str, body: bytes) -> None:
        self._step(lambda: self._place.replace(name, body))

    def _step(self, do: Callable[[], Any]) -> Any:
        self._die()
        done = do()
        self._die()
        return done

    def _cut(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk[: len(chunk) // 2]
            self._die()
            yield chunk[len(chunk) // 2 :]

    def _die(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Killed


def export(place: ExportPlace, found: dict[str, Any], ledger: MemoryExports) -> list[ExportedFile]:
    made = load(place, "2026-04", "parquet")
    command.export_entries(made, ledger)
    for kind in ("invoices", "lines"):
        command.export_invoices(made, found.__getitem__, kind)
    command.export_postings(made, found.__getitem__, no_grants)
    return made.manifest.files


@pytest.mark.parametrize("where", ["directory", "s3"])
async def test_a_kill_at_any_point_doubles_and_loses_nothing(
    where: str, world: World, tmp_path: Path, bucket: str
) -> None:
    """Each export dies one step later than the one before; at the end the files are those of one that lived."""
    found = await two_months(world)

    def opened(name: str) -> ExportPlace:
        return open_destination(f"{TO}/{name}" if where == "s3" else str(tmp_path / name), "2026-04")

    def files(name: str) -> dict[str, bytes]:
        if where == "s3":
            return held(bucket, f"{name}/2026-04")
        return {path.name: path.read_bytes() for path in (tmp_path / name / "2026-04").iterdir()}

    whole = opened("whole")
    export(whole, found, MemoryExports())
    whole.close()
    ledger, deaths = MemoryExports(), 0
    for at in count():
        place = opened("killed")
        try:
            told = export(Dying(place, at), found, ledger)
            break
        except Killed:
            deaths += 1
        finally:
            place.close()
        named = json.loads(files("killed").get("manifest.json", b'{"files": []}'))["files"]
        for one in named:
            assert hashlib.sha256(files("killed")[one["name"]]).hexdigest() == one["sha256"]
    assert deaths > 5
    assert files("killed") == files("whole")
    assert {one.name for one in told} | {"manifest.json"} == files("whole").keys()


async def test_what_others_change_in_a_bucket_is_seen(world: World, bucket: str) -> None:
    """A file, or the manifest while an export runs."""
    found = await two_months(world)
    place, other = (open_destination(f"{TO}/shared/", "2026-04") for _ in range(2))
    mine, theirs = load(place, "2026-04", "csv"), load(other, "2026-04", "csv")
    command.export_invoices(mine, found.__getitem__, "invoices")
    with pytest.raises(
        ExportError, match=r"another export wrote s3://books/shared/2026-04/manifest\.json in the meantime"
    ):
        command.export_invoices(theirs, found.__getitem__, "lines")
    theirs = load(other, "2026-04", "csv")
    command.export_invoices(theirs, found.__getitem__, "lines")
    assert set(held(bucket, "shared/2026-04")) == {"invoices.csv", "lines-0001.csv", "manifest.json"}
    other.write("lines-0001.csv", [b"changed"])
    with pytest.raises(ExportError, match=r"s3://books/shared/2026-04/lines-0001\.csv is missing or was changed"):
        load(other, "2026-04", "csv")


def test_a_large_file_comes_in_parts(bucket: str) -> None:
    """Its hash is that of all of it; one whose source breaks off is not there."""
    place = open_destination(f"{TO}/large", "2026-04")
    parts = [bytes([number]) * 1_000_000 for number in range(12)]
    stored = place.write("entries-0001.csv", iter(parts))
    body = held(bucket, "large/2026-04")["entries-0001.csv"]
    assert body == b"".join(parts) and stored.sha256 == hashlib.sha256(body).hexdigest()
    assert place.is_intact(ExportedFile("entries-0001.csv", "entries", 1, stored.size, stored.sha256, {}, stored.etag))

    def broken() -> Iterator[bytes]:
        yield from parts
        raise ExportError("the ledger's answer breaks off")

    with pytest.raises(ExportError, match="breaks off"):
        place.write("entries-0002.csv", broken())
    assert set(held(bucket, "large/2026-04")) == {"entries-0001.csv"}


def test_faults_of_s3_say_what_to_do(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match="s3://absent/2026-04/x cannot be read or written"):
        open_destination("s3://absent", "2026-04").write("x", [b"1"])
    with pytest.raises(SettingError, match="--to must name a bucket"):
        open_destination("s3://", "2026-04")
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(SettingError, match="--to s3://… needs obstore; install it with pip install obstore"):
        open_destination(TO, "2026-04")


def test_the_command_says_what_it_wrote(
    bucket: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what failed, with another exit code."""
    import argparse

    parser = argparse.ArgumentParser()
    command.configure(parser)
    ledger = MemoryExports()
    monkeypatch.setattr(command, "_address", lambda data: command.LedgerAddress("http://ledger", "u", "p"))
    monkeypatch.setattr(command, "ledger_query", lambda where: ledger)
    asked = parser.parse_args(["entries", "--month", "2026-04", "--to", f"{TO}/told", "--format", "parquet"])
    assert command.run(asked) == 0
    assert capsys.readouterr().out.startswith(f"{TO}/told/2026-04/entries-0001.parquet  5 rows  sha256 ")

    def refused(arguments: argparse.Namespace, path: str) -> Any:
        raise CallFailed("no gateway answers")

    monkeypatch.setattr(command, "admin_get", refused)
    asked = parser.parse_args(["invoices", "--month", "2026-04", "--to", f"{TO}/told", "--format", "parquet"])
    assert command.run(asked) == command.FAILED
    assert capsys.readouterr().err == "rev export: no gateway answers\n"
