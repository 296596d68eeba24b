"""What all queues of a process share and none may use up: memory for bodies, and requests in flight.

A queue that fails may only use what leaves half to the others, so that however many black holes
there are, healthy endpoints always find room. Pure.
"""

BODIES = 64 << 20
"""Bytes of bodies in memory."""
IN_FLIGHT = 1024
"""Requests in flight."""
REFERENCES = 200_000
"""Deliveries that are waited for by reference; above it a queue that fails takes no new ones."""


class Limit:
    """``most`` units, of which queues that fail may take half."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0

    def take(self, units: int, healthy: bool) -> bool:
        """Whether they were free; then they are taken."""
        if self.used + units > (self.most if healthy else self.most // 2):
            return False
        self.used += units
        return True

    def free(self, units: int) -> None:
        self.used -= units


class ResourceLimits:
    """Of one process, shared by its partitions."""

    def __init__(self, bodies: int = BODIES, in_flight: int = IN_FLIGHT, references: int = REFERENCES) -> None:
        self.bodies = Limit(bodies)
        self.in_flight = Limit(in_flight)
        self.references = Limit(references)
