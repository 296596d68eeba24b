"""The steps that a price has for a quantity, or for the count of events, in a month. Pure.

A step holds up to a count of the customer's billing period (schemas.billing_anchors, by accepted time); the last one
has no end. Graduated: what an event uses beyond a step is charged at the next one. Volume: the whole month is charged
at the step that it reaches; until its close every event is charged at the first one.
"""

from typing import Literal

import msgspec

TierMode = Literal["graduated", "volume"]
MAX_STEPS = 32
"""Maximum steps of one quantity."""


class Step(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """``rate`` cents for every ``per`` units, up to a count of the month (canonical text; None is without end)."""

    up_to: str | None
    rate: str
    per: int = 1


class Tiers(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The steps of one quantity, or of ``event``, by ``up_to``."""

    name: str
    steps: tuple[Step, ...]
