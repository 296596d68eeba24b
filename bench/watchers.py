"""`python -m bench.watchers`: what people who look at live pages cost the gateway, in turns with and without them.

Each turn sends single events on a fixed schedule, with the price in the answer, first alone and then while LISTENERS
hold the stream of the overview open and one of them loads the page again every RELOAD seconds. Everything runs on one
machine, the watchers in a process of their own.
"""

import argparse
import asyncio
import multiprocessing
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from bench import load, processes, scenarios, traffic
from bench.__main__ import keys_for
from bench.reporting import console, keep, show
from bench.running_stack import RunningStack
from bench.scenarios import Figures

LISTENERS = 20
RELOAD = 3.0
"""Seconds: 20 people of whom each loads the page once a minute."""
RATE = 500
SECONDS = 15.0
TURNS = 4


async def _watch(address: str, token: str, ready: Any, stop: Any, counts: Any) -> None:
    connector, jar = aiohttp.TCPConnector(limit=0), aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(address, connector=connector, cookie_jar=jar) as session:
        await _sign_in(session, token)
        listening = [asyncio.create_task(_listen(session, counts)) for _ in range(LISTENERS)]
        while not stop.is_set():
            async with session.get("/dashboard") as page:
                page.raise_for_status()
                await page.read()
            counts[1] += 1
            ready.set()
            for _ in range(int(RELOAD * 10)):
                if stop.is_set():
                    break
                await asyncio.sleep(0.1)
        for one in listening:
            one.cancel()
        await asyncio.gather(*listening, return_exceptions=True)


async def _sign_in(session: aiohttp.ClientSession, token: str) -> None:
    async with session.get("/login") as page:
        form = re.search(r'name="form_token" value="([^"]+)"', await page.text())
    assert form is not None
    async with session.post("/login", data={"form_token": form[1], "token": token, "next": "/dashboard"}) as page:
        page.raise_for_status()


async def _listen(session: aiohttp.ClientSession, counts: Any) -> None:
    while True:
        async with session.get("/dashboard/live", timeout=aiohttp.ClientTimeout(total=None)) as stream:
            stream.raise_for_status()
            async for line in stream.content:
                counts[0] += line.startswith(b"event: run-rate")


def _people(address: str, token: str, ready: Any, stop: Any, counts: Any) -> None:
    asyncio.run(_watch(address, token, ready, stop, counts))


@contextmanager
def watchers(running: RunningStack) -> Iterator[Any]:
    """Have people look at the overview while the block runs. Yields how many run rates and pages they got."""
    context = multiprocessing.get_context("spawn")
    ready, stop, counts = context.Event(), context.Event(), context.Array("q", 2)
    people = context.Process(target=_people, args=(running.http, running.admin_token, ready, stop, counts))
    people.start()
    try:
        if not ready.wait(30):
            raise RuntimeError("nobody could look at the overview")
        yield counts
    finally:
        stop.set()
        people.join(20)


def turn(running: RunningStack, keys: list[str], seconds: float, number: int) -> tuple[Figures, Figures]:
    """Measure one turn: alone, and watched."""
    alone = _measured(running, keys, seconds, 2 * number)
    with watchers(running) as counts:
        before = list(counts)
        watched = _measured(running, keys, seconds, 2 * number + 1)
        frames, pages = (now - then for now, then in zip(counts, before, strict=True))
    if frames < LISTENERS * seconds / 4:
        raise RuntimeError(f"{LISTENERS} listeners got {frames} frames in {seconds} s")
    return alone, {**watched, "frames": frames, "pages": pages}


def _measured(running: RunningStack, keys: list[str], seconds: float, seed: int) -> Figures:
    """Send events on the schedule. ``late``: those answered without their price (202), because a shard was behind."""
    before = processes.cpu(running)
    messages = traffic.singles(running.http, keys, int(RATE * seconds), seed)
    answers = asyncio.run(load.open_loop(running.http, messages.__getitem__, RATE, seconds))
    after = processes.cpu(running)
    odd = [answer for answer in answers if answer.status not in (201, 202)]
    if odd:
        raise RuntimeError(f"{len(odd)} of {len(answers)} were not taken: {odd[0].status} {odd[0].body[:300]!r}")
    took = [answer.took * 1000 for answer in answers]
    return {
        **{f"p{int(q * 100)}_ms": round(load.quantile(took, q), 2) for q in (0.5, 0.9, 0.99)},
        "late": sum(answer.status == 202 for answer in answers),
        **{f"cpu_s_{name}": round(after[name] - before[name], 2) for name in ("gateway", "web", "clickhouse")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.watchers", description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rev-bench-") as where:
        running, _ = scenarios.cold_start(Path(where) / "data")
        try:
            keys = keys_for(running)
            _measured(running, keys, args.seconds, 99)  # warm up
            turns = []
            for number in range(args.turns):
                turns.append(turn(running, keys, args.seconds, number))
                console.print(turns[-1])
        finally:
            running.stop()
    alone, watched = ({key: median(one[key] for one in side) for key in side[0]} for side in zip(*turns, strict=True))
    ratios = {f"{key}, watched": round(watched[key] / alone[key], 3) for key in ("p50_ms", "p90_ms", "p99_ms")}
    show("alone", alone)
    show(f"{LISTENERS} watch", watched)
    show("ratios", ratios)
    if args.keep:
        figures = {"turns": turns, "alone": alone, "watched": watched, "ratios": ratios}
        keep("watchers", {"rate": RATE, "listeners": LISTENERS, **figures})


if __name__ == "__main__":
    main()
