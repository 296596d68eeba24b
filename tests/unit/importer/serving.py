"""A gateway in memory behind HTTP, and the commands against it."""

import argparse
import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from tools.importer import configure, configure_list, run, run_list
from tools.importer.command import Ask
from tools.importer.memory import MemoryGateway

Lines = Callable[[str], dict[str, str]]


class Serving:
    """A MemoryGateway on a free port, in a thread of its own, since `run` has its own loop."""

    def __init__(self, gateway: MemoryGateway) -> None:
        self.gateway = gateway
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        assert self._up.wait(30)

    def _serve(self) -> None:
        async def start() -> web.AppRunner:
            runner = web.AppRunner(self.gateway.app(), shutdown_timeout=1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return runner

        runner = self._loop.run_until_complete(start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def run(self, path: Path | str, *options: str, key: str = "rg_live", ask: Ask | None = None) -> int:
        """`rev import`; ``ask``: the person at the terminal."""
        parser = argparse.ArgumentParser()
        configure(parser)
        return run(parser.parse_args([str(path), "--url", self.url, "--key", key, *options]), ask)

    def list(self, *options: str, key: str = "rg_live") -> int:
        """`rev imports`."""
        parser = argparse.ArgumentParser()
        configure_list(parser)
        return run_list(parser.parse_args(["--url", self.url, "--key", key, *options]))
