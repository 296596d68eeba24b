"""`rev webhooks listen`: receives this machine's webhooks and prints those that verify, for local development.

It makes an endpoint of its own through the public API, and deletes it when it ends. Nothing of
the notifier is imported here: it is a receiver like everyone else's.
"""

from tools.listen.command import configure, run

__all__ = ["configure", "run"]
