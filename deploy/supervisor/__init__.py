"""`rev up`: starts everything with one command, keeps it up, stops it in order, leaves nothing behind.

The supervisor does not depend on what its children do: it knows commands, addresses, pids
and whether a child answers, never an event or a price.
"""
