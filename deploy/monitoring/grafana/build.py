"""Grafana's dashboards: `python deploy/monitoring/grafana/build.py` writes dashboards/*.json, which are committed."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
LINE = 200  # of the files
RATE = "[$__rate_interval]"
FIRING = 'ALERTS{alertname=~"Vnome.*",alertstate="firing"}'
GOOD, SOSO, BAD = "green", "orange", "red"

Json = dict[str, Any]
Query = tuple[str, str]  # PromQL, legend


@dataclass(frozen=True)
class Panel:
    """One panel. kind: of Grafana's. soso, bad: from where on it is orange, red. stacked: areas on each other."""

    title: str
    queries: list[Query]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    about: str = ""
    soso: float | None = None
    bad: float | None = None
    stacked: bool = False

    def document(self, number: int, x: int, y: int) -> Json:
        """As Grafana wants it."""
        steps: list[Json] = [{"color": GOOD, "value": None}]
        steps += [{"color": color, "value": at} for color, at in ((SOSO, self.soso), (BAD, self.bad)) if at is not None]
        custom: Json = {}
        options: Json = {}
        if self.kind == "timeseries":
            custom = {"fillOpacity": 25 if self.stacked else 5, "showPoints": "never", "lineWidth": 1}
            custom |= {"stacking": {"mode": "normal" if self.stacked else "none"}}
            if len(steps) > 1:
                custom["thresholdsStyle"] = {"mode": "dashed"}
            options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
        elif self.kind == "state-timeline":
            steps = [{"color": BAD, "value": None}, {"color": GOOD, "value": 1}]
        elif self.kind == "stat":
            options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.about,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [
                {"refId": chr(ord("A") + k), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
                for k, (expr, legend) in enumerate(self.queries)
            ],
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "min": None if self.kind == "state-timeline" else 0,
                    "custom": custom,
                    "thresholds": {"mode": "absolute", "steps": steps},
                    "color": {"mode": "palette-classic" if self.kind == "timeseries" else "thresholds"},
                },
                "overrides": [],
            },
            "options": options,
        }


@dataclass(frozen=True)
class Dashboard:
    """A page of panels, laid out from left to right. variables: name to the query of its values."""

    name: str
    title: str
    panels: list[Panel]
    variables: dict[str, str] = field(default_factory=dict)

    def document(self) -> Json:
        """As Grafana imports it."""
        return {
            "uid": f"vnome-{self.name}",
            "title": self.title,
            "tags": ["vnome"],
            "editable": False,
            "graphTooltip": 1,
            "refresh": "10s",
            "schemaVersion": 39,
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "links": [
                {"type": "dashboards", "tags": ["vnome"], "asDropdown": False, "keepTime": True, "title": "VNOME"}
            ],
            "annotations": {"list": [_alerts()]},
            "templating": {"list": [_source_choice(), *(_choice(*one) for one in self.variables.items())]},
            "panels": self._laid_out(),
        }

    def _laid_out(self) -> list[Json]:
        x = y = height = 0
        documents = []
        for number, panel in enumerate(self.panels, 1):
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            documents.append(panel.document(number, x, y))
            x, height = x + panel.width, max(height, panel.height)
        return documents


def _alerts() -> Json:
    return {
        "name": "alerts",
        "datasource": SOURCE,
        "enable": True,
        "expr": FIRING,
        "iconColor": BAD,
        "titleFormat": "{{alertname}}",
        "textFormat": "{{camera}}{{instance}}{{node}}{{reason}}",
    }


def _source_choice() -> Json:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _choice(name: str, query: str) -> Json:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "values"},
        "refresh": 2,
        "sort": 1,
    }


def per_second(metric: str, by: str, where: str = "") -> str:
    """The rate of a counter, summed over everything but `by`."""
    selector = f"{metric}{{{where}}}" if where else metric
    return f"sum by ({by}) (rate({selector}{RATE}))" if by else f"sum(rate({selector}{RATE}))"


def quantiles(histogram: str) -> list[Query]:
    """The usual three of a histogram."""
    inner = f"sum by (le) (rate({histogram}_bucket{RATE}))"
    return [(f"histogram_quantile({share}, {inner})", f"p{round(share * 100)}") for share in (0.5, 0.95, 0.99)]


def stat(title: str, expr: str, unit: str = "short", **more: Any) -> Panel:
    """One figure."""
    return Panel(title, [(expr, "")], unit, "stat", 4, 4, **more)


def burn(title: str, name: str, about: str) -> Panel:
    """How fast the allowance of an objective is used up, over several windows."""
    queries = [(f"vnome:{name}:slow_ratio_rate{window} / 0.01", window) for window in ("5m", "30m", "1h", "6h")]
    return Panel(title, queries, about=about, soso=6, bad=14.4)


