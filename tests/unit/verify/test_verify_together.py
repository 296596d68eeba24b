"""Everything that moves money, together on random logs: the pricer's ledger agrees with the model of rev verify."""

from typing import Any

from hypothesis import given, settings

from tests.unit.pricer.money_steps import STEPS, log_of
from tests.unit.verify.pricer_ledger import check, rows_of


@settings(deadline=None, max_examples=40)
@given(STEPS)
async def test_the_pricer_and_the_model_agree(steps: list[tuple[int, Any]]) -> None:
    log = log_of(steps)
    found, _ = await check(log, list(rows_of(log)))
    assert found == []
