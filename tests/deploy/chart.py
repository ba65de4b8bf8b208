"""The Helm chart, linted and rendered as Helm does it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.queries import DEPLOY

CHART = DEPLOY / "helm" / "vnome"
CASES = sorted((CHART / "ci").glob("*.yaml"))
helm = pytest.importorskip("helm_python", reason="helm-python-sdk has no wheel for this machine")

Manifest = dict[str, Any]


def values_of(case: str) -> dict[str, Any]:
    """The values of a file of ci/."""
    return dict(yaml.safe_load((CHART / "ci" / f"{case}.yaml").read_text()))


def merged(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Values with others over them, as Helm merges them."""
    both = dict(values)
    for name, value in more.items():
        old = both.get(name)
        both[name] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def rendered(values: Mapping[str, Any]) -> dict[str, str]:
    """What each template gives."""
    with helm.Chart.load(CHART) as chart:
        return dict(chart.render(dict(values), name="vnome", namespace="video"))


def manifests(values: Mapping[str, Any]) -> list[Manifest]:
    """All objects that an installation makes."""
    texts = [text for name, text in rendered(values).items() if Path(name).suffix == ".yaml"]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def named(found: list[Manifest], kind: str) -> dict[str, Manifest]:
    """The objects of a kind, by name without the release's."""
    return {one["metadata"]["name"].removeprefix("vnome-"): one for one in found if one["kind"] == kind}


def pod_specs(found: list[Manifest]) -> dict[str, Manifest]:
    """The specification of every pod, by the name of what makes it."""
    specs = {}
    for one in found:
        spec = one.get("spec", {})
        if one["kind"] == "Pod":
            specs[one["metadata"]["name"]] = spec
        elif one["kind"] == "CronJob":
            specs[one["metadata"]["name"]] = spec["jobTemplate"]["spec"]["template"]["spec"]
        elif "template" in spec:
            specs[one["metadata"]["name"]] = spec["template"]["spec"]
    return specs
