"""`vnome process`: the stream processor."""

from typing import Annotated, get_args

import typer

from pipeline.attempts import Attempts
from pipeline.broker import (
    DEAD,
    FRAMES,
    PARTITIONS,
    Topics,
    bootstrap_servers,
    ensure_topics,
    kafka_errors,
    open_consumer,
    open_producer,
)
from pipeline.daemon import stop_on_signals
from pipeline.dead_letters import DeadLetters
from pipeline.detector import default_detector
from pipeline.encoder import default_encoder
from pipeline.errors import EXIT_DONE, EXIT_SERVICE
from pipeline.frame_worker import FrameWorker
from pipeline.health import HealthServer
from pipeline.library import Library
from pipeline.logs import configure
from pipeline.messages import Reason
from pipeline.metrics import Metrics
from pipeline.offsets import Offsets
from pipeline.processor import Processor
from pipeline.recogniser import default_recogniser
from pipeline.stages.decode import Decode
from pipeline.stages.detect import Detect
from pipeline.stages.encode import Encode
from pipeline.stages.recognise import Recognise
from pipeline.stages.work import Stage
from pipeline.store import open_store
from pipeline.tracing import start_tracing


def process(
    group: Annotated[str, typer.Option(help="Consumer group; processors of one group share the cameras.")] = "vnome",
    instance: Annotated[
        str | None,
        typer.Option(envvar="VNOME_INSTANCE", help="Static member of the group: its partitions wait for its restart."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=512, help="Frames that are coded together at most.")] = 32,
    wait_ms: Annotated[int, typer.Option(min=0, max=5000, help="How long a batch waits for more frames.")] = 40,
    detect: Annotated[bool, typer.Option(help="Look for screens; off for sources that are plain video.")] = True,
    recognise: Annotated[bool, typer.Option(help="Label frames, where VNOME_RECOGNISER names a bundle.")] = True,
    topic: Annotated[str, typer.Option(help="Topic of frames.")] = FRAMES,
    dead_topic: Annotated[str, typer.Option(help="Topic of what cannot be processed.")] = DEAD,
    partitions: Annotated[int, typer.Option(min=1, help="Of the topic of frames, if it is made here.")] = PARTITIONS,
    session_timeout: Annotated[
        float, typer.Option(min=1, help="Seconds of silence after which Kafka takes a processor for dead.")
    ] = 45.0,
    metrics_at: Annotated[
        str | None, typer.Option("--metrics", metavar="[HOST:]PORT", help="Serve /metrics, /healthz and /readyz.")
    ] = None,
) -> int:
    """Code frames from Kafka (VNOME_KAFKA) and push the codes to Redis (VNOME_REDIS), until Ctrl-C or SIGTERM."""
    configure()
    start_tracing("vnome-process")
    servers = bootstrap_servers()
    encoder = default_encoder()
    stages: list[Stage] = [Detect(default_detector() if detect else None), Encode(encoder)]
    recogniser = default_recogniser() if recognise else None
    if recogniser is not None:
        stages.insert(1, Recognise(recogniser))
    stop, metrics, offsets = stop_on_signals(), Metrics(), Offsets()
    for reason in get_args(Reason):
        metrics.dead_letters_total.labels(reason)  # from 0 on: Prometheus does not see a series' first step
    with open_store() as store:
        Library(store).check_encoder(encoder.bundle.sha256)
        ensure_topics(servers, Topics(frames=topic, dead=dead_topic), partitions)
        producer = open_producer(servers)
        consumer = open_consumer(servers, group, instance, session_timeout)
        worker = FrameWorker(
            store,
            Decode(encoder.bundle.sha256),
            stages,
            Attempts(store, group),
            DeadLetters(producer, dead_topic),
            offsets,
            metrics,
        )
        processor = Processor(consumer, topic, worker, offsets, metrics, batch, wait_ms / 1000)
        with HealthServer(metrics, processor.not_ready, metrics_at, processor.stuck), kafka_errors(servers):
            done = processor.run(stop)
        producer.close(timeout=5)
    return EXIT_DONE if done else EXIT_SERVICE
