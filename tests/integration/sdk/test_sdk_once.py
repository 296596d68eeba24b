"""Through a proxy that loses answers nothing is charged twice, whatever the call and the client."""

import json
import shutil
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import revgrid
from tests.integration.sdk.flaky import Fault, flaky
from tests.integration.sdk.here import ROOT, Here, running

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]
FAULTS: Sequence[Fault] = ("unknown", "hang up", "not forwarded", "bad gateway")
CHAT = {"agent_id": "a", "action": "chat", "tokens": 1000}


def through(url: str, key: str) -> revgrid.Rev:
    """A client that does not really pause."""
    return revgrid.Rev(api_key=key, base_url=url, sleep=lambda seconds: None)


async def ledger(here: Here, key: str, customer: str, eventually: Eventually) -> list[tuple[str, ...]]:
    """All that the ledger will ever have of what the customer did so far."""
    found: list[tuple[str, ...]] = []
    with revgrid.Rev(api_key=key, base_url=here.url) as client:

        def settled() -> bool:
            entries = here.settled(client, customer)
            found[:] = entries or []
            return entries is not None

        await eventually(settled)
    return found


async def test_a_metered_event_is_charged_once(here: Here, eventually: Eventually) -> None:
    """Recorded at the first try, whose answer was lost like two others: the same price, one entry."""
    key = here.key("sdk-once-meter")
    with flaky(here.url, *FAULTS) as proxy, through(proxy.url, key) as client:
        made = client.meter(**CHAT)  # type: ignore[arg-type]
    assert made.replayed and made.price is not None and made.price.total_cents == Decimal("0.2")
    assert proxy.forwarded == 4 and len(set(proxy.keys)) == 1 and len(proxy.keys) == 5
    assert await ledger(here, key, "sdk-once-meter", eventually) == [("event", "chat", "", "0.2")]


async def test_a_batch_is_charged_once(here: Here, eventually: Eventually) -> None:
    """Each of its events has a key made of the batch's, or its own. The try that was answered charged nothing more."""
    key = here.key("sdk-once-batch")
    with flaky(here.url, *FAULTS) as proxy, through(proxy.url, key) as client:
        made = client.meter_batch([CHAT, {**CHAT, "idempotency_key": "own"}, CHAT])
    assert [(one.replayed, one.total_cents) for one in made.results] == [(True, Decimal("0.2"))] * 3
    assert made.total_cents == 0
    assert await ledger(here, key, "sdk-once-batch", eventually) == [("event", "chat", "", "0.2")] * 3


async def test_an_outcome_is_opened_and_charged_once(here: Here, eventually: Eventually) -> None:
    """Registration and verdict through lost answers, by the async client: one opening, one charge."""
    key = here.key("sdk-once-outcome")

    async def no_pause(seconds: float) -> None:
        """Goes on at once."""

    with flaky(here.url, *FAULTS, "hang up", "unknown") as proxy:
        async with revgrid.AsyncRev(api_key=key, base_url=proxy.url, sleep=no_pause) as client:
            opened = await client.register_outcome(
                task_id="t",
                agent_id="a",
                price_on_success=Decimal("4900.5"),
                expires_at=datetime.now(UTC) + timedelta(days=1),
            )
            closed = await client.resolve_outcome(outcome_id=opened.outcome_id, outcome="success", metadata={"n": 0.5})
    assert (opened.status, closed.status, closed.charge_cents) == ("pending", "succeeded", Decimal("4900.5"))
    assert closed.evidence == {"n": 0.5} and len(set(proxy.keys)) == 2 and proxy.forwarded == 7
    kinds = [(kind, cents) for kind, _, _, cents in await ledger(here, key, "sdk-once-outcome", eventually)]
    assert kinds == [("registered", "0"), ("charge", "4900.5")]


async def test_the_javascript_client_charges_once(here: Here, eventually: Eventually) -> None:
    """The same from real node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("not run: node is absent")
    key = here.key("sdk-once-js")
    script = (
        f"import {{ Rev }} from {json.dumps((ROOT / 'sdk' / 'js' / 'index.js').as_uri())};\n"
        "const rev = new Rev({ sleep: async () => {} });\n"
        f"console.log(JSON.stringify(await rev.meter({json.dumps(CHAT)})));"
    )
    with flaky(here.url, *FAULTS) as proxy:
        command = [node, "--input-type=module", "-e", script]
        with running(command, REV_URL=proxy.url, REVGRID_API_KEY=key) as program:
            made = json.loads("".join(program.rest()))
    assert made["replayed"] is True and made["price"]["total_cents"] == 0.2
    assert proxy.forwarded == 4 and len(set(proxy.keys)) == 1
    assert await ledger(here, key, "sdk-once-js", eventually) == [("event", "chat", "", "0.2")]
