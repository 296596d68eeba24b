"""REV_UNKNOWN_CUSTOMERS=refuse: what names a customer that nobody made is refused, and only that."""

from typing import Any

import pytest

from schemas.commands import Meter, decode
from schemas.settings import Settings
from tests.unit.ingest.dialects.test_refusals import OPENMETER, PAID, cloud


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings._replace(unknown_customers="refuse")


def metered(gateway: Any) -> list[Meter]:
    return [command for value in gateway.log.values() if isinstance(command := decode(value), Meter)]


async def test_nothing_is_recorded_where_a_request_is_all_or_nothing(gateway: Any, key: str) -> None:
    platform = await gateway.make_key("*")
    answer = await gateway.call("POST", OPENMETER, [cloud(), cloud(id="2", subject="nobody")], platform)
    assert (answer.status, "events[1]: subject 'nobody' does not exist" in answer.json["detail"]) == (400, True)
    assert metered(gateway) == []


async def test_the_others_are_recorded_where_a_response_counts_failures(gateway: Any, key: str) -> None:
    platform = await gateway.make_key("*")
    signals = [
        {"eventName": "chat", "customer": {"externalCustomerId": customer}, "idempotencyKey": customer}
        for customer in ("nobody", "acme-corp", "no-one")
    ]
    answer = await gateway.call("POST", PAID, {"signals": signals}, platform)
    assert (answer.json["ingested"], answer.json["failed"]) == (1, 2)
    assert [command.customer_id for command in metered(gateway)] == ["acme-corp"]
