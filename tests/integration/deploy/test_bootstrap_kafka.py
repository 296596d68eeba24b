"""Bootstrap against a broker of its own, because its topics have fixed names."""

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy import bootstrap
from schemas import commands, config, topics
from schemas.prices import DEFAULTS
from schemas.settings import Settings, read
from tests.integration.deploy.records import all_records

pytestmark = pytest.mark.integration
P = 3


@pytest.fixture(scope="module")
def settings(own_kafka: str) -> Settings:
    return read({"REV_KAFKA": own_kafka, "REV_PARTITIONS": str(P)})


async def test_a_second_run_changes_nothing_but_offers_the_prices_again(settings: Settings) -> None:
    """The epoch is written once; Genesis is offered until the pricer has shown price/1."""
    first = await bootstrap.ensure(settings, "aa")
    assert first == "aa" and await bootstrap.ensure(settings, "bb") == "aa"
    records = await all_records(settings.kafka, topics.CONFIG, 0)
    assert [(key, msgspec.json.decode(value)) for key, value in records] == [(config.EPOCH, {"epoch": "aa"})]
    offered = await all_records(settings.kafka, topics.RAW, topics.partition_of(topics.CONFIG_KEY, P))
    assert {key for key, _ in offered} == {topics.CONFIG_KEY}
    assert [commands.decode(value) for _, value in offered] == 2 * [commands.Genesis("aa", DEFAULTS)]


async def test_topics_have_the_settings_that_the_schemas_give(settings: Settings) -> None:
    """Time in rev.raw is the broker's, and only rev.replies is left out of the flush per record."""
    await bootstrap.ensure(settings, "aa")
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        (raw, replies) = [
            {row[0]: row[1] for row in (await _describe(admin, name))} for name in (topics.RAW, topics.REPLIES)
        ]
    finally:
        await admin.close()
    assert raw["message.timestamp.type"] == "LogAppendTime" and raw["flush.messages"] == "1"
    assert replies["flush.messages"] == topics.NEVER


async def _describe(admin: AIOKafkaAdminClient, name: str) -> list[tuple[str, str]]:
    response = (await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)]))[0]
    rows: list[tuple[str, str]] = response.resources[0][4]
    return rows


async def test_another_number_of_partitions_is_refused(settings: Settings) -> None:
    """Starting with a wrong REV_PARTITIONS is refused with a sentence and changes nothing."""
    await bootstrap.ensure(settings, "aa")
    with pytest.raises(bootstrap.BootstrapError, match="must have 5 partitions, not 3"):
        await bootstrap.ensure(settings._replace(partitions=5), "aa")
