"""`rev webhooks listen`: receives this machine's webhooks and prints those that verify, for local
development.

It creates an endpoint of its own through the public API, and deletes it when it ends. It imports nothing of
the notifier: it is a receiver like any other.
"""

from tools.listen.command import configure, run

__all__ = ["configure", "run"]
