"""The plan of a `rev up`: names, addresses and what each process is told."""

import random
from pathlib import Path

import pytest

from deploy.supervisor import plan
from schemas.settings import Settings, read

CLUSTER = {"REV_KAFKA": "kafka:9092", "REV_CLICKHOUSE_URL": "http://engine:8123"}


def made(tmp_path: Path, **env: str) -> tuple[plan.ProcessPlan, dict[str, int]]:
    settings: Settings = read({**CLUSTER, **env})._replace(data=tmp_path)
    names = ["http", *plan.own_ports(settings.gateways)]
    chosen = {name: 20_000 + number for number, name in enumerate(names)}
    return plan.make(settings, chosen, CLUSTER, random.Random(1)), chosen


def test_one_gateway_is_found_at_its_only_port(tmp_path: Path) -> None:
    """Nothing else listens for it, and the pages look there."""
    planned, chosen = made(tmp_path)
    assert [spec.name for spec in planned.specs] == list(plan.SERVICES) and plan.GATEWAY not in chosen
    (gateway, web, *_) = planned.specs
    assert gateway.address == planned.http == web.env["REV_GATEWAY_URL"] == "http://127.0.0.1:20000"
    assert gateway.env["REV_METRICS_PORT"] == "0"


def test_several_gateways_share_a_port_and_have_one_of_their_own(tmp_path: Path) -> None:
    """The pages ask any of them, their system page asks each, and they stop together."""
    planned, chosen = made(tmp_path, REV_GATEWAYS="3")
    gateways = [spec for spec in planned.specs if spec.name.startswith(plan.GATEWAY)]
    assert [spec.name for spec in gateways] == ["gateway", "gateway-2", "gateway-3"]
    assert [spec.name for spec in planned.specs[3:]] == list(plan.SERVICES[1:])
    assert {spec.env["REV_HTTP_PORT"] for spec in gateways} == {"20000"}
    assert [spec.address for spec in gateways] == [f"http://127.0.0.1:{chosen[spec.name]}" for spec in gateways]
    assert [spec.env["REV_METRICS_PORT"] for spec in gateways] == [str(chosen[spec.name]) for spec in gateways]
    assert [spec.env["REV_ORDINAL"] for spec in gateways] == ["0", "1", "2"]  # so each writes files of its own
    assert [spec.beside for spec in gateways] == [False, True, True]
    web = planned.specs[3]
    assert web.env["REV_GATEWAY_URL"] == "http://127.0.0.1:20000"
    told = [pair.partition("=") for pair in web.env["REV_SERVICE_URLS"].split(",")]
    assert [url for service, _, url in told if service == "gateway"] == [spec.address for spec in gateways]


def test_pages_and_invoices_wait_for_events(tmp_path: Path) -> None:
    """What prices an event and answers is as nice as the supervisor."""
    planned, _ = made(tmp_path, REV_NICENESS="7")
    assert {spec.name: spec.niceness for spec in planned.specs if spec.niceness} == {"web": 7, "collector": 7}


@pytest.mark.parametrize("name", plan.SERVICES[2:])
def test_what_is_not_for_others_is_on_loopback(tmp_path: Path, name: str) -> None:
    """Whatever address people reach."""
    planned, _ = made(tmp_path, REV_HTTP_HOST="192.0.2.1")
    (spec,) = [spec for spec in planned.specs if spec.name == name]
    assert spec.env["REV_HTTP_HOST"] == "127.0.0.1" and spec.address.startswith("http://127.0.0.1:")
    assert planned.http.startswith("http://192.0.2.1:")
