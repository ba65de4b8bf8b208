"""`vnome ingest`: the edge agent, from sources to Kafka."""

import re
import threading
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from edge.agent import Agent, CameraConfig, Models
from edge.sender import BUDGET_BYTES
from pipeline.broker import FRAMES, Topics, bootstrap_servers, ensure_topics, open_producer
from pipeline.console import complain, print_json
from pipeline.daemon import stop_on_signals
from pipeline.detector import default_detector
from pipeline.encoder import default_encoder
from pipeline.errors import EXIT_DONE, InputError, KafkaRefusalError, ServiceError
from pipeline.health import HealthServer
from pipeline.logs import configure, get_logger
from pipeline.messages import CHANNEL, KEEP_SECONDS, MOST_KEEP_SECONDS, QUERY, REFERENCE, is_id
from pipeline.metrics import Metrics
from pipeline.query import QUERY_FPS
from pipeline.tracing import start_tracing

RETRY_SECONDS = (0.5, 15.0)  # first and longest, while the broker is away at the start
LIVE_DELIVERY_MS = 10_000  # a live frame that Kafka has not taken by then has lost its value
REFERENCE_DELIVERY_MS = 600_000
_KEYS = {"camera", "source", "fps", "loop", "encode"}

log = get_logger(__name__)


def ingest(
    source: Annotated[
        str | None,
        typer.Argument(metavar="[SOURCE]", help="A file, webcam:0, /dev/videoN or rtsp://...", show_default=False),
    ] = None,
    camera: Annotated[str | None, typer.Option(metavar="ID", help="Id of the camera.", show_default=False)] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="Many: a list `cameras`, each of camera, source, fps, loop, encode."),
    ] = None,
    fps: Annotated[float, typer.Option(min=0.1, max=60, help="Frames a second that are sent at most.")] = QUERY_FPS,
    loop: Annotated[bool, typer.Option("--loop", help="Play a file again and again.")] = False,
    encode: Annotated[bool, typer.Option("--encode", help="Send codes instead of pictures.")] = False,
    role: Annotated[
        str, typer.Option(help="query; reference: index the film under --video; channel: index it as it airs.")
    ] = QUERY,
    video: Annotated[
        str, typer.Option(metavar="ID", help="Of a reference or a channel.  [default: of a reference, the file's name]")
    ] = "",
    title: Annotated[str, typer.Option(help="Of a reference.  [default: its id]")] = "",
    keep: Annotated[
        int, typer.Option(metavar="SECONDS", help="For how long a channel is kept.", min=1, max=MOST_KEEP_SECONDS)
    ] = KEEP_SECONDS,
    budget: Annotated[int, typer.Option(min=100_000, help="Bytes of a camera not yet acknowledged.")] = BUDGET_BYTES,
    topic: Annotated[str, typer.Option(help="Kafka topic.")] = FRAMES,
    metrics_at: Annotated[
        str | None, typer.Option("--metrics", metavar="[HOST:]PORT", help="Serve /metrics, /healthz and /readyz.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document at the end.")] = False,
) -> int:
    """Send cameras to Kafka (VNOME_KAFKA). Stops orderly on Ctrl-C; a file ends with its end."""
    configure()
    start_tracing("vnome-ingest")
    options = {"fps": fps, "loop": loop, "encode": encode, "role": role, "video": video, "title": title, "keep": keep}
    cameras = _cameras(source, camera, config, options, budget)
    servers = bootstrap_servers()
    models = _models() if any(one.encode for one in cameras) else None
    stop = stop_on_signals()
    metrics, broker_there = Metrics(), threading.Event()
    with HealthServer(metrics, lambda: None if broker_there.is_set() else "Kafka is away", metrics_at):
        producer = _connect(servers, topic, cameras, metrics, stop)
        if producer is None:
            return EXIT_DONE
        broker_there.set()
        try:
            results = Agent(producer, topic, cameras, metrics, models).run(stop)
        finally:
            producer.close(timeout=5)
    for result in results:
        if result.error:
            complain(result.error)
        elif not json:
            print(f"{result.camera}: {result.sent} frames sent, {result.dropped} dropped")
    if json:
        print_json({"cameras": [vars(result) for result in results]})
    return InputError.exit_code if any(result.error for result in results) else EXIT_DONE


