"""Putting a delivery on the wire: signed, to an address that may be sent to, within bounds.

Here is all that the notifier knows of HTTP, TLS and names. Nothing of queues, retries or topics
may come in: :class:`notifier.transport.http_sender.HttpSender` keeps the promise of notifier.sender.
"""
