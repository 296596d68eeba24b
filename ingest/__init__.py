"""The aiohttp gateway: authenticates, validates, appends and awaits replies; serves the read APIs.

It decides no price and stores nothing: every change goes into the log.
"""
