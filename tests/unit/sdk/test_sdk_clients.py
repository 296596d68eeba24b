"""Rev and AsyncRev: the same calls, driven on a thread and on an event loop."""

import asyncio
import inspect
import threading
from typing import Any

import pytest

import revgrid
from revgrid.exchange import Came, Send
from tests.unit.sdk.scripted import BROKEN, METERED, Wire, answer, refused

METHODS = [name for name in vars(revgrid.Rev) if not name.startswith("_") and name != "close"]
EVENT: dict[str, Any] = {"agent_id": "a", "action": "chat"}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REV_URL", "REVGRID_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_both_clients_have_the_same_methods() -> None:
    """With the same parameters and words; those of AsyncRev are coroutines."""
    assert len(METHODS) == 20 and set(METHODS) == {
        name for name in vars(revgrid.AsyncRev) if not name.startswith("_") and name != "aclose"
    }
    for name in METHODS:
        one, other = getattr(revgrid.Rev, name), getattr(revgrid.AsyncRev, name)
        assert inspect.signature(one) == inspect.signature(other) and one.__doc__ == other.__doc__ != None  # noqa: E711
        assert one.__name__ == name and not inspect.iscoroutinefunction(one) and inspect.iscoroutinefunction(other)


def test_a_signature_tells_what_comes_back() -> None:
    """help() shows the parameters and the model, not how the call is built."""
    shown = inspect.signature(revgrid.Rev(api_key="rg_x").meter)
    assert "agent_id" in shown.parameters and "self" not in shown.parameters
    assert shown.return_annotation == "MeterResponse"


def test_a_misspelt_field_is_refused_here() -> None:
    """As with any Python function."""
    with revgrid.Rev(api_key="rg_x") as client, pytest.raises(TypeError, match="tokens_ouput"):
        client.meter(agent_id="a", action="b", tokens_ouput=1)  # type: ignore[call-arg]


def test_the_client_pauses_between_its_tries() -> None:
    """It sleeps what the retry rule says, and sends the same again."""
    wire, slept = Wire(BROKEN, refused(503, "unknown", Retry_After="1"), answer(201, METERED)), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)

    with revgrid.Rev(api_key="rg_x", transport=wire, sleep=sleep) as client:
        assert client.meter(**EVENT).event_id == 42
    assert slept == list(wire.pauses) and len(slept) == 2 and slept[1] > 1
    [key] = set(wire.sent_keys)
    assert key is not None and len(key) == 36
    assert wire.sent[0].headers["Authorization"] == "Bearer rg_x"
    assert wire.sent[0].headers["User-Agent"] == f"revgrid-python/{revgrid.__version__}"


async def test_the_async_client_awaits_its_pauses() -> None:
    """The same, without holding the event loop or a thread meanwhile."""
    wire, slept = Wire(BROKEN, refused(503, "unknown"), answer(201, METERED), refused(401)), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with revgrid.AsyncRev(api_key="rg_x", transport=wire, sleep=sleep, new_key=lambda: "k") as client:
        assert (await client.meter(**EVENT)).event_id == 42
        with pytest.raises(revgrid.UnauthorizedError):
            await client.usage()
    assert len(slept) == 2


async def test_async_requests_are_under_way_at_once_up_to_the_limit() -> None:
    """Four calls with in_flight=2: two are sent, and the others as soon as those are answered."""
    arrived, going = threading.Semaphore(0), threading.Event()
    most, now, lock = 0, 0, threading.Lock()

    def transport(send: Send) -> Came:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        arrived.release()
        assert going.wait(30)
        with lock:
            now -= 1
        return answer(201, METERED)

    async with revgrid.AsyncRev(api_key="rg_x", transport=transport, in_flight=2) as client:
        tasks = [asyncio.create_task(client.meter(**EVENT)) for _ in range(4)]
        for _ in range(2):
            assert await asyncio.to_thread(arrived.acquire, timeout=30)
        going.set()
        assert [one.event_id for one in await asyncio.gather(*tasks)] == [42] * 4
    assert most == 2


def test_the_url_and_the_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments win, then REV_URL and REVGRID_API_KEY, then the embedded gateway's address."""
    assert revgrid.Rev(api_key="rg_x").base_url == "http://127.0.0.1:8080"
    monkeypatch.setenv("REV_URL", "https://rev.example.com/base/")
    monkeypatch.setenv("REVGRID_API_KEY", "rg_env")
    wire = Wire(answer(201, METERED))
    client = revgrid.Rev(transport=wire)
    client.meter(**EVENT)
    assert client.base_url == "https://rev.example.com/base"
    assert wire.sent[0].headers["Authorization"] == "Bearer rg_env"
    assert revgrid.Rev(base_url="http://h:1").base_url == "http://h:1"
    assert "rg_env" not in repr(client)


@pytest.mark.parametrize("key", [None, "", "rg_x\n", "rg x", "rg_é"])
def test_a_key_that_cannot_be_one_is_told_at_once(key: str | None) -> None:
    """Missing, or with the line break of the file that it was read from; the message does not repeat it."""
    with pytest.raises(ValueError, match="api_key") as raised:
        revgrid.Rev(api_key=key)
    assert not key or key not in str(raised.value)


@pytest.mark.parametrize("url", ["rev.example.com", "ftp://x", "http://", "http://h/?q", "http://h/#f"])
def test_a_url_that_cannot_be_one_is_told_at_once(url: str) -> None:
    """Only http(s)://host, a port and a path."""
    with pytest.raises(ValueError, match="base_url"):
        revgrid.Rev(api_key="rg_x", base_url=url)


def test_a_verifier_needs_no_connection() -> None:
    """It is made with the endpoint's secret alone."""
    with pytest.raises(ValueError, match="signature"):
        revgrid.Rev(api_key="rg_x").webhook_verifier(secret="whsec_x").verify(b"", "")
