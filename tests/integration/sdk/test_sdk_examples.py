"""The SDK examples of the reference documents, as they stand there, against a running stack.

`examples/` holds their text, odd letters included; the text dump had joined the lines of the Python
ones, which are given back. tests/integration/sdk/here.py says what is substituted.
"""

import json
import re
import shutil
from collections.abc import Awaitable, Callable

import pytest

import revgrid
from schemas.signing import hex_signature
from tests.integration.sdk.here import ROOT, Here, Program, example, python, running

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]
PAUSE = "# ... agent runs the task ...\n"
STEP_2 = "// Step 2"
WAIT_HERE = "print(flush=True); input()\n"


def client_of(here: Here, key: str) -> revgrid.Rev:
    return revgrid.Rev(api_key=key, base_url=here.url)


async def test_the_quickstart(here: Here, eventually: Eventually) -> None:
    """It prints the price of 2,000 tokens and the week's total, which holds that price a second later."""
    key = here.key("sdk-quickstart")
    with python(here, example("quickstart", key)) as program:
        charged, total = program.rest()
    event = re.fullmatch(r"Charged 1\.1ยข \(event_id=(\d+)\)", charged)
    assert event and re.fullmatch(r"\$0\.0[01] this week", total)
    with client_of(here, key) as client:
        await eventually(lambda: client.usage(period="7d").summary.total_events == 1)
        assert str(client.usage(period="7d").summary.total_cents) == "1.1"
        assert client.event(int(event[1])).status == "priced"


def sums(client: revgrid.Rev) -> list[str]:
    """Cents in total, of them charged by outcomes, and still pending."""
    summary = client.usage().summary
    return [str(cents) for cents in (summary.total_cents, summary.charge_cents, summary.pending_cents)]


def test_the_async_client(here: Here) -> None:
    """It prints the price of a tool call with 500 tokens."""
    with python(here, example("async", here.key("sdk-async"))) as program:
        assert program.rest() == ["1.1"]


async def test_the_outcome_is_charged_after_its_success(here: Here, eventually: Eventually) -> None:
    """While the agent runs the task nothing is charged; after the verdict $5 are, once."""
    key = here.key("sdk-outcomes")
    text = example("outcomes", key)
    assert text.count(PAUSE) == 1
    with client_of(here, key) as client:
        with python(here, text.replace(PAUSE, PAUSE + WAIT_HERE)) as program:
            assert program.says() == ""
            await eventually(lambda: client.usage().summary.pending_cents == 500)
            assert client.outcome("task-abc-123").status == "pending"
            assert client.usage().summary.charge_cents == 0
            assert [entry[0] for entry in here.entries("sdk-outcomes")] == ["registered"]
            program.tell()
            assert program.rest() == ["Status: succeeded, charged: 500ยข"]
        await eventually(lambda: client.usage().summary.charge_count == 1)
        assert sums(client) == ["500", "500", "0"]
        assert here.entries("sdk-outcomes")[1:] == [("charge", "outcome_charge", "succeeded", "500")]
        closed = client.outcome("task-abc-123")
        assert closed.evidence == {"url": "https://proof.example.com"} and closed.charge_cents == 500


def test_the_webhook_is_made_and_its_signatures_verified(here: Here) -> None:
    """handle_webhook passes what Rev signs with that secret, and raises ValueError on anything else."""
    key = here.key("sdk-webhooks")
    around = (
        "\nimport json, sys\n"
        "for line in sys.stdin:\n"
        "    body, signature = json.loads(line)\n"
        "    try: handle_webhook(body.encode(), signature); print('received', flush=True)\n"
        "    except ValueError: print('refused', flush=True)\n"
    )
    with python(here, example("webhooks", key) + around) as program:
        told = re.fullmatch(r"Webhook secret: (whsec_\S+)", said := program.says())
        assert told, said
        body = '{"type":"meter.created","data":{"ü":1}}'
        for signature, becomes in (
            (hex_signature(told[1], body.encode()), "received"),
            (hex_signature("whsec_QUJD", body.encode()), "refused"),
            (None, "refused"),
        ):
            program.tell(json.dumps([body, signature]))
            assert program.says() == becomes
        program.rest()
    with client_of(here, key) as client:
        [webhook] = client.webhooks().webhooks
        assert webhook.url == "https://yourapp.com/webhooks/revgrid" and webhook.secret is None
        assert webhook.events == ("meter.created", "outcome.succeeded") and webhook.active
        assert client.delete_webhook(webhook.id) == revgrid.Deleted(True, webhook.id)
        assert client.webhooks().webhooks == ()


async def test_the_guides_bonus_is_charged_by_step_2(here: Here, eventually: Eventually) -> None:
    """In real node: step 1 charges the e-mail's base fee alone, step 2 the bonus of $5."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("not run: node is absent")
    key = here.key("sdk-guide")
    first, second = example("guide_two_steps", key).split(STEP_2)
    script = (
        f"import {{ Rev }} from {json.dumps((ROOT / 'sdk' / 'js' / 'index.js').as_uri())};\n"
        "const revgrid = new Rev();\n"
        f"{first}\nconsole.log(outcome_id);\n"
        "await new Promise((told) => process.stdin.once('data', told)); process.stdin.destroy();\n"
        f"{STEP_2}{second}"
    )
    command = [node, "--input-type=module", "-e", script]
    with client_of(here, key) as client:
        with running(command, REV_URL=here.url, REVGRID_API_KEY=key) as program:
            await _step_by_step(here, client, program, eventually)
        await eventually(lambda: client.usage().summary.charge_count == 1)
        assert sums(client) == ["501", "500", "0"]


async def _step_by_step(here: Here, client: revgrid.Rev, program: Program, eventually: Eventually) -> None:
    outcome_id = program.says()
    assert re.fullmatch(r"oc_\d+", outcome_id), program.rest()
    await eventually(lambda: client.usage().summary.total_events == 1)
    assert sums(client) == ["1", "0", "500"] and client.usage().summary.charge_count == 0
    assert client.outcome(outcome_id).status == "pending"
    program.tell()
    assert program.rest() == []
    closed = client.outcome(outcome_id)
    assert closed.status == "succeeded" and closed.charge_cents == 500
    assert closed.evidence is not None and closed.evidence["reply_received"] is True
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", closed.evidence["reply_at"])
