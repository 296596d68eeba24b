"""The side navigation: where a signed-in owner can go."""

from typing import NamedTuple


class Destination(NamedTuple):
    """One link; ``icon`` is a name in templates/icons.html."""

    label: str
    path: str
    icon: str


DESTINATIONS = (
    Destination("Overview", "/dashboard", "overview"),
    Destination("Replay", "/replay", "replay"),
)
REFERENCES = (Destination("API description", "/openapi.json", "code"),)
"""Links below the others."""
