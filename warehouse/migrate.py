"""Applies the numbered migrations, each once and in order, and describes the resulting schema.

ClickHouse has no transactional DDL: a migration that was cut off is applied again, so each
of its statements must be repeatable (CREATE … IF NOT EXISTS, CREATE OR REPLACE VIEW).
"""

import re

from warehouse.client import ClickHouse
from warehouse.errors import WrongSchema
from warehouse.sqltext import Migration, migrations

_RECORD = """
CREATE TABLE IF NOT EXISTS rev._migrations
(
    number UInt32,
    name String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY number
"""
_SETTING = re.compile(r"MODIFY SETTING (\w+)")


async def applied(clickhouse: ClickHouse) -> dict[int, str]:
    """Return the number and name of each migration that was applied."""
    rows = await clickhouse.execute("SELECT DISTINCT number, name FROM rev._migrations ORDER BY number")
    return {int(number): name for number, name in rows}


async def migrate(clickhouse: ClickHouse) -> list[Migration]:
    """Bring the schema up to date and return the migrations applied now.

    Raises WrongSchema when the database has migrations that this program does not know.
    Two services may do this at the same time, since the statements are repeatable.
    """
    await clickhouse.execute("CREATE DATABASE IF NOT EXISTS rev")
    await clickhouse.execute(_RECORD)
    known = migrations()
    done = await applied(clickhouse)
    strange = sorted(set(done.items()) - {(m.number, m.name) for m in known})
    if strange:
        raise WrongSchema(
            f"the ledger has migrations that this release does not know: {strange}; start a newer release"
        )
    fresh = [migration for migration in known if migration.number not in done]
    settings = {name for (name,) in await clickhouse.execute("SELECT name FROM system.merge_tree_settings")}
    for migration in fresh:
        for statement in migration.statements:
            setting = _SETTING.search(statement)
            # a setting of a table says what something costs; a server that is too old for it keeps its own way
            if setting is None or setting[1] in settings:
                await clickhouse.execute(statement)
        values = f"({migration.number}, '{migration.name}')"
        await clickhouse.insert(f"INSERT INTO rev._migrations (number, name) VALUES {values}")
    return fresh


async def schema(clickhouse: ClickHouse) -> str:
    """Return the CREATE statements of everything in ``rev`` except the writers' stages, by name."""
    rows = await clickhouse.execute(
        "SELECT create_table_query FROM system.tables "
        "WHERE database = 'rev' AND NOT startsWith(name, '_stage_') ORDER BY name"
    )
    pretty = [(await clickhouse.execute(f"SELECT formatQuery({_literal(query)})"))[0][0] for (query,) in rows]
    return "\n\n".join(re.sub(r"\nSETTINGS .*", "", text) + ";" for text in pretty) + "\n"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
