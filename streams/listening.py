"""Listening where a person has said; what the system says of it in the person's words."""

import os
import socket

from aiohttp import web

from schemas.settings import SettingError


async def listen(runner: web.BaseRunner, host: str, port: int, variable: str) -> web.TCPSite:
    """Serve there. Raises SettingError naming ``variable``, which the port is from, where that cannot be."""
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        # the loops put words of their own around the system's
        why = error.strerror if isinstance(error, socket.gaierror) or not error.errno else os.strerror(error.errno)
        raise SettingError(
            f"cannot listen on {host}:{port} ({why}); set {variable} to a free port, REV_HTTP_HOST to an address "
            "of this machine"
        ) from error
    return site
