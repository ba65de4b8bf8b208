"""Grafana's dashboards: committed as they are built, laid out, and asking for what there is."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from pipeline.metrics import Metrics
from tests.conftest import skip_or_fail
from tests.deploy.queries import DEPLOY, faults, known_metrics, rules

GRAFANA = DEPLOY / "monitoring" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
EACH = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_dashboards", GRAFANA / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def dashboard(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def expressions(page: dict[str, Any]) -> list[str]:
    """All PromQL of a page, with Grafana's variables filled in."""
    asked = [target["expr"] for panel in page["panels"] for target in panel["targets"]]
    asked += [one["expr"] for one in page["annotations"]["list"]]
    return [expr.replace("$__rate_interval", "1m").replace("$camera", "lobby") for expr in asked]


def test_the_files_are_what_the_script_makes() -> None:
    assert builder().documents() == {path.name: path.read_text() for path in FILES}


def test_there_are_the_four() -> None:
    assert [path.stem for path in FILES] == ["camera", "fleet", "index", "phones"]
    assert len({dashboard(path)["uid"] for path in FILES}) == 4


@EACH
def test_dashboards_ask_for_what_there_is(path: Path) -> None:
    assert faults(expressions(dashboard(path)), known_metrics()) == []


@EACH
def test_dashboards_speak_promql(path: Path, tmp_path: Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        skip_or_fail("promtool", "no promtool on this machine; apt-get install prometheus")
    group = [{"record": f"x:{k}", "expr": expr} for k, expr in enumerate(expressions(dashboard(path)))]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "x", "rules": group}]}))
    checked = subprocess.run(
        [program, "check", "rules", "--lint=none", tmp_path / "rules.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@EACH
def test_panels_are_laid_out_without_overlap(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(path)["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        taken |= cells


def test_grafana_is_provided_with_them() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert [one["type"] for one in sources] == ["prometheus"]
    providers = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "vnome.yml").read_text())["providers"]
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["grafana"]
    mounted = dict(volume.split(":")[:2] for volume in service["volumes"])
    assert mounted["./monitoring/grafana/dashboards"] == providers[0]["options"]["path"]
    assert mounted["./monitoring/grafana/provisioning"] == "/etc/grafana/provisioning"


def test_every_metric_is_shown_or_alerted_on() -> None:
    asked = [expr for path in FILES for expr in expressions(dashboard(path))]
    text = " ".join([*asked, *(rule["expr"] for kind in ("alert", "record") for rule in rules(kind))])
    names = [metric._name for metric in vars(Metrics()).values() if isinstance(metric, MetricWrapperBase)]
    assert len(names) > 20
    assert [name for name in names if name not in text] == []
