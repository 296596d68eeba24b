"""Listening on a configured address, with errors that name the setting."""

import os
import socket

from aiohttp import web

from schemas.settings import SettingError


async def listen(runner: web.BaseRunner, host: str, port: int, variable: str, *, shared: bool = False) -> web.TCPSite:
    """Serve on this address. ``shared``: other processes may serve there too, and the system divides the connections.
    Raises SettingError naming ``variable``, the setting of the port, if that fails."""
    site = web.TCPSite(runner, host, port, reuse_port=shared or None)
    try:
        await site.start()
    except OSError as error:
        # the event loops wrap the system's message in their own text
        why = error.strerror if isinstance(error, socket.gaierror) or not error.errno else os.strerror(error.errno)
        raise SettingError(
            f"cannot listen on {host}:{port} ({why}); set {variable} to a free port, REV_HTTP_HOST to an address "
            "of this machine"
        ) from error
    return site
