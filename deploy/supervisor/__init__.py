"""`rev up`: starts everything in one go, keeps it up, stops it in order, leaves nothing behind.

Nothing of what the children do may come in here: the supervisor knows commands, addresses,
pids and whether somebody answers, never an event or a price.
"""
