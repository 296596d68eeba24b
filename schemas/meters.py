"""Usage for meters of Stripe: which meter counts what, and how far Stripe has it. Pure. Times are ms UTC."""

import re
from typing import Literal, NamedTuple

import msgspec

MAX_NAME = 100
"""Characters of a meter's event name in Stripe."""
COUNTS = ("events", "tokens", "tokens_input", "tokens_output")
"""Metrics that every event has; any other is the name of a quantity."""
_RULE = re.compile(r"([^\s=]{1,100})=([a-z][a-z0-9_]{0,63})(?::(\S{1,256}))?", re.ASCII)


class MeterRule(NamedTuple):
    """A meter of Stripe, by its event name. It counts a metric of the events of one action, empty for all."""

    event_name: str
    metric: str
    action: str

    @property
    def text(self) -> str:
        """The rule as it is written."""
        return f"{self.event_name}={self.metric}" + (f":{self.action}" if self.action else "")


class MeterRuleError(ValueError):
    """Text that is no list of rules; the message says what it must be."""


def meter_rules(text: str) -> tuple[MeterRule, ...]:
    """Return the rules of ``EVENT_NAME=METRIC[:ACTION] …``. Raises MeterRuleError.

    >>> meter_rules("tokens=tokens calls=events:chat")[1]
    MeterRule(event_name='calls', metric='events', action='chat')
    """
    rules = []
    for part in text.split():
        match = _RULE.fullmatch(part)
        if match is None:
            raise MeterRuleError(f"must be EVENT_NAME=METRIC or EVENT_NAME=METRIC:ACTION, not {part!r}")
        rules.append(MeterRule(match[1], match[2], match[3] or ""))
    if len({rule.event_name for rule in rules}) < len(rules):
        raise MeterRuleError("must name each meter once")
    return tuple(rules)


class MeterPosition(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far Stripe has the usage: all that was accepted until ``since`` and happened from ``first`` on.

    An interval is what was accepted after that until ``as_of`` (0: none is in progress), by ``rules``; Stripe has its
    first ``done`` lines. ``tried``: when those after them were first sent; 0: they were not. ``begun``: by rule, the
    accepted time after which it counts. ``due``: when it is tried again. ``generation``: of the idempotency keys.
    """

    first: int
    since: int = 0
    as_of: int = 0
    rules: tuple[str, ...] = ()
    begun: dict[str, int] = {}
    done: int = 0
    tried: int = 0
    attempts: int = 0
    due: int = 0
    generation: int = 0
    error: str = ""


class MeterLine(msgspec.Struct, frozen=True):
    """The usage of a customer in an hour by event time that an interval adds to a meter.

    ``before``: whole units that the ledger had until then; ``value`` may be negative, for what is voided.
    """

    customer_id: str
    hour: int
    rule: str
    before: int
    value: int
    since: int
    as_of: int


class RefusedMeterLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line that Stripe refused; it is sent again after each interval. ``tried``: when it may have been taken."""

    line: MeterLine
    error: str
    state: Literal["refused", "sent"] = "refused"
    tried: int = 0
