"""Prometheus' rules: they are well formed, ask for what there is, fire when they should, and lead to the runbook."""

import re
import shutil
import subprocess

import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from tests.conftest import skip_or_fail
from tests.deploy.queries import DEPLOY, RULES, faults, known_metrics, rules

MONITORING = DEPLOY / "monitoring"
TESTS = sorted((MONITORING / "tests").glob("*.yml"))
SEVERITIES = {"warning", "critical"}


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if program is None:
        skip_or_fail("promtool", "no promtool on this machine; apt-get install prometheus")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def test_rules_are_well_formed() -> None:
    checked = promtool("check", "rules", *map(str, RULES))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alerts_fire_when_they_should_and_not_else() -> None:
    tested = promtool("test", "rules", *map(str, TESTS))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_shown_to_fire() -> None:
    shown = {
        case["alertname"]
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test.get("alert_rule_test", [])
        if case["exp_alerts"]
    }
    assert shown == {rule["alert"] for rule in rules("alert")}


def test_rules_ask_for_what_there_is() -> None:
    assert faults([rule["expr"] for rule in [*rules("alert"), *rules("record")]], known_metrics()) == []


def test_what_is_not_there_is_told() -> None:
    asked = ['rate(vnome_framez_total[5m])', 'vnome_drops_total{kamera="x"}', "1 + 1"]  # fmt: skip
    assert faults(asked, known_metrics()) == [
        "no metric vnome_framez_total", "vnome_drops_total has no label kamera", "no metric in 1 + 1",
    ]  # fmt: skip


@pytest.mark.parametrize("rule", rules("alert"), ids=lambda rule: str(rule["alert"]))
def test_every_alert_leads_to_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    notes = rule["annotations"]
    assert rule["labels"]["severity"] in SEVERITIES
    assert set(notes) == {"summary", "description", "runbook_url"}
    page, _, anchor = notes["runbook_url"].partition("#")
    assert page == "deploy/README.md"
    headings = re.findall(r"^#+ (.+)$", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    assert anchor in [heading.strip().lower().replace(" ", "-") for heading in headings]
    assert anchor == str(rule["alert"]).lower()


PROVISIONING = sorted((MONITORING / "grafana").glob("provisioning/*/*.yml"))


@pytest.mark.parametrize("path", [*RULES, *TESTS, *PROVISIONING], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_yaml_is_tidy(path: object) -> None:
    config = YamlLintConfig(file=str(DEPLOY / ".yamllint.yaml"))
    text = (MONITORING / str(path)).read_text()
    assert [f"{fault.line}: {fault.desc}" for fault in linter.run(text, config)] == []
