"""S3 for tests: MiniStack in a process of its own, which takes a socket that is bound already."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUCKET = "books"


@contextmanager
def s3(directory: Path) -> Iterator[str]:
    """Yield the address of an S3 that has an empty bucket."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "hypercorn",
                "ministack.app:app",
                "--workers",
                "0",
                "--bind",
                f"fd://{bound.fileno()}",
            ],
            pass_fds=[bound.fileno()],
            cwd=directory,
            env={"PATH": os.environ["PATH"], "HOME": str(directory)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        make = urllib.request.Request(f"{url}/{BUCKET}", method="PUT")
        with urllib.request.urlopen(make, timeout=60) as answer:
            assert answer.status == 200
        yield url
    finally:
        process.kill()
        process.wait()
