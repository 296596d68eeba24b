"""Sends a delivery over HTTP: signed, to an allowed address, within limits.

All that the notifier knows of HTTP, TLS and DNS is here; queues, retries and topics do not belong here.
:class:`notifier.transport.http_sender.HttpSender` implements the protocol of notifier.sender.
"""
