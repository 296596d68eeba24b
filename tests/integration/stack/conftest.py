"""A `rev up` of this package's own, whose processes are stopped and killed by the tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from bench.running_stack import RunningStack
from tests.collector_settings import CollectorSettings
from tests.stripe_stand_in import KEY, StripeStandIn
from tests.stripe_thread import served_stripe


@pytest.fixture(scope="package")
def stripe() -> Iterator[StripeStandIn]:
    """Stripe, with a meter of the calls and one of the tokens of one action."""
    with served_stripe() as stand_in:
        stand_in.meter("calls")
        stand_in.meter("ai_tokens")
        yield stand_in


@pytest.fixture(scope="package")
def collector_settings(tmp_path_factory: pytest.TempPathFactory) -> CollectorSettings:
    return CollectorSettings(tmp_path_factory.mktemp("collector") / "settings.json")


@pytest.fixture(scope="package")
def running(
    tmp_path_factory: pytest.TempPathFactory, stripe: StripeStandIn, collector_settings: CollectorSettings
) -> Iterator[RunningStack]:
    """One `rev up` for the package, with a short append time-out so that faults show soon, in Stripe mode meter."""
    env: dict[str, Any] = {
        "REV_APPEND_TIMEOUT": "2s",
        "REV_STRIPE": "meter",
        "REV_STRIPE_KEY": KEY,
        "REV_STRIPE_URL": stripe.url,
        "REV_STRIPE_METERS": "calls=events:summarize ai_tokens=tokens:summarize",
        **collector_settings.read_by,
    }
    made = RunningStack(tmp_path_factory.mktemp("stack") / "data", env)
    try:
        made.wait_ready()
        yield made
    finally:
        made.stop()
