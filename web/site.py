"""What the handlers of `rev web` use. It is made once, in web.service; tests make it from fakes."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from schemas.settings import Settings
from warehouse.dashboard import DashboardReads
from warehouse.replay import ReplayReads
from web.gateway_api import GatewayApi
from web.login_limits import LoginLimits
from web.session_cookie import SessionSigner
from web.static_files import StaticFiles
from web.templating import Templates


@dataclass(frozen=True)
class WebSite:
    """``clock`` returns ms UTC of this process."""

    settings: Settings
    reads: DashboardReads
    replay: ReplayReads
    api: GatewayApi
    signer: SessionSigner
    limits: LoginLimits
    files: StaticFiles
    templates: Templates
    clock: Callable[[], int]

    def is_admin_token(self, given: str) -> bool:
        """True for the admin token, compared in constant time; false for anything while there is none."""
        token = self.settings.admin_token
        return bool(token) and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())
