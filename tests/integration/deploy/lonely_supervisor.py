"""A supervisor in a process of its own, to be killed: runs two children that ignore SIGTERM.

Arguments: a directory for the logs, the children's script. Prints the pids at each change.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.supervisor.group import Group
from deploy.supervisor.spec import Spec


async def ready() -> bool:
    return True


def command() -> Sequence[str]:
    return [sys.executable, "-c", sys.argv[2]]


async def main() -> None:
    specs = [Spec("a", command, ready), Spec("b", command, ready)]
    group = Group(specs, Path(sys.argv[1]), time.monotonic, lambda _: print(*group.pids.values(), flush=True))
    group.start()
    await asyncio.Event().wait()


asyncio.run(main())
