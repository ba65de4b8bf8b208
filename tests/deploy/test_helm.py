"""The chart: it lints, what it renders is valid Kubernetes, and holds to what an operator relies on."""

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from pipeline.broker import DEAD, FRAMES, MATCHES, PARTITIONS
from pipeline.commands.process import process
from pipeline.processor import COMMIT_AT_LAST_SECONDS, STOP_SECONDS
from pipeline.version import VERSION
from tests.commands import Vnome
from tests.deploy.chart import CASES, CHART, helm, manifests, merged, named, pod_specs, rendered, values_of
from tests.deploy.queries import DEPLOY, RULES, faults, known_metrics

VERSIONS = ("1.30", "1.37")  # the oldest that the chart takes, and the newest that is known
OPERATORS = ("keda.sh", "monitoring.coreos.com")  # whose kinds are not Kubernetes' own
EVERY = pytest.mark.parametrize("case", [path.stem for path in CASES])


@EVERY
def test_the_chart_lints(case: str) -> None:
    found = helm.lint(CHART, values_of(case), strict=True)
    assert [one for one in found["messages"] if one["error"] != "icon is recommended"] == []
    assert found["errors"] == []


@EVERY
@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_valid(case: str, version: str) -> None:
    checked = 0
    for one in manifests(values_of(case)):
        if not one["apiVersion"].startswith(OPERATORS):
            kubernetes_validate.validate(one, version, strict=True)
            checked += 1
    assert checked >= 5


def test_the_check_of_manifests_notices_a_slip() -> None:
    deployment = named(manifests(values_of("trial")), "Deployment")["matcher"]
    deployment["spec"]["template"]["spec"]["containers"][0]["portz"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="portz"):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


@EVERY
def test_names_are_used_once_and_what_is_named_is_there(case: str) -> None:
    found = manifests(values_of(case))
    names = [(one["kind"], one["metadata"]["name"]) for one in found]
    assert len(set(names)) == len(names)
    for scaler in [*named(found, "ScaledObject").values(), *named(found, "HorizontalPodAutoscaler").values()]:
        target = named(found, "Deployment")[scaler["spec"]["scaleTargetRef"]["name"].removeprefix("vnome-")]
        assert "replicas" not in target["spec"]  # or every upgrade would undo the scaling
    for ingress in named(found, "Ingress").values():
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            assert path["backend"]["service"]["name"].removeprefix("vnome-") in named(found, "Service")


@EVERY
def test_every_pod_runs_without_rights(case: str) -> None:
    for name, spec in pod_specs(manifests(values_of(case))).items():
        assert spec["automountServiceAccountToken"] is False, name
        own = spec["securityContext"]
        assert own["runAsNonRoot"] is True
        assert own["runAsUser"] == (1000 if name == "vnome-kafka" else 65532)
        assert own["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"], name
            assert "tmp" in [mount["name"] for mount in container["volumeMounts"]]
            assert {mount["name"] for mount in container["volumeMounts"]} <= {
                volume["name"] for volume in spec.get("volumes", [])
            } | {"data"}


