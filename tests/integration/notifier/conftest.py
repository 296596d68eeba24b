"""A log of its own for each test, on a broker of the module; every notifier is gone after the test."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from notifier.testing import MemorySender
from tests.integration.notifier.site import Child, Receiver, Running, Site


@pytest.fixture
async def site(own_kafka: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(own_kafka, 2, tmp_path) as made:
        yield made


@pytest.fixture
async def running(site: Site, eventually: Callable[..., Awaitable[None]]) -> AsyncIterator[Callable[..., Any]]:
    """``await running(sender, ordinal)``: a notifier that is ready."""
    made: list[Running] = []

    async def start(sender: MemorySender | None = None, ordinal: int = 0, wait: bool = True) -> Running:
        made.append(Running(site, sender, ordinal))
        if wait:
            await eventually(made[-1].ready, 60)
        return made[-1]

    yield start
    for one in made:
        await one.stop()


@pytest.fixture
def customer() -> str:
    """A name that no other test of the module has."""
    return f"c-{secrets.token_hex(4)}"


@pytest.fixture
def child(site: Site, tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """``child(ordinal)``: a notifier in a process of its own, gone after the test."""
    made: list[Child] = []

    def start(ordinal: int = 0) -> Child:
        made.append(Child(site, tmp_path / f"notifier-{ordinal}.log", ordinal))
        return made[-1]

    yield start
    for one in made:
        one.kill()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def here(customer: str) -> str:
    """A URL that no other test has."""
    return f"https://{customer}.example/here"
