"""A copy of the tree that gains declarations, and what they change in it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[3]


class Addition(NamedTuple):
    """What a person does to add a declaration: a line of ``file`` after another, and a migration if it has a column."""

    file: str
    after: str
    line: str
    migration: str = ""
    """Its name in warehouse/sql/migrations."""
    sql: str = ""

    @property
    def by_hand(self) -> set[str]:
        return {self.file} | ({f"warehouse/sql/migrations/{self.migration}"} if self.migration else set())


class ProductCopy:
    """A copy of what git knows of this tree, in a repository of its own."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.env = {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'sdk' / 'python'}"}
        known = self._git("ls-files", "--cached", "--others", "--exclude-standard", of=ROOT)
        for name in known.splitlines():
            if (ROOT / name).is_file() and not name.startswith(("tests/", "bench/")):
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, tree / name)
        self._git("init", "-q")
        self._git("add", "-A")

    def run(self, *arguments: str) -> str:
        """Run a program of the copy; return what it prints. Raises CalledProcessError."""
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.tree, env=self.env, capture_output=True, text=True, check=True
        )
        return done.stdout

    def add(self, addition: Addition) -> set[str]:
        """Add a declaration; return the files that this changes."""
        file = self.tree / addition.file
        text = file.read_text()
        assert text.count(addition.after) == 1
        file.write_text(text.replace(addition.after, addition.after + addition.line))
        if addition.migration:
            (self.tree / "warehouse" / "sql" / "migrations" / addition.migration).write_text(addition.sql)
        return self._changed()

    def generate(self) -> set[str]:
        """Run tools.generate; return the files that it says it wrote, which are all that changed."""
        written = set(re.findall(r"written: (\S+)", self.run("-m", "tools.generate")))
        assert self._changed() == written
        return written

    def _changed(self) -> set[str]:
        """Return the files that differ since the last call."""
        status = self._git("status", "--porcelain")
        self._git("add", "-A")
        return {line[3:] for line in status.splitlines() if line[1] != " "}

    def _git(self, *arguments: Any, of: Path | None = None) -> str:
        done = subprocess.run(["git", *arguments], cwd=of or self.tree, capture_output=True, text=True, check=True)
        return done.stdout
