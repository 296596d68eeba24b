"""A ledger on the real engine, filled by the test, and the reads over it."""

import re
from collections.abc import AsyncIterator, Collection, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from msgspec.structs import asdict

import warehouse
from schemas.ids import address_of
from schemas.money import DECIMALS
from streams.log_ends import KafkaLogEnds
from warehouse.memory import LedgerRow
from warehouse.queries import LedgerReads
from warehouse.reader import ClickHouseReader

EXACT = Context(prec=60)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONEY = {
    *("base_cents", "token_cents", "bonus_cents", "quantity_cents", "total_cents", "credit_cents"),
    *("price_base", "price_token", "price_bonus", "price_on_success", "price_on_failure"),
}
TIMES = {"expires_at", "event_time", "recorded_at"}
COLUMNS = [*LedgerRow.__struct_fields__, "raw_partition", "raw_offset", "raw_index"]


def create_statements() -> list[str]:
    """The statements of the ledger's migrations, in order."""
    found = []
    for file in sorted((Path(warehouse.__file__).parent / "sql" / "migrations").glob("*.sql")):
        lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("--")]
        found += [text for text in "\n".join(lines).split(";\n") if text.strip(" \n;")]
    return found


def cell(field: str, value: Any) -> Any:
    """A value as the driver inserts it."""
    if value is not None and field in MONEY:
        return Decimal(value).scaleb(-DECIMALS, EXACT)
    if field == "quantities":
        return {name: Decimal(number) for name, number in value.items()}
    if value is not None and field in TIMES:
        return EPOCH + timedelta(milliseconds=value)
    if field == "draws":
        return [(draw.grant, Decimal(draw.cents)) for draw in value]
    if field == "lines":
        return [
            (line.component, Decimal(line.quantity), Decimal(line.rate), line.per, Decimal(line.cents))
            for line in value
        ]
    return value


class Ledger:
    """The table rev.entries, and the reads over it."""

    def __init__(self, client: Any, reads: LedgerReads, engine: ClickHouseReader) -> None:
        self.client, self.reads, self.engine = client, reads, engine

    def insert(self, rows: Iterable[LedgerRow], but: Collection[str] = ()) -> None:
        """Rows as the ledger would write them, each in a part of its month; ``but``: columns that are not there."""
        data = []
        for row in rows:
            address = address_of(row.event_id)
            cells = [cell(field, value) for field, value in asdict(row).items() if field not in but]
            data.append([*cells, address.partition, address.offset, address.event_index])
        names = [name for name in COLUMNS if name not in but]
        self.client.insert("entries", data, database="rev", column_names=names)

    def insert_half_merged(self, rows: Iterable[LedgerRow]) -> None:
        """Insert rows, and merge every other one, so that these have projections and the others do not yet."""
        rows = list(rows)
        self.insert(rows[::2])
        self.merge()
        self.insert(rows[1::2])

    def merge(self) -> None:
        """Merge the parts of each month, which builds their projections."""
        self.client.command("OPTIMIZE TABLE rev.entries FINAL")

    def explain(self, sql: str, parameters: dict[str, Any]) -> str:
        """The engine's plan of a query."""
        return str(self.client.raw_query(f"EXPLAIN projections = 1 {sql}", parameters=parameters, fmt="TSV").decode())

    def granules(self, sql: str, parameters: dict[str, Any]) -> int:
        """How many granules of the table a query would read after all its indexes."""
        plan = self.client.raw_query(f"EXPLAIN indexes = 1 {sql}", parameters=parameters, fmt="TSV").decode()
        read = re.findall(r"Granules: (\d+)/\d+", plan)
        return int(read[-1]) if read else 0


@pytest.fixture
async def filled(clickhouse: Any) -> AsyncIterator[Ledger]:
    """An empty ledger made by the ledger's own migrations."""
    host, port = clickhouse.url.removeprefix("http://").split(":")
    client = clickhouse_connect.get_client(
        host=host,
        port=int(port),
        username=clickhouse.user,
        password=clickhouse.password,
        autogenerate_session_id=False,
    )
    client.command("DROP DATABASE IF EXISTS rev")
    client.command("CREATE DATABASE rev")
    for statement in create_statements():
        client.command(statement)
    engine = ClickHouseReader(clickhouse.url, clickhouse.user, clickhouse.password)
    yield Ledger(client, LedgerReads(engine, KafkaLogEnds("")), engine)
    await engine.close()
    client.command("DROP DATABASE rev")
    client.close()
