"""The cluster manifests, checked offline against the published schemas and our own settings."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.kafka.jars import VERSION
from schemas import settings

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"
MANIFESTS = sorted((ROOT / "deploy" / "k8s").glob("*.yaml"))
CONSUMERS = ("gateway", "pricer", "ledger", "expirer", "notifier", "collector", "web")
KUBERNETES = kubernetes_validate.latest_version()


def _documents() -> list[dict[str, Any]]:
    return [document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]


def test_compose_is_valid() -> None:
    """docker-compose.yml satisfies the compose specification."""
    # The schema is the one that check-jsonschema ships; its command line does not load beside
    # the locked click, so the file is read without importing it.
    package = importlib.util.find_spec("check_jsonschema")
    assert package is not None and package.submodule_search_locations
    vendored = Path(package.submodule_search_locations[0], "builtin_schemas", "vendor", "compose-spec.json")
    validator = jsonschema.Draft202012Validator(json.loads(vendored.read_text()))
    found = yaml.safe_load(COMPOSE.read_text())
    assert [error.message for error in validator.iter_errors(found)] == []
    assert list(validator.iter_errors({**found, "services": {"x": {"imagee": "y"}}}))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_are_valid(path: Path) -> None:
    """Every object satisfies the Kubernetes schema, without a field that it does not know."""
    found = list(yaml.safe_load_all(path.read_text()))
    assert found
    for document in found:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", CONSUMERS)
def test_each_consumer_is_scaled_alone(name: str) -> None:
    """Each service is a workload of its own; shards get an ordinal from their pod, gateways their address."""
    workloads = [
        d for d in _documents() if d["kind"] in ("Deployment", "StatefulSet") and d["metadata"]["name"] == name
    ]
    assert len(workloads) == 1
    (container,) = workloads[0]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == [name]
    own = [each["name"] for each in container.get("env", [])]
    assert own == {"gateway": ["REV_REPLY_HOST"], "web": []}.get(name, ["REV_ORDINAL"])
    assert {"livenessProbe", "readinessProbe"} <= set(container)
    assert yaml.safe_load(COMPOSE.read_text())["services"][name]["command"] == [name]


def test_only_known_settings_are_set() -> None:
    """A misspelt variable would be ignored in silence; each one set here is one that settings.read reads."""
    known = set(re.findall(r'"(REV_[A-Z_]+)"', Path(settings.__file__).read_text()))
    for path in [COMPOSE, ROOT / "deploy" / "Dockerfile", *MANIFESTS]:
        used = set(re.findall(r"\bREV_[A-Z_]+\b", path.read_text()))
        assert used <= known, f"{path.name}: {used - known}"


def test_containers_run_the_kafka_that_the_tests_run() -> None:
    """Compose and the embedded broker are the same version of Apache Kafka."""
    assert yaml.safe_load(COMPOSE.read_text())["services"]["kafka"]["image"] == f"apache/kafka:{VERSION}"


@pytest.mark.parametrize("name", CONSUMERS)
def test_probes_ask_where_the_service_answers(name: str) -> None:
    """At the port that the settings give it, for what it serves; its Service leads to the same port."""
    (config,) = [d["data"] for d in _documents() if d["kind"] == "ConfigMap"]
    found = [d for d in _documents() if d["metadata"]["name"] == name]
    (workload,) = [d for d in found if d["kind"] in ("Deployment", "StatefulSet")]
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    (port,) = container["ports"]
    setting = {"gateway": "REV_HTTP_PORT", "web": "REV_WEB_PORT"}.get(name, "REV_METRICS_PORT")
    assert str(port["containerPort"]) == config[setting]
    probes = {kind: container[kind]["httpGet"] for kind in ("livenessProbe", "readinessProbe")}
    assert probes == {
        "livenessProbe": {"path": "/livez", "port": port["name"]},
        "readinessProbe": {"path": "/readyz", "port": port["name"]},
    }
    (service,) = [d["spec"] for d in found if d["kind"] == "Service"]
    assert [each["targetPort"] for each in service["ports"]] == [port["name"]]
    assert service["selector"] == workload["spec"]["selector"]["matchLabels"]


def test_the_image_holds_every_package() -> None:
    """What is installed editable must have been copied."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert sorted(copied) == sorted(name.rstrip("*") for name in packages)
