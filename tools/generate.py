"""`python -m tools.generate`: writes what is derived from schemas/labels.py and schemas/outcome_terms.py into files
that cannot import them.

These are parts of the client libraries and of docs/, docs/reference.md, and warehouse/sql/schema.sql, the schema that
the embedded engine reports after the last migration. `--check` writes nothing and names the files that are not current;
a test calls it.
"""

import argparse
import asyncio
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools import api_reference
from tools.generated_parts import PARTS
from warehouse.client import ClickHouse
from warehouse.migrate import migrate, schema

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference.md"
SCHEMA = ROOT / "warehouse" / "sql" / "schema.sql"


def generated() -> dict[Path, str]:
    """Return every file that has a part, with its correct text. Raises ValueError unless a part is found
    exactly once."""
    texts: dict[Path, str] = {}
    for path, pattern, wanted in PARTS:
        file = ROOT / path
        text = texts.get(file) or file.read_text()
        found = list(re.finditer(pattern, text))
        if len(found) != 1:
            raise ValueError(f"{path}: {pattern!r} is found {len(found)} times")
        texts[file] = text[: found[0].start()] + wanted + text[found[0].end() :]
    return {**texts, REFERENCE: api_reference.page()}


def schema_now() -> str:
    """Return the schema after all migrations, from a separate engine."""

    async def ask(url: str, user: str, password: str) -> str:
        async with ClickHouse(url, user, password) as db:
            await migrate(db)
            return await schema(db)

    with tempfile.TemporaryDirectory(prefix="rev-generate-") as directory, _engine(Path(directory) / "data") as engine:
        return asyncio.run(ask(*engine))


@contextmanager
def _engine(data: Path) -> Iterator[tuple[str, str, str]]:
    command = [sys.executable, "-m", "deploy.clickhouse", "--data", str(data), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            users = json.loads((data / "users.json").read_text())
            name = next(name for name, user in users.items() if user["role"] == "rw")
            yield f"http://127.0.0.1:{port}", name, users[name]["password"]
        finally:
            process.send_signal(signal.SIGTERM)


def main() -> int:
    """Run the command and return the exit code: 1 if --check finds a file that is not current."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is not current")
    check = parser.parse_args().check
    stale = {path: text for path, text in {**generated(), SCHEMA: schema_now()}.items() if path.read_text() != text}
    for path, text in stale.items():
        print(f"{'not current' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(text)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
