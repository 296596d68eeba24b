"""The limit on open files and sockets: raised to what this process may need, where permitted.

Many systems allow a process 1,024, which a gateway's connections or a notifier's requests alone may use up.
"""

import resource

import structlog

log = structlog.get_logger("descriptors")

WANTED = 8192
"""For a notifier, twice the sum of 1,024 requests in flight (each may try two addresses at once), 1,024 kept
connections and the Kafka clients of 64 partitions. For a gateway, more connections than one process can serve."""


def raise_limit(wanted: int = WANTED) -> int:
    """Raise the soft limit to ``wanted``, or as far as the hard limit permits; never lower it. Return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = raised(soft, hard, wanted)
    if limit != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit != resource.RLIM_INFINITY and limit < wanted:
        log.warning("few_descriptors", limit=limit, wanted=wanted)
    return limit


def raised(soft: int, hard: int, wanted: int) -> int:
    """Return the soft limit to set."""
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= wanted:
        return soft
    return wanted if hard == unlimited else max(soft, min(hard, wanted))
