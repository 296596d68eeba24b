"""The SQL of this package: numbered migrations and the writer's statements, as package data."""

import re
from importlib.resources import files
from typing import NamedTuple

_SQL = files("warehouse") / "sql"


class Migration(NamedTuple):
    number: int
    name: str
    statements: tuple[str, ...]


def statements(text: str) -> tuple[str, ...]:
    """Return the statements of a script: each ends with ``;`` at the end of a line; comments are dropped."""
    bare = re.sub(r"^--.*\n", "", text, flags=re.MULTILINE)
    return tuple(part.strip() for part in re.split(r";\s*$", bare, flags=re.MULTILINE) if part.strip())


def migrations() -> list[Migration]:
    """Return every migration, in the order to apply. Raises ValueError when a number is missing."""
    found = []
    for path in (_SQL / "migrations").iterdir():
        match = re.fullmatch(r"(\d{3})_(\w+)\.sql", path.name)
        if not match:
            raise ValueError(f"{path.name} is not a migration; its name must be like 001_name.sql")
        found.append(Migration(int(match[1]), path.name, statements(path.read_text())))
    found.sort()
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError("migrations must be numbered 001, 002, … without a gap")
    return found


def read(name: str) -> str:
    """Return the text of ``warehouse/sql/<name>.sql`` without its comments."""
    (statement,) = statements((_SQL / f"{name}.sql").read_text() + ";")
    return statement


def script(name: str) -> str:
    """Return the unchanged text of ``warehouse/sql/<name>.sql``."""
    return (_SQL / f"{name}.sql").read_text()