def processes(jobs: str) -> list[Panel]:
    """What processes take of their machines."""
    where = f'job=~"{jobs}"'
    busy = per_second("process_cpu_seconds_total", "job, instance", where)
    return [
        Panel("CPU", [(busy, "{{job}} {{instance}}")], about="Cores in use."),
        Panel("Memory", [(f"process_resident_memory_bytes{{{where}}}", "{{job}} {{instance}}")], "bytes"),
    ]


def fleet() -> Dashboard:
    """From the cameras to codes, and the processes."""
    busy = f"sum by (stage) (rate(vnome_stage_seconds_sum{RATE}))"
    runs = f"sum by (stage) (rate(vnome_stage_seconds_count{RATE}))"
    ready = [("vnome_ready", "{{job}} {{instance}}")]
    return Dashboard(
        "fleet",
        "VNOME: fleet",
        [
            stat("Alerts", f"count({FIRING}) or vector(0)", bad=1),
            stat("Not ready", "count(vnome_ready == 0) or vector(0)", soso=1),
            stat("Cameras", 'count(sum by (camera) (rate(vnome_frames_total{outcome="coded"}[5m])) > 0) or vector(0)'),
            stat("Coded", "vnome:coded:rate5m", "cps", about="Frames a second, over all cameras."),
            stat("Wait to be coded", "sum(vnome:consumer_lag:sum)", soso=500, bad=5000),
            stat("Dead letters, 24 h", "sum(increase(vnome_dead_letters_total[24h]))", soso=1),
            Panel(
                "Frames a second",
                [
                    (per_second("vnome_frames_total", "outcome"), "{{outcome}}"),
                    (per_second("vnome_drops_total", ""), "dropped"),
                ],
                "cps",
            ),
            Panel("Lag", [("max by (topic, partition) (vnome_consumer_lag)", "{{topic}} {{partition}}")], stacked=True),
            Panel("From capture to code", quantiles("vnome_capture_to_code_seconds"), "s", soso=1),
            burn("Objective: codes within 1 s", "capture_to_code", "1: the month's allowance lasts the month."),
            Panel("A batch in each stage", [(f"{busy} / {runs}", "{{stage}}")], "s"),
            Panel("Stages at work", [(busy, "{{stage}}")], about="Threads busy; the slowest stage sets the pace."),
            Panel(
                "Frames a batch",
                [(f"sum(rate(vnome_batch_frames_sum{RATE})) / sum(rate(vnome_batch_frames_count{RATE}))", "mean")],
            ),
            Panel("Batches in work", [("vnome_queue_depth", "{{job}} {{instance}} {{queue}}")]),
            Panel("Dead letters", [("sum by (reason) (increase(vnome_dead_letters_total[5m]))", "{{reason}}")]),
            Panel("Dropped by the agents", [(per_second("vnome_drops_total", "reason"), "{{reason}}")], "cps"),
            Panel("New attempts to connect", [("sum by (what) (increase(vnome_reconnects_total[5m]))", "{{what}}")]),
            Panel("Match events", [(per_second("vnome_match_events_total", "event"), "{{event}}")], "cps"),
            Panel(
                "Events handed on",
                [(per_second("vnome_deliveries_total", "relay, outcome"), "{{relay}} {{outcome}}")],
                "cps",
            ),
            *processes(".+"),
            Panel("Ready", ready, kind="state-timeline", width=24, height=8, about="1: it can work."),
        ],
    )


def camera() -> Dashboard:
    """One camera, or some."""
    mine = 'camera=~"$camera"'
    coded = f'outcome="coded",{mine}'
    dropped = f"vnome:camera_drops:ratio_rate5m{{{mine}}}"
    return Dashboard(
        "camera",
        "VNOME: one camera",
        [
            stat("Coded", per_second("vnome_frames_total", "", coded), "cps"),
            stat("Dropped", f"max({dropped}) or vector(0)", "percentunit", soso=0.05, bad=0.2),
            stat("Frames, 24 h", f"sum(increase(vnome_frames_total{{{coded}}}[24h]))"),
            stat("On their way", f"sum(vnome_inflight_bytes{{{mine}}})", "bytes", soso=1_500_000),
            Panel(
                "Frames a second",
                [(per_second("vnome_frames_total", "camera, outcome", mine), "{{camera}} {{outcome}}")],
                "cps",
                width=12,
                about="sent: Kafka has them; coded: Redis has their codes; duplicate: read again after a restart.",
            ),
            Panel(
                "Dropped, by reason",
                [(per_second("vnome_drops_total", "camera, reason", mine), "{{camera}} {{reason}}")],
                "cps",
                width=12,
            ),
            Panel(
                "Share that is dropped",
                [(dropped, "{{camera}}")],
                "percentunit",
                width=12,
                soso=0.05,
            ),
            Panel("Sent and not acknowledged", [(f"vnome_inflight_bytes{{{mine}}}", "{{camera}}")], "bytes", width=12),
        ],
        {"camera": "label_values(vnome_frames_total, camera)"},
    )


