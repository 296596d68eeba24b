"""What the reference's examples need: a running stack whose admin calls need no header, and a key."""

from typing import NamedTuple


class OpenAdmin(NamedTuple):
    """Where the gateway is, and an API key of acme-corp."""

    url: str
    key: str