@EVERY
def test_processes_are_probed_and_have_time_to_stop(case: str) -> None:
    specs = pod_specs([one for one in manifests(values_of(case)) if one["kind"] == "Deployment"])
    for name, spec in specs.items():
        (container,) = spec["containers"]
        paths = [container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
        assert paths == ["/healthz", "/healthz", "/readyz"]
        if "processor" in name:  # no frame that it took is left to be done again
            assert spec["terminationGracePeriodSeconds"] >= STOP_SECONDS + COMMIT_AT_LAST_SECONDS + 10
    if case == "gpu":
        probe = specs["vnome-processor-gpu"]["containers"][0]["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] == 600
        assert specs["vnome-processor-gpu"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1


@EVERY
def test_commands_know_their_options(
    case: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    vnome = Vnome(capsys)
    for name, spec in pod_specs(manifests(values_of(case))).items():
        for container in spec["containers"]:
            if container.get("command") == ["vnome"]:
                command, *arguments = container["args"]
                known = vnome(command, "--help").out
                for option in [one for one in arguments if one.startswith("--")]:
                    assert re.search(rf"{option}\b", known), f"{name}: vnome {command} has no {option}"


def test_defaults_are_those_of_the_program() -> None:
    chart, values = (yaml.safe_load((CHART / name).read_text()) for name in ("Chart.yaml", "values.yaml"))
    assert chart["appVersion"] == VERSION
    assert values["kafka"]["topics"] == {"frames": FRAMES, "dead": DEAD, "matches": MATCHES}
    assert values["kafka"]["partitions"] == PARTITIONS
    assert (process.__defaults__ or ())[0] == values["processor"]["group"]


def test_secrets_are_files_and_never_values() -> None:
    found = manifests(values_of("secured"))
    container = pod_specs(found)["vnome-processor"]["containers"][0]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["VNOME_REDIS_FILE"] == "/etc/vnome/redis/url"
    assert environment["VNOME_KAFKA_PASSWORD_FILE"] == "/etc/vnome/kafka/password"  # noqa: S105  a path
    assert environment["VNOME_KAFKA_CA"] == "/etc/vnome/kafka/ca.pem"
    assert "VNOME_KAFKA_CERT" not in environment
    (volume,) = [one for one in pod_specs(found)["vnome-processor"]["volumes"] if one["name"] == "kafka"]
    assert {item["path"] for item in volume["secret"]["items"]} == {"password", "ca.pem"}


def test_scaling_on_lag_keeps_out_of_its_traps() -> None:
    found = manifests(values_of("secured"))
    spec = named(found, "ScaledObject")["processor"]["spec"]
    lag, busy, throughput = spec["triggers"]
    assert lag["metadata"]["topic"] == FRAMES
    for name, value in {
        "excludePersistentLag": "true",
        "limitToPartitionsWithLag": "true",
        "allowIdleConsumers": "false",
        "offsetResetPolicy": "earliest",
        "sasl": "scram_sha512",
        "tls": "enable",
    }.items():
        assert lag["metadata"][name] == value
    assert all(isinstance(value, str) for trigger in spec["triggers"] for value in trigger["metadata"].values())
    assert (busy["type"], throughput["type"]) == ("cpu", "prometheus")
    assert faults([re.sub(r'namespace="[^"]*",', "", throughput["metadata"]["query"])], known_metrics()) == []
    assert spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
    login = named(found, "TriggerAuthentication")[lag["authenticationRef"]["name"].removeprefix("vnome-")]
    parameters = {one["parameter"]: one for one in login["spec"]["secretTargetRef"]}
    assert set(parameters) == {"username", "password", "ca"}
    assert parameters["username"]["name"].removeprefix("vnome-") in named(found, "Secret")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"redis": {"secret": {"name": ""}}}, "redis.secret.name is needed"),
        ({"kafka": {"bootstrapServers": []}}, "kafka.bootstrapServers is needed"),
        ({"kafka": {"secret": {"name": ""}}}, "kafka.secret.name is needed"),
        ({"kafka": {"user": ""}}, "kafka.user is needed"),
        ({"kafka": {"partitions": 32}}, "up to 33, but kafka.partitions is 32"),
        ({"processor": {"scaling": {"min": 40}}}, "scaling.min is above scaling.max"),
        ({"ingress": {"host": ""}}, "ingress.host is needed"),
        ({"edge": {"agents": [{"name": "a"}]}}, "a needs cameras or camerasSecret"),
        ({"edge": {"agents": [{"name": "a", "camerasSecret": "s"}] * 2}}, "two are named a"),
        ({"edge": {"agents": [{"name": "a", "cameras": [{"camera": "x y", "source": "s"}]}]}}, "cameras/0/camera"),
        ({"kafka": {"security": "tls"}}, "/kafka/security"),
        ({"procesor": {}}, "procesor"),
    ],
)
def test_what_cannot_be_is_refused_in_words(more: dict[str, Any], said: str) -> None:
    with pytest.raises(helm.HelmError, match=re.escape(said)):
        rendered(merged(values_of("secured"), more))


def test_pods_reach_only_what_they_need() -> None:
    policies = named(manifests(values_of("secured")), "NetworkPolicy")
    assert policies["none"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & policies["none"]["spec"].keys()
    ports = {
        name: sorted(port["port"] for rule in policy["spec"].get("egress", []) for port in rule["ports"])
        for name, policy in policies.items()
    }
    assert ports["kafka"] == [9093]
    assert ports["redis"] == [6379, 6380]
    assert ports["cameras"] == [554, 8554]
    assert ports["webhooks"] == [443, 8081]
    assert ports["names"] == [53, 53, 4318]
    assert all("to" in rule for name in ("kafka", "redis") for rule in policies[name]["spec"]["egress"])


def test_alerts_are_those_of_the_rules_files_with_links_of_ones_own() -> None:
    rule = named(manifests(values_of("secured")), "PrometheusRule")["vnome"]
    expected = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    text = yaml.safe_dump(expected).replace("deploy/README.md#", "https://wiki.example.org/vnome#")
    assert rule["spec"]["groups"] == yaml.safe_load(text)


def test_notes_tell_of_what_is_missing() -> None:
    notes = {case: rendered(values_of(case))["vnome/templates/NOTES.txt"] for case in ("phones", "trial", "secured")}
    assert "studio.enabled=true" in notes["phones"]
    assert "for trials" in notes["trial"]
    assert "https://vnome.example.org/" in notes["secured"]
    assert "No alerts" not in notes["secured"]


@pytest.mark.parametrize("path", [CHART / "Chart.yaml", CHART / "values.yaml", *CASES], ids=lambda path: path.name)
def test_yaml_is_tidy(path: Any) -> None:
    config = YamlLintConfig(file=str(DEPLOY / ".yamllint.yaml"))
    assert [f"{fault.line}: {fault.desc}" for fault in linter.run(path.read_text(), config)] == []
