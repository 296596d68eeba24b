"""Limits that all queues of a process share: memory for bodies, and requests in flight.

Failing queues may use at most half of each limit, so that healthy endpoints always find room, no matter how
many endpoints never respond. Pure.
"""

BODIES = 64 << 20
"""Bytes of bodies in memory."""
IN_FLIGHT = 1024
"""Requests in flight."""
REFERENCES = 200_000
"""Deliveries held by reference; above it, failing queues take no new ones."""


class Limit:
    """Limit of ``most`` units, of which failing queues may take half."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0

    def take(self, units: int, healthy: bool) -> bool:
        """Take the units if they are free. Return whether they were."""
        if self.used + units > (self.most if healthy else self.most // 2):
            return False
        self.used += units
        return True

    def free(self, units: int) -> None:
        self.used -= units


class ResourceLimits:
    """Limits of one process, shared by its partitions."""

    def __init__(self, bodies: int = BODIES, in_flight: int = IN_FLIGHT, references: int = REFERENCES) -> None:
        self.bodies = Limit(bodies)
        self.in_flight = Limit(in_flight)
        self.references = Limit(references)
