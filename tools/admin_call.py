"""Requests of commands to a gateway's admin API."""

import argparse
import json
import os
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Any

from schemas.settings import SettingError, http_url

TIMEOUT = 600
"""Seconds; a month of many customers takes a while."""


class CallFailed(Exception):
    """The gateway refuses or does not answer; the message says why."""


def add_gateway(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a gateway."""
    parser.add_argument("--url", metavar="URL", help="address of a gateway (REV_URL, else http://127.0.0.1:8080)")
    parser.add_argument("--token", metavar="TOKEN", help="the admin token (or REV_ADMIN_TOKEN)")


def admin_post(arguments: argparse.Namespace, path: str, body: Any) -> Any:
    """Return the JSON of a success, with exact numbers. Raises CallFailed, or SettingError without a token."""
    return _called(arguments, path, json.dumps(body).encode())


def admin_get(arguments: argparse.Namespace, path: str) -> Any:
    """Return the JSON of what is read, as :func:`admin_post` does."""
    return _called(arguments, path, None)


def _called(arguments: argparse.Namespace, path: str, body: bytes | None) -> Any:
    url = http_url("--url", arguments.url or os.environ.get("REV_URL") or "http://127.0.0.1:8080")
    token = arguments.token or os.environ.get("REV_ADMIN_TOKEN")
    if not token:
        raise SettingError("--token is required: the admin token (or REV_ADMIN_TOKEN)")
    request = urllib.request.Request(
        url.rstrip("/") + path,
        data=body,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            return json.loads(response.read(), parse_float=Decimal)
    except urllib.error.HTTPError as error:
        raise CallFailed(_why(error)) from error
    except OSError as error:
        raise CallFailed(f"no gateway answers at {url}: {error}") from error


def _why(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"])
    except (ValueError, KeyError, TypeError):
        return f"the gateway answered {error.code}"
