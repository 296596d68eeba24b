"""An engine that a test may kill: the daemon as a child process over a directory of its own."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

from deploy.children import spawn
from warehouse.client import ClickHouse

MODULE = ["-m", "deploy.clickhouse"]


class Engine:
    """A daemon over one directory, which can be killed and started again on the same port."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def user(self) -> tuple[str, str]:
        return self._of_role("rw")

    @property
    def analyst(self) -> tuple[str, str]:
        return self._of_role("ro")

    def _of_role(self, role: str) -> tuple[str, str]:
        users = json.loads((self.data / "users.json").read_text())
        name = next(name for name, user in users.items() if user["role"] == role)
        return name, users[name]["password"]

    def client(self) -> ClickHouse:
        return ClickHouse(self.url, *self.user)

    def start(self) -> None:
        command = [sys.executable, *MODULE, "--data", str(self.data), "--port", str(self.port)]
        with self.data.with_suffix(".log").open("ab") as errors:
            self.process = spawn(command, stdout=subprocess.PIPE, stderr=errors)
        assert self.process.stdout is not None
        text = b""
        while b"\n" not in text:
            ready, _, _ = select.select([self.process.stdout], [], [], 60)
            chunk = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            assert chunk, f"the engine did not come up: {self.data.with_suffix('.log').read_text()[-3000:]}"
            text += chunk
        self.port = json.loads(text.split(b"\n")[0])["port"]

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
