"""What the collector of a test's `rev up` has other than the machine; see collector_clock/sitecustomize.py."""

import json
import os
from pathlib import Path

CLOCK = Path(__file__).parent / "collector_clock"


class CollectorSettings:
    """Settings in a file. ``read_by``: the environment of a `rev up` whose collector has them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read_by = {
            "REV_TEST_COLLECTOR": str(path),
            "PYTHONPATH": f"{CLOCK}:{os.environ.get('PYTHONPATH', '')}",
        }
        self.set()

    def set(self, ahead: int = 0, **env: str) -> None:
        """``ahead``: ms by which its wall clock is ahead from now on; ``env``: further settings of its next process."""
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps({"ahead": ahead, "env": env}))
        part.replace(self.path)
