"""Probes of whether a child serves. They block, use the loopback address and run in threads."""

import asyncio
import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from deploy.kafka import broker

PATIENCE = 2.0
"""Seconds that one probe may take."""


async def kafka(port: int) -> bool:
    return await asyncio.to_thread(broker.answers, port, PATIENCE)


async def http_ok(host: str, port: int, path: str) -> bool:
    """True if a GET is answered with 200."""
    return (await asyncio.to_thread(get, host, port, path))[0] == 200


def get(host: str, port: int, path: str) -> tuple[int, str]:
    """Return the status and body of a GET; status 0 and the reason if nothing answers."""
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error) or type(error).__name__
    finally:
        connection.close()


def call(url: str, token: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Return the status and JSON of a GET, or of a POST if there is a body; raise OSError if unreachable."""
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")
