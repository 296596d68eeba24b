"""The side navigation: where a signed-in owner can go."""

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
    Destination("Prices", "/prices", "prices"),
    Destination("Replay", "/replay", "replay"),
    Destination("API keys", "/keys", "key"),
    Destination("Audit", "/audit", "audit"),
)
REFERENCES = (Destination("Docs", "/docs", "docs"), Destination("API description", "/openapi.json", "code"))
"""Links below the others."""
