"""The formats that cross a process boundary: structs, topics and keys, money, ids, limits, settings.

No I/O, no clock and no randomness belong here, and nothing of any service: every service imports
this package and this package imports none of them.
"""