def _cameras(
    source: str | None, camera: str | None, config: Path | None, options: dict[str, Any], budget: int
) -> list[CameraConfig]:
    if (source is None) == (config is None):
        raise InputError("give a SOURCE with --camera ID, or --config FILE.yaml")
    if config is not None:
        return _read_config(config, options, budget)
    if options["role"] not in (QUERY, REFERENCE, CHANNEL):
        raise InputError(f"--role {options['role']!r} is not query, reference or channel")
    if options["role"] == CHANNEL:
        if not options["video"] or options["title"]:
            raise InputError("--role channel needs --video ID, its name, and has no --title")
        return [CameraConfig(camera or options["video"], str(source), budget_bytes=budget, **options)]
    if options["role"] == REFERENCE:
        options["video"] = options["video"] or Path(str(source)).stem
        camera = camera or re.sub(r"[^A-Za-z0-9._:@-]", "-", options["video"])[:128]
        if options["encode"]:
            raise InputError("--encode is for live sources; a reference is coded by the processors")
    elif options["video"] or options["title"]:
        raise InputError("--video and --title go with --role reference")
    if not camera or not is_id(camera):
        raise InputError(f"--camera {camera or ''!r} is no id: 1 to 128 letters, digits and . _ : @ -")
    return [CameraConfig(camera, str(source), budget_bytes=budget, **options)]


def _read_config(path: Path, options: dict[str, Any], budget: int) -> list[CameraConfig]:
    """Raises InputError that names what is wrong."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    entries = document.get("cameras") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: there is no list `cameras`; see vnome ingest --help")
    cameras = [_camera_of(entry, f"{path}, camera {k + 1}", options, budget) for k, entry in enumerate(entries)]
    names = [one.camera for one in cameras]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: camera {twice[0]!r} is there twice; give each its own id")
    return cameras


def _camera_of(entry: Any, where: str, options: dict[str, Any], budget: int) -> CameraConfig:
    if not isinstance(entry, dict) or not {"camera", "source"} <= entry.keys():
        raise InputError(f"{where}: needs camera and source")
    unknown = sorted(map(str, entry.keys() - _KEYS))
    if unknown:
        raise InputError(f"{where}: knows no {unknown[0]!r}, only {', '.join(sorted(_KEYS))}")
    camera, fps = str(entry["camera"]), entry.get("fps", options["fps"])
    if not is_id(camera):
        raise InputError(f"{where}: {camera!r} is no id: 1 to 128 letters, digits and . _ : @ -")
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0.1 <= fps <= 60:
        raise InputError(f"{where}: fps {fps!r} is no number from 0.1 to 60")
    switches = {name: entry.get(name, options[name]) for name in ("loop", "encode")}
    if not all(isinstance(value, bool) for value in switches.values()):
        raise InputError(f"{where}: loop and encode are true or false")
    return CameraConfig(camera, str(entry["source"]), float(fps), budget_bytes=budget, **switches)


def _models() -> Models:
    return Models(default_encoder(), default_detector())


def _connect(
    servers: list[str], topic: str, cameras: list[CameraConfig], metrics: Metrics, stop: threading.Event
) -> Any:
    """A producer, as soon as the broker is there; None when told to stop first.

    Raises KafkaRefusalError where waiting is no use: a wrong password, an unknown authority.
    """
    wait = RETRY_SECONDS[0]
    whole = any(one.role == REFERENCE for one in cameras)
    delivery_ms = REFERENCE_DELIVERY_MS if whole else LIVE_DELIVERY_MS
    while not stop.is_set():
        try:
            ensure_topics(servers, Topics(frames=topic))
            return open_producer(servers, delivery_ms, once=whole)  # of a live frame that comes twice one is kept
        except KafkaRefusalError:
            raise
        except ServiceError as error:
            log.warning("the broker is away, trying again", error=str(error))
            metrics.reconnects_total.labels("broker").inc()
            stop.wait(wait)
            wait = min(wait * 2, RETRY_SECONDS[1])
    return None
