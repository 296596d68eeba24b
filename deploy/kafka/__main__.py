"""`python -m deploy.kafka --data DIR --port N`: runs the broker and its controller until SIGTERM or Ctrl-C.

Prints one line ``{"port": N}`` on standard output when it serves requests; messages for people go
to standard error. `--fetch` only prepares for starts without the network.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

from deploy import children
from deploy.kafka import broker, jars, starting
from deploy.kafka.progress import bar
from schemas.settings import SettingError

START_LIMIT = 180.0
"""Seconds within which the broker must come up."""


def main() -> int:
    arguments = _parser().parse_args()
    try:
        with bar() as progress:
            command = starting.command(os.environ, progress)
        if arguments.fetch:
            return 0
        chosen = broker.choose(arguments.data, arguments.port, random.Random())
        with ThreadPoolExecutor() as pool:
            argvs = list(pool.map(lambda role: broker.prepare(arguments.data, chosen, command, role), broker.ROLES))
    except (SettingError, jars.JarError, RuntimeError, OSError) as error:
        print(f"kafka: {error}", file=sys.stderr)
        return 2
    return _run(argvs, chosen.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("rev-data/kafka"), help="data directory, used by this process alone"
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 picks a free one and keeps it")
    parser.add_argument("--fetch", action="store_true", help="fetch and check the jars and record a start, then exit")
    return parser


def _run(argvs: list[list[str]], port: int) -> int:
    """Run both processes until the broker ends; return the exit code. If killed with -9, both die with this one."""
    process, controller = (children.spawn(argv, stderr=sys.stderr.buffer) for argv in argvs)

    def stop(number: int, frame: FrameType | None) -> None:
        process.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        if not _comes_up(process, port):
            process.kill()
            process.wait()
            print("kafka: the broker did not start; its log above says why", file=sys.stderr)
            return 1
        print(json.dumps({"port": port}), flush=True)
        code = process.wait()
        # 143: Java's exit code after an orderly shutdown on SIGTERM.
        return 0 if code in (0, 143, -signal.SIGTERM) else 1
    finally:
        controller.terminate()
        controller.wait()


def _comes_up(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        if broker.is_listed(port, timeout=1.0):
            return True
        time.sleep(0.02)
    return False


if __name__ == "__main__":
    sys.exit(main())
