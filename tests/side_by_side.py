"""`make test`: all tests but the long crash runs, in two pytest processes side by side.

Tests mostly wait: for Kafka, for the engine, for processes to start and stop. Each process has a Kafka, an engine and a
stack of its own, so they share nothing but the machine. The first one's output is shown when it is over.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
FIRST = (
    "unit",
    "integration/clickhouse",
    "integration/collector",
    "integration/expirer",
    "integration/ledger",
    "integration/notifier",
    "integration/pricer",
    "integration/reference",
    "integration/streams",
    "integration/transport",
)
"""What the first process runs, below tests/; the second one runs everything else."""
OWN_STACK = ("declarations", "stack", "web")
"""What the second process runs first: the rest shares one `rev up`, which takes a quarter of a core even at rest."""


def lanes() -> tuple[list[str], list[str]]:
    """Return the directories of both processes. Raises ValueError for a directory of FIRST that does not exist."""
    first = [TESTS / name for name in FIRST]
    missing = [str(path) for path in first if not path.is_dir()]
    if missing:
        raise ValueError(f"no such tests: {', '.join(missing)}")
    inside = [path for path in (TESTS / "integration").iterdir() if path.is_dir() and any(path.glob("test_*.py"))]
    others = sorted((path for path in inside if path not in first), key=lambda path: (path.name not in OWN_STACK, path))
    return [str(path) for path in first], [str(path) for path in others]


def main() -> int:
    """Run both and return 0 if both passed."""
    command = [sys.executable, "-m", "pytest", "-m", "not crash", *sys.argv[1:]]
    first, second = lanes()
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen([*command, *first], stdout=output, stderr=subprocess.STDOUT) as beside:
            try:
                code = subprocess.run([*command, *second], check=False).returncode
                beside.wait()
            except KeyboardInterrupt:
                beside.wait()  # the terminal has interrupted it too
                code = 130
        output.seek(0)
        print("\n== the tests that ran beside these", flush=True)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return code or beside.returncode


if __name__ == "__main__":
    sys.exit(main())
