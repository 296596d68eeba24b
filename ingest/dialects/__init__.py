"""Dialects: what the clients of other products send, as meter events.

Each dialect is a pure module and a line in ingest.dialects.catalog; the HTTP part and the way into the log are shared.
"""
