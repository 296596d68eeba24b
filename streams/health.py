"""/livez, /readyz and /metrics for the services that are no gateway.

Nothing of what a service does may come in here: why it is not ready is asked for.
"""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.listening import listen


class HealthServer:
    """Serves on loopback, or on ``host``. ``ready`` gives the reasons why the service is not
    ready (empty: it is; else 503). ``port`` 0 is no server at all, None any free port.
    """

    def __init__(self, port: int | None, ready: Callable[[], list[str]], host: str = "127.0.0.1") -> None:
        self.port = port or 0
        self._wanted = port != 0
        self._ready = ready
        self._host = host
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Raises SettingError when the port is taken."""
        if not self._wanted:
            return
        app = web.Application()
        app.add_routes(
            [web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await listen(self._runner, self._host, self.port, "REV_METRICS_PORT")
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        reasons = self._ready()
        return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
