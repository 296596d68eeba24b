"""The aiohttp gateway: authenticate, validate, append, await the answer; read APIs.

No price is decided here and nothing is kept here: what changes anything goes into the log.
"""