def index() -> Dashboard:
    """The catalogue, the servers that hold it, and what matchers find in it."""
    short, ended = 'vnome_sighting_seconds_bucket{le="3.0"}', "vnome_sighting_seconds_count"
    match = [f'rate(vnome_stage_seconds_{part}{{stage="match"}}{RATE})' for part in ("sum", "count")]
    postings = "max(vnome_index_postings)"
    return Dashboard(
        "index",
        "VNOME: index",
        [
            stat("Videos", "max(vnome_index_videos)"),
            stat("Postings", postings),
            stat("Memory in use", "max(vnome:redis_memory:ratio)", "percentunit", soso=0.85, bad=0.95),
            stat("Thrown away", "max(vnome_redis_evicted_keys)", bad=1, about="Keys; each was a part of the index."),
            stat("Cameras followed", "sum(vnome_cameras_followed)"),
            stat("Sightings, 24 h", f"sum(increase({ended}[24h]))"),
            Panel(
                "Memory",
                [
                    ("max by (node) (vnome_redis_memory_bytes)", "{{node}}"),
                    ("max by (node) (vnome_redis_memory_max_bytes)", "{{node}} at most"),
                ],
                "bytes",
            ),
            Panel(
                "Memory in three days",
                [("predict_linear(vnome:redis_memory:ratio[6h], 3 * 86400)", "{{node}}")],
                "percentunit",
                bad=1,
            ),
            Panel("Postings", [(postings, "postings")]),
            Panel("From capture to match", quantiles("vnome_capture_to_match_seconds"), "s"),
            Panel("Following a camera's codes", [(f"sum({match[0]}) / sum({match[1]})", "mean")], "s"),
            Panel("Cameras", [("vnome_cameras_followed > 0", "{{instance}}")], stacked=True),
            Panel("Match events", [(per_second("vnome_match_events_total", "event"), "{{event}}")], "cps"),
            Panel("How long sightings last", quantiles("vnome_sighting_seconds"), "s"),
            Panel(
                "Sightings over within 3 s",
                [(f"sum(increase({short}[1h])) / sum(increase({ended}[1h]))", "share of an hour's")],
                "percentunit",
                soso=0.25,
                about="What is truly on stays longer; these are mostly false alarms.",
            ),
            *processes("matcher.*"),
        ],
    )


def phones() -> Dashboard:
    """The gateway and who speaks to it."""
    found = "sum(increase(vnome_uploads_total[5m])) by (state)"
    return Dashboard(
        "phones",
        "VNOME: phones",
        [
            stat("Phones", "sum(vnome_live_sessions) or vector(0)"),
            stat("Decisions", per_second("vnome_code_to_event_seconds_count", ""), "cps"),
            stat("Requests", per_second("vnome_http_requests_total", ""), "reqps"),
            stat("Errors", "vnome:http_errors:ratio_rate5m", "percentunit", soso=0.01, bad=0.05),
            stat("Uploads, 24 h", "sum(increase(vnome_uploads_total[24h]))"),
            stat("Failed, 24 h", 'sum(increase(vnome_uploads_total{state="failed"}[24h]))', soso=1),
            Panel("Phones", [("sum by (sends) (vnome_live_sessions)", "send {{sends}}")], stacked=True),
            Panel("From code to decision", quantiles("vnome_code_to_event_seconds"), "s", soso=0.5),
            burn("Objective: decisions within 0.5 s", "code_to_event", "1: the month's allowance lasts the month."),
            Panel("Told to phones", [(per_second("vnome_live_events_total", "event"), "{{event}}")], "cps"),
            Panel("Requests", [(per_second("vnome_http_requests_total", "route"), "{{route}}")], "reqps", stacked=True),
            Panel("Answers", [(per_second("vnome_http_requests_total", "status"), "{{status}}")], "reqps"),
            Panel("Uploads", [(found, "{{state}}")]),
            *processes("gateway|studio"),
        ],
    )


def documents() -> dict[str, str]:
    """The text of each file, by its name."""
    pages = [fleet(), camera(), index(), phones()]
    return {f"{page.name}.json": tidy(page.document()) + "\n" for page in pages}


def tidy(value: Any, indent: int = 0) -> str:
    """JSON with a line for all that fits in one."""
    flat, inner = json.dumps(value), indent + 2
    if len(flat) + indent <= LINE or not isinstance(value, dict | list):
        return flat
    if isinstance(value, list):
        lines = [f"{' ' * inner}{tidy(item, inner)}" for item in value]
    else:
        lines = [f"{' ' * inner}{json.dumps(name)}: {tidy(item, inner)}" for name, item in value.items()]
    first, last = "[]" if isinstance(value, list) else "{}"
    return "\n".join([first, ",\n".join(lines), f"{' ' * indent}{last}"])


if __name__ == "__main__":
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
