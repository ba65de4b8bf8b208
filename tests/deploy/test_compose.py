"""The compose stack, as far as no engine is needed: its schema, what it promises, and the passwords made for it."""

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import InputError
from pipeline.secret_file import secret_of

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE, CLUSTER = DEPLOY / "compose.yaml", DEPLOY / "compose.cluster.yaml"
OPEN = {"gateway", "grafana"}
OTHERS = {"kafka": "1000:1000", "redis": "999:1000", "prometheus": "65534:65534", "grafana": "472:0"}


def document(path: Path = COMPOSE) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.fixture
def services() -> dict[str, dict[str, Any]]:
    return dict(document()["services"])


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    subprocess.run([DEPLOY / "new-secrets", tmp_path / "secrets"], check=True)
    return tmp_path / "secrets"


def test_the_files_are_as_the_specification_has_them() -> None:
    tool = Path(sys.executable).with_name("check-jsonschema")
    command = [str(tool), "--builtin-schema", "vendor.compose-spec", str(COMPOSE), str(CLUSTER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_yamllint_finds_nothing() -> None:
    tool = Path(sys.executable).with_name("yamllint")
    files = [COMPOSE, CLUSTER, DEPLOY / "monitoring" / "prometheus.yml"]
    done = subprocess.run(
        [str(tool), "--strict", "-c", str(DEPLOY / ".yamllint.yaml"), *map(str, files)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


def test_all_are_hardened(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"] == OTHERS.get(name, "65532:65532"), name
        assert service["mem_limit"], name
        assert any(entry.startswith("/tmp") for entry in service["tmpfs"]), name  # noqa: S108
        assert service["restart"] == ("no" if name == "films" else "unless-stopped"), name
        assert not service.get("privileged") and "network_mode" not in service, name


def test_only_the_gateway_and_grafana_are_open_and_on_loopback_by_default(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, service in services.items() if "ports" in service} == OPEN
    for name in OPEN:
        (port,) = services[name]["ports"]
        assert port.startswith("${VNOME_BIND:-127.0.0.1}:")
    assert document()["networks"]["data"]["internal"] is True
    for name in ("kafka", "redis", "prometheus", "processor"):
        assert services[name]["networks"] == ["data"], name


def test_no_secret_is_in_a_variable(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for variable, value in service.get("environment", {}).items():
            assert "PASSWORD" not in variable or str(value).startswith("/run/secrets/"), variable


def test_versions_of_the_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        assert tag != "latest", name
        assert re.search(r"[0-9]", tag) or service["image"].startswith("vnome:"), name


def test_who_depends_waits_for_health(services: dict[str, dict[str, Any]]) -> None:
    for name in ("gateway", "processor", "processor-gpu", "matcher", "films", "camera"):
        waits = services[name]["depends_on"]
        assert waits, name
        assert all(
            wait["condition"] in ("service_healthy", "service_completed_successfully") for wait in waits.values()
        )


def test_every_secret_is_made(secrets: Path) -> None:
    named = {
        Path(entry["file"]).name
        for path in (COMPOSE, CLUSTER)
        for entry in document(path)["secrets"].values()
    }  # fmt: skip
    assert named == {path.name for path in secrets.iterdir()}


def test_secrets_are_read_by_containers_and_by_nobody_else(secrets: Path) -> None:
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o644 for path in secrets.iterdir())
    url = secret_of("VNOME_REDIS", None, secrets / "redis_url")
    assert url is not None
    password = (secrets / "redis_password").read_text().strip()
    assert url.get_secret_value() == f"redis://:{password}@redis:6379/0"
    assert len(password) == 48
    assert password in (secrets / "redis.conf").read_text()
    assert (secrets / "kafka_password").read_text().strip() in (secrets / "kafka_jaas").read_text()
    assert password not in (secrets / "kafka_jaas").read_text()


def test_secrets_are_never_made_over_those_that_are_there(secrets: Path) -> None:
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    again = subprocess.run([DEPLOY / "new-secrets", secrets], capture_output=True, text=True, check=False)
    assert again.returncode == InputError.exit_code
    assert "is there already" in again.stderr
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before


def test_prometheus_asks_all_that_have_metrics(services: dict[str, dict[str, Any]]) -> None:
    jobs = document(DEPLOY / "monitoring" / "prometheus.yml")["scrape_configs"]
    names = {name for job in jobs for asked in job.get("dns_sd_configs", []) for name in asked["names"]}
    assert names == {name for name, service in services.items() if "--metrics" in str(service.get("command"))}


def test_the_cluster_has_three_of_each() -> None:
    services = document(CLUSTER)["services"]
    assert {name for name in services if name.startswith("kafka")} == {"kafka", "kafka-2", "kafka-3"}
    assert {name for name in services if name.startswith("redis-")} == {"redis-2", "redis-3", "redis-cluster"}
    assert {services[name]["environment"]["KAFKA_NODE_ID"] for name in ("kafka-2", "kafka-3")} == {"2", "3"}
