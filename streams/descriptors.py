"""How many files and sockets this process may have open: as many as it may need, if it is let.

Many systems give a process 1,024, which the connections of a gateway or the requests of a notifier alone may need.
"""

import resource

import structlog

log = structlog.get_logger("descriptors")

WANTED = 8192
"""For a notifier twice what 1,024 requests under way (each may try two addresses at once), 1,024 kept connections
and the Kafka clients of 64 partitions come to; for a gateway more connections than one process can serve."""


def raise_limit(wanted: int = WANTED) -> int:
    """Raise the soft limit to ``wanted`` or as far as the hard one lets; never lowers it. The limit as it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = raised(soft, hard, wanted)
    if limit != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit != resource.RLIM_INFINITY and limit < wanted:
        log.warning("few_descriptors", limit=limit, wanted=wanted)
    return limit


def raised(soft: int, hard: int, wanted: int) -> int:
    """The soft limit to have."""
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= wanted:
        return soft
    return wanted if hard == unlimited else max(soft, min(hard, wanted))
