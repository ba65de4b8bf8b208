"""Which metrics and labels VNOME has, and which a PromQL expression asks for."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.metrics import Histogram, Info, MetricWrapperBase

from pipeline.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = sorted((DEPLOY / "monitoring" / "rules").glob("*.yml"))
TARGET = {"job", "instance", "le"}  # which Prometheus adds, and histograms have
FOREIGN = {"up": TARGET, "process_start_time_seconds": TARGET, "process_resident_memory_bytes": TARGET}
FOREIGN["process_cpu_seconds_total"] = TARGET
FOREIGN["ALERTS"] = {"alertname", "alertstate"}
_NAME = re.compile(r"\b(?:vnome[_:][a-z0-9_:]+|ALERTS|up|process_[a-z_]+)\b(?:\{(?P<labels>[^}]*)\})?")
_MATCHER = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"')


def rule_groups() -> list[dict[str, Any]]:
    """The groups of all rules files."""
    return [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]


def rules(kind: str) -> list[dict[str, Any]]:
    """All rules that have a field of this name, `alert` or `record`."""
    return [rule for group in rule_groups() for rule in group["rules"] if kind in rule]


def known_metrics() -> dict[str, set[str]]:
    """Labels of every series that VNOME exports or the rules record, by name."""
    known = dict(FOREIGN)
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            suffixes = ("_bucket", "_count", "_sum") if isinstance(metric, Histogram) else ("", "_total")
            known.update({metric._name + suffix: {*metric._labelnames, *TARGET} for suffix in suffixes})
        assert not isinstance(metric, Info)
    known["vnome_build_info"] = {"version", *TARGET}
    return known | {rule["record"]: {"topic", "camera", "node", *TARGET} for rule in rules("record")}


def faults(expressions: Iterable[str], known: Mapping[str, set[str]]) -> list[str]:
    """What expressions ask for that is not there."""
    found = []
    for expression in expressions:
        asked = list(_NAME.finditer(re.sub(r"\b(?:by|on|group_left) \([^)]*\)", "", expression)))
        if not asked:
            found.append(f"no metric in {expression}")
        for match in asked:
            name = match.group().partition("{")[0]
            if name not in known:
                found.append(f"no metric {name}")
                continue
            labels = set(_MATCHER.findall(match["labels"] or ""))
            found += [f"{name} has no label {label}" for label in sorted(labels - known[name])]
    return found
