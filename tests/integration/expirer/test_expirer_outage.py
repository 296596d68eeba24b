"""The expirer while its broker is away."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from deploy import bootstrap
from schemas import ids
from schemas.settings import read
from tests.integration.expirer.shards import Expirer, Shard, opened

pytestmark = pytest.mark.integration

Serve = Callable[[str, Path], AbstractContextManager[tuple[dict[str, Any], Any]]]


async def test_what_fell_due_while_the_broker_was_away_is_sent_when_it_is_back(
    serve: Serve, tmp_path: Path, eventually: Callable[..., Awaitable[None]]
) -> None:
    """kill -9 of the broker: the expirer says that it is not ready, and gets over it without a
    restart of its own; what fell due meanwhile is reminded of, and what is opened then as well."""
    first, second = ids.event_id(0, 1), ids.event_id(0, 2)
    with ExitStack() as whole:
        with ExitStack() as life:
            ready, broker = life.enter_context(serve("deploy.kafka", tmp_path / "kafka"))
            address = f"127.0.0.1:{ready['port']}"
            await bootstrap.ensure(read({"REV_KAFKA": address, "REV_PARTITIONS": "1"}), "aa")
            service = Expirer(address, tmp_path, 0, {})
            whole.callback(service.process.wait)
            whole.callback(service.process.kill)
            await eventually(service.ready)
            shard = Shard(address, 0)
            await shard.start()
            due = await shard.now() + 2000
            await shard.write(opened(first, due))

            async def seen() -> bool:
                return await service.metric("rev_expirer_open", partition="0") == 1

            await eventually(seen)
            await shard.stop()
            broker.kill()
            broker.wait(30)

            async def troubled() -> bool:
                return (await service.get("/readyz"))[0] == 503

            await eventually(troubled)
        whole.enter_context(serve("deploy.kafka", tmp_path / "kafka"))
        shard = Shard(address, 0)
        await shard.start(everything=True)

        async def reminded_of_both() -> bool:
            return {sent.event_id for sent in await shard.reminders()} == {first, second}

        await shard.write(opened(second, due))
        await eventually(reminded_of_both, timeout=60)
        assert min(sent.at for sent in shard.sent) >= due
        await eventually(service.ready, timeout=60)
        await shard.stop()
