"""`make test`: all tests but the long crash runs, in three pytest processes side by side.

Tests with a Kafka and an engine mostly wait: for these, and for processes to start and stop. Two processes run them,
each with a Kafka, an engine and stacks of its own, so they share nothing but the machine. The unit tests take what
these leave of it. The output of each is shown when the last one of those before it is over.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
FIRST = (
    "clickhouse",
    "collector",
    "expirer",
    "ledger",
    "notifier",
    "pricer",
    "streams",
    "transport",
    "web",
)
"""What one process runs of tests/integration; another one runs everything else."""
OWN_STACK = ("declarations", "reference", "stack")
"""What the other one runs first: the rest shares one `rev up`, which takes a quarter of a core even at rest."""
NICENESS = 10
"""Of the unit tests."""


def lanes() -> tuple[list[str], list[str], list[str]]:
    """Return the directories of each process, the unit tests last. Raises ValueError for a directory of FIRST that does
    not exist."""
    first = [TESTS / "integration" / name for name in FIRST]
    missing = [str(path) for path in first if not path.is_dir()]
    if missing:
        raise ValueError(f"no such tests: {', '.join(missing)}")
    inside = [path for path in (TESTS / "integration").iterdir() if path.is_dir() and any(path.glob("test_*.py"))]
    others = sorted((path for path in inside if path not in first), key=lambda path: (path.name not in OWN_STACK, path))
    return [str(path) for path in others], [str(path) for path in first], [str(TESTS / "unit")]


def main() -> int:
    """Run all and return 0 if all passed."""
    command = [sys.executable, "-m", "pytest", "-m", "not crash", *sys.argv[1:]]
    # Elsewhere an engine waits for what prices events; here it would wait for three test runs as well.
    env = {**os.environ, "REV_NICENESS": "0"}
    shown, *beside = lanes()
    with contextlib.ExitStack() as opened:
        running = []
        for directories, niceness in zip(beside, (0, NICENESS), strict=True):
            output = opened.enter_context(tempfile.TemporaryFile())
            started = subprocess.Popen([*command, *directories], env=env, stdout=output, stderr=subprocess.STDOUT)
            os.setpriority(os.PRIO_PROCESS, started.pid, niceness)
            running.append((opened.enter_context(started), output))
        try:
            code = subprocess.run([*command, *shown], env=env, check=False).returncode
            for process, _ in running:
                process.wait()
        except KeyboardInterrupt:
            for process, _ in running:
                process.wait()  # the terminal has interrupted it too
            code = 130
        for _, output in running:
            output.seek(0)
            print("\n== the tests that ran beside these", flush=True)
            sys.stdout.buffer.write(output.read())
            sys.stdout.flush()
    return code or next((process.returncode for process, _ in running if process.returncode), 0)


if __name__ == "__main__":
    sys.exit(main())
