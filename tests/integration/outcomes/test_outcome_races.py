"""Many verdicts at once, beside the expiry, on the running stack: one end, one charge."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import count

import pytest

from tests.integration.outcomes.api import Answer, Api, Stack, ahead, is_past

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]
MANY = 100
AGAIN = ("not_recorded", "unknown", "reads_unavailable", "too_many_requests")
names = count()


async def definite(customer: Api, task: str, success: bool, **more: str) -> Answer:
    """The answer of a resolve that is repeated as long as there is none."""
    while True:
        answer = await customer.resolve(task, success, **more)
        if answer.status not in (202, 429, 503):
            return answer
        assert answer.status == 202 or answer.body["code"] in AGAIN, answer


async def race(customer: Api, task: str) -> list[tuple[bool, Answer]]:
    """MANY verdicts at once, half success, half failure, some with keys of their own."""
    verdicts = [number % 2 == 0 for number in range(MANY)]
    random.Random(task).shuffle(verdicts)
    keyed = [{"idempotency_key": f"{task}-{n}"} if n % 3 == 0 else {} for n in range(MANY)]
    answers = await asyncio.gather(*(definite(customer, task, v, **k) for v, k in zip(verdicts, keyed, strict=True)))
    return list(zip(verdicts, answers, strict=True))


def ended(answers: list[tuple[bool, Answer]]) -> tuple[str, Decimal]:
    """The one end that all of them tell: 200 with the same body for its verdict, 409 for everything else."""
    states = {(a.body["status"], Decimal((a.body if a.status == 200 else a.body["outcome"])["charge_cents"]))
              for _, a in answers}  # fmt: skip
    assert len(states) == 1, states
    (state,) = states
    for success, answer in answers:
        right = state[0] == ("succeeded" if success else "failed")
        assert answer.status == (200 if right else 409), (success, answer)
    assert len({str(answer.body) for _, answer in answers if answer.status == 200}) <= 1
    return state


@pytest.mark.parametrize("round", range(4))
async def test_a_hundred_verdicts_at_once_are_one(here: Stack, eventually: Eventually, round: int) -> None:
    """The first in log order wins, all others are its retries or refused; one entry closes it."""
    customer = await here.customer("race")
    task = f"race-{round}-{next(names)}"
    opened = await customer.register(task, ahead(600), price_on_failure="0.25")
    assert opened.status == 201
    status, charge = ended(await race(customer, task))
    assert charge == {"succeeded": Decimal("4900.5"), "failed": Decimal("0.25")}[status]
    await _one_closing(here, eventually, opened.body["outcome_id"], status, charge)


@pytest.mark.parametrize("wait", [0.0, 0.2, 0.5, 0.9, 1.1])
async def test_a_hundred_verdicts_beside_the_expiry_are_one(here: Stack, eventually: Eventually, wait: float) -> None:
    """Before, around and after its time: a verdict, or an expiry that nobody can undo; one entry closes it."""
    customer = await here.customer("race")
    task = f"beside-{next(names)}"
    until = ahead(1)
    opened = await customer.register(task, until, price_on_failure="0.25", on_expiry="success")
    assert opened.status == 201
    moment = ahead(wait)
    await eventually(lambda: is_past(moment))
    status, charge = ended(await race(customer, task))
    wanted = {"succeeded": Decimal("4900.5"), "failed": Decimal("0.25"), "expired": Decimal("4900.5")}
    assert charge == wanted[status]
    assert wait < 1 or status == "expired"
    await _one_closing(here, eventually, opened.body["outcome_id"], status, charge)


async def _one_closing(here: Stack, eventually: Eventually, outcome: str, status: str, charge: Decimal) -> None:
    async def closed() -> bool:
        return bool(await here.closings(outcome))

    await eventually(closed)
    ((kind, verdict, cents),) = [line.split("\t") for line in await here.closings(outcome)]
    assert (kind, verdict, Decimal(cents)) == ("charge", status, charge)
