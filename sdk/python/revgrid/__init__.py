"""revgrid: the client of Rev. Meter what agents do, get the exact price, charge on success.

>>> from revgrid import Rev
>>> client = Rev(api_key="rg_...", base_url="https://rev.example.com")
>>> client.meter(agent_id="agent-copilot", action="completion", tokens=2400).price.total_cents
Decimal('1.22')
"""

from .client import AsyncRev, Rev
from .errors import (
    ConflictError,
    ForbiddenError,
    InvalidAnswerError,
    InvalidRequestError,
    NoAnswerError,
    NotFoundError,
    RefusedError,
    RevError,
    SignatureError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
)
from .models import (
    BatchError,
    BatchResponse,
    BatchResult,
    Deleted,
    DollarBreakdown,
    EffectivePrice,
    Event,
    EventSubject,
    MeterResponse,
    Outcome,
    Price,
    PriceBreakdown,
    PriceConfig,
    PriceLine,
    PriceStep,
    Pricing,
    QuantityRate,
    Usage,
    UsageRow,
    UsageSummary,
    Webhook,
    WebhookList,
)
from .version import __version__
from .webhooks import WebhookVerifier

__all__ = [
    "AsyncRev",
    "BatchError",
    "BatchResponse",
    "BatchResult",
    "ConflictError",
    "Deleted",
    "DollarBreakdown",
    "EffectivePrice",
    "Event",
    "EventSubject",
    "ForbiddenError",
    "InvalidAnswerError",
    "InvalidRequestError",
    "MeterResponse",
    "NoAnswerError",
    "NotFoundError",
    "Outcome",
    "Price",
    "PriceBreakdown",
    "PriceConfig",
    "PriceLine",
    "PriceStep",
    "Pricing",
    "QuantityRate",
    "RefusedError",
    "Rev",
    "RevError",
    "SignatureError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnavailableError",
    "Usage",
    "UsageRow",
    "UsageSummary",
    "Webhook",
    "WebhookList",
    "WebhookVerifier",
    "__version__",
]
