"""Putting a delivery on the wire: signed, to an address that may be sent to, within bounds.

Here is all that the notifier knows of HTTP, TLS and names. Nothing of lanes, retries or topics
may come in: :class:`notifier.transport.sender.HttpSender` keeps the promise of notifier.sending.
"""
