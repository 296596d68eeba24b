"""What the handlers of `rev web` use. It is made once, in web.service; tests make it from fakes."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from schemas.settings import Settings
from warehouse.accounts import AccountReads
from warehouse.activity import ActivityReads
from warehouse.dashboard import DashboardReads
from warehouse.queries import Reads
from warehouse.replay import ReplayReads
from warehouse.saved_scenarios import Scenarios
from warehouse.webhook_health import WebhookHealthReads
from web.attempt_limits import AttemptLimits
from web.default_prices import DefaultPrices
from web.demo_agent import DemoAgent, DemoStats
from web.documents import Documents
from web.gateway_api import GatewayApi
from web.live_feed import LiveFeed
from web.service_probes import ServiceAddress, ServiceProbes
from web.session_cookie import SessionSigner
from web.static_files import StaticFiles
from web.templating import Templates
from web.views.system_view import Observation


@dataclass(frozen=True)
class WebSite:
    """``clock`` returns ms UTC of this process. ``ledger``: the reads of one customer, and the audit."""

    settings: Settings
    reads: DashboardReads
    ledger: Reads
    accounts: AccountReads
    activity: ActivityReads
    replay: ReplayReads
    scenarios: Scenarios
    webhooks: WebhookHealthReads
    feed: LiveFeed
    """Of pages: events as HTML."""
    events: LiveFeed
    """Of programs: events as JSON."""
    demo: DemoAgent
    demo_stats: dict[str, tuple[int, DemoStats]]
    """What the demo earned in ``24h``, and until when (ms) that is shown."""
    probes: ServiceProbes
    observations: dict[ServiceAddress, Observation]
    """What the services' counters were at the last look at the system page."""
    api: GatewayApi
    prices: DefaultPrices
    signer: SessionSigner
    limits: AttemptLimits
    """Of the owner's logins."""
    portal_limits: AttemptLimits
    """Of logins to the portal, so that these lock no owner out."""
    signups: AttemptLimits
    files: StaticFiles
    templates: Templates
    documents: Documents
    clock: Callable[[], int]

    def is_admin_token(self, given: str) -> bool:
        """True for the admin token, compared in constant time; false for anything while there is none."""
        token = self.settings.admin_token
        return bool(token) and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())
