"""`python -m deploy.clickhouse --data DIR --port N`: runs the engine alone until SIGTERM or Ctrl-C.

Prints one line ``{"port": N}`` on standard output when it serves requests.
"""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

import uvloop
from aiohttp import web

from deploy.clickhouse import users
from deploy.clickhouse.engine import Engine
from deploy.clickhouse.server import Server
from deploy.ports import LOOPBACK

_READ_BUFFER = 1 << 20
"""Bytes of a body that are read ahead; INSERTs of many megabytes are common."""


def main() -> int:
    arguments = _parser().parse_args()
    data: Path = arguments.data
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = Engine(data)
        known = users.load(data / "users.json")
    except (RuntimeError, ValueError, OSError) as error:
        print(f"clickhouse: {error}", file=sys.stderr)
        return 2
    return uvloop.run(_serve(engine, known, arguments.port))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.clickhouse", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("rev-data/clickhouse"), help="data directory, used by this process alone"
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 picks a free one")
    return parser


async def _serve(engine: Engine, known: dict[str, users.User], port: int) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    server = Server(engine, known)
    runner = web.AppRunner(
        server.application(),
        auto_decompress=False,
        access_log=None,
        handler_cancellation=True,
        read_bufsize=_READ_BUFFER,
        shutdown_timeout=0.5,
    )
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, port)
    try:
        await site.start()
    except OSError as error:
        print(f"clickhouse: {error}", file=sys.stderr)
        return 2
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await stopping.wait()
    await site.stop()
    await server.stop()
    await runner.cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(main())
