"""/livez, /readyz and /metrics for every service but the gateway.

Contains nothing specific to a service: a callback supplies the reasons why it is not ready, and routes may be added.
"""

from collections.abc import Callable, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.listening import listen


class HealthServer:
    """An HTTP server on loopback, or on ``host``. ``ready`` returns the reasons why the service is not ready: 503 if
    there are any. ``port`` 0 starts no server; None uses any free port. ``routes``: what else it serves."""

    def __init__(
        self,
        port: int | None,
        ready: Callable[[], list[str]],
        host: str = "127.0.0.1",
        routes: Sequence[web.RouteDef] = (),
    ) -> None:
        self._routes = routes
        self.port = port or 0
        self._wanted = port != 0
        self._ready = ready
        self._host = host
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Start the server. Raises SettingError if the port is taken."""
        if not self._wanted:
            return
        app = web.Application()
        app.add_routes(
            [
                web.get("/livez", self._livez),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                *self._routes,
            ]
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
