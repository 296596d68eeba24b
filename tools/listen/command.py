"""Command line of `rev webhooks listen`."""

import argparse
import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from rich.console import Console
from rich.markup import escape

from schemas.deliveries import EVERY, TYPES
from schemas.settings import http_url, whole
from tools.listen.receiver import ReceivedWebhook, application

FINE, FAILED = 0, 1
HOST = "127.0.0.1"
TIMEOUT = aiohttp.ClientTimeout(total=15)
GOOD, BAD = "green", "red"


class ListenRefused(Exception):
    """Error: the gateway does not allow listening."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rev webhooks`."""
    parser.description = "Receive webhook deliveries on this machine, verify each, and print it (for development)."
    parser.add_argument("action", choices=["listen"])
    parser.add_argument(
        "--url", default=os.environ.get("REV_URL", "http://127.0.0.1:8080"), help="URL of the gateway (REV_URL)"
    )
    parser.add_argument("--key", default=os.environ.get("REV_API_KEY"), help="API key (REV_API_KEY)")
    parser.add_argument("--customer", help="with a platform key: the customer whose events are received")
    parser.add_argument(
        "--events", default=EVERY, metavar="TYPE,…", help=f"{EVERY} for all, or any of {', '.join(TYPES)}"
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 picks a free one")
    parser.add_argument("--full", action="store_true", help="print whole bodies instead of one line per delivery")


def run(args: argparse.Namespace) -> int:
    """Listen until Ctrl-C or SIGTERM. Return 1 if it could not listen. Raises SettingError for options that
    cannot be used."""
    console, errors = Console(), Console(stderr=True)
    http_url("--url", args.url)
    whole("--port", str(args.port), 0, 65535)
    if not args.key:
        errors.print("rev webhooks: --key is required (or REV_API_KEY)", style=BAD)
        return FAILED
    try:
        asyncio.run(listen(args, console))
    except (ListenRefused, OSError, aiohttp.ClientError, TimeoutError) as error:
        errors.print(f"rev webhooks: {error}", style=BAD, markup=False, soft_wrap=True)
        return FAILED
    return FINE


async def listen(args: argparse.Namespace, console: Console) -> None:
    """Receive until stopped."""
    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    secrets: list[str] = []
    app = application(lambda: secrets, lambda shown: print_event(console, shown, args.full), time.time)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, args.port).start()
        port = runner.addresses[0][1]
        async with _endpoint(args, f"http://{HOST}:{port}/") as made:
            secrets.append(made["secret"])
            words = (
                f"listening at {made['url']} as webhook {made['id']} of {escape(made['customer_id'])}; Ctrl-C ends it"
            )
            _say(console, words)
            await stop.wait()
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _endpoint(args: argparse.Namespace, url: str) -> AsyncIterator[dict[str, Any]]:
    """Create an endpoint that exists while the block runs. Raises ListenRefused."""
    headers = {"Authorization": f"Bearer {args.key}"}
    query = {"customer_id": args.customer} if args.customer else {}
    base = args.url.rstrip("/") + "/v1/webhooks"
    async with aiohttp.ClientSession(headers=headers, timeout=TIMEOUT) as session:
        body = {"url": url, "events": args.events.split(",")}
        try:
            async with session.post(base, json=body, params=query) as response:
                made = await _json(response)
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            why = error.strerror if isinstance(error, aiohttp.ClientConnectorError) else type(error).__name__
            raise ListenRefused(f"no gateway answers at {args.url} ({why}); start one, or set --url") from error
        if response.status != 201:
            hint = " (the gateway needs REV_WEBHOOK_ALLOW_PRIVATE=1)" if "url" in made.get("error", "") else ""
            raise ListenRefused(f"{response.status}: {made.get('error', 'no JSON came back')}{hint}")
        try:
            yield made
        finally:
            async with session.delete(f"{base}/{made['id']}", params=query) as response:
                if response.status != 200:
                    raise ListenRefused(f"webhook {made['id']} was not deleted: the gateway answered {response.status}")


async def _json(response: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        found = await response.json(content_type=None)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def print_event(console: Console, shown: ReceivedWebhook, full: bool) -> None:
    """Print one delivery on the terminal."""
    when = time.strftime("%H:%M:%S")
    if shown.problem is not None:
        _say(console, f"{when}  [{BAD}]not verified[/]  {escape(shown.problem)}")
        return
    _say(console, f"{when}  [{GOOD}]{escape(shown.type)}[/]  {escape(shown.event_id)}  {escape(gist(shown.body))}")
    if full:
        console.print_json(shown.body.decode(errors="replace"))


def _say(console: Console, words: str) -> None:
    """Print one line, which stays one line in a pipe too."""
    console.print(words, highlight=False, soft_wrap=True)


def gist(body: bytes) -> str:
    """Return what happened in a few words: who, what, and for how much, as far as the event has it."""
    try:
        data = json.loads(body, parse_float=str, parse_int=str)["data"]
    except (ValueError, KeyError, TypeError):
        return ""
    if not isinstance(data, dict):
        return ""
    event, price = _part(data, "event"), _part(data, "price")
    words = [
        data.get("task_id"),
        event.get("agent_id") or data.get("agent_id"),
        event.get("action") or data.get("action"),
    ]
    cents = next(
        (found for found in (price.get("total_cents"), data.get("charge_cents"), data.get("total_cents")) if found),
        None,
    )
    words += [f"{cents} cents" if cents else None, data.get("error")]
    return "  ".join(str(word) for word in words if word)


def _part(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}
