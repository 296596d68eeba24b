"""All the children: started at once, ready one by one, stopped in order."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.supervisor.child import Child
from deploy.supervisor.spec import Spec

PROBE_EVERY = 0.03


class NotReady(RuntimeError):
    """A child did not come up in time; the message names it and its log."""


class Group:
    """Children in the order in which they stop."""

    def __init__(
        self, specs: Sequence[Spec], logs: Path, clock: Callable[[], float], changed: Callable[[str], None]
    ) -> None:
        self._clock = clock
        logs.mkdir(parents=True, exist_ok=True)
        self.children = {spec.name: Child(spec, logs, clock, changed) for spec in specs}

    def start(self) -> asyncio.Future[list[None]]:
        """Start all children.

        The future ends when all are stopped, or with the error that ended the supervision of one.
        """
        return asyncio.gather(*(child.start() for child in self.children.values()))

    def release(self, settings: Mapping[str, str]) -> None:
        """Let every held child begin."""
        for child in self.children.values():
            if child.spec.held:
                child.release(settings)

    async def ready(self, name: str, limit: float) -> None:
        """Return when the child serves. Raises NotReady after ``limit`` seconds."""
        child = self.children[name]
        try:
            async with asyncio.timeout(limit):
                while not await child.spec.ready():  # noqa: ASYNC110 - another process cannot set our event
                    await asyncio.sleep(PROBE_EVERY)
        except TimeoutError:
            raise NotReady(f"{name} was not ready within {limit:g} s; see {child.log}") from None

    async def stop(self, within: float = 4.5) -> None:
        """Stop the children one after the other, so that each still has what it writes to; some stop together.

        The whole stop takes at most ``within`` seconds; each child may use what is not reserved for those after it.
        """
        deadline = self._clock() + within
        left = list(self.children.values())
        while left:
            together = [left.pop(0)]
            while left and left[0].spec.beside:
                together.append(left.pop(0))
            rest = deadline - sum(later.spec.reserve for later in left) - self._clock()
            await asyncio.gather(*(child.stop(max(rest, child.spec.reserve)) for child in together))

    @property
    def pids(self) -> dict[str, int]:
        return {name: child.pid for name, child in self.children.items() if child.pid is not None}

    @property
    def restarts(self) -> dict[str, int]:
        return {name: child.restarts for name, child in self.children.items()}
