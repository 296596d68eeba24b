"""What the reference's examples need: a running stack whose admin calls need no header, and a key."""

from typing import NamedTuple

from bench.running_stack import RunningStack


class OpenAdmin(NamedTuple):
    """Where the gateway is, and an API key of acme-corp."""

    url: str
    key: str
    running: RunningStack

    def customer(self, customer_id: str) -> "OpenAdmin":
        """The same stack as another customer sees it."""
        return self._replace(key=self.running.make_key(customer_id))
