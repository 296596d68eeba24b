"""The side navigations: where a signed-in owner, and a customer in its portal, can go."""

from typing import NamedTuple


class Destination(NamedTuple):
    """One link; ``icon`` is a name in templates/icons.html."""

    label: str
    path: str
    icon: str


DESTINATIONS = (
    Destination("Overview", "/dashboard", "overview"),
    Destination("Customers", "/customers", "customers"),
    Destination("Agents", "/agents", "agents"),
    Destination("Actions", "/actions", "actions"),
    Destination("Events", "/events", "events"),
    Destination("Outcomes", "/outcomes", "outcomes"),
    Destination("Invoices", "/invoices", "invoices"),
    Destination("Webhooks", "/webhooks", "webhooks"),
    Destination("Prices", "/prices", "prices"),
    Destination("Replay", "/replay", "replay"),
    Destination("API keys", "/keys", "key"),
    Destination("Sign-ups", "/signups", "signups"),
    Destination("Audit", "/audit", "audit"),
    Destination("System", "/system", "system"),
)
REFERENCES = (Destination("Docs", "/docs", "docs"), Destination("API description", "/openapi.json", "code"))
"""Links below the others."""
PORTAL_DESTINATIONS = (
    Destination("Usage", "/portal", "overview"),
    Destination("Events", "/portal/events", "events"),
    Destination("Outcomes", "/portal/outcomes", "outcomes"),
    Destination("Invoices", "/portal/invoices", "invoices"),
    Destination("Webhooks", "/portal/webhooks", "webhooks"),
    Destination("Credit", "/portal/spending", "credit"),
    Destination("Prices", "/portal/prices", "prices"),
)
