"""`vnome matcher`: the live matcher of many cameras."""

import os
import socket
import threading
from contextlib import ExitStack
from typing import Annotated

import typer

from pipeline.broker import MATCHES, Topics, bootstrap_servers, ensure_topics, open_producer
from pipeline.channels import ChannelIndexer
from pipeline.daemon import stop_on_signals
from pipeline.encoder import default_encoder
from pipeline.errors import EXIT_DONE, InputError
from pipeline.health import HealthServer
from pipeline.index_watch import IndexWatch
from pipeline.library import Library
from pipeline.live_matcher import LiveMatcher
from pipeline.logs import configure
from pipeline.matching import matcher_of
from pipeline.metrics import Metrics
from pipeline.publishing import KafkaDelivery
from pipeline.reference import CatalogueReference
from pipeline.relay import Relay
from pipeline.settings import settings
from pipeline.store import open_store
from pipeline.tracing import start_tracing
from pipeline.webhooks import Webhook


def matcher(
    name: Annotated[
        str | None, typer.Option(help="Of this process among the matchers.  [default: host and process]")
    ] = None,
    webhook: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Post match events to; may be repeated.")
    ] = None,
    webhook_secret: Annotated[
        str, typer.Option(envvar="VNOME_WEBHOOK_SECRET", show_default=False, help="Signs what is posted.")
    ] = "",
    labels: Annotated[
        bool, typer.Option("--labels", help="Tell also what cameras show on which no film is found: events `shows`.")
    ] = False,
    kafka: Annotated[bool, typer.Option(help="Publish match events on Kafka, where VNOME_KAFKA names one.")] = True,
    topic: Annotated[str, typer.Option(help="Topic of match events.")] = MATCHES,
    metrics_at: Annotated[
        str | None, typer.Option("--metrics", metavar="[HOST:]PORT", help="Serve /metrics, /healthz and /readyz.")
    ] = None,
) -> int:
    """Follow all cameras in Redis and say what is on them, until Ctrl-C or SIGTERM."""
    configure()
    start_tracing("vnome-matcher")
    own = name or f"{socket.gethostname()}-{os.getpid()}"
    hooks = [Webhook(url, webhook_secret) for url in webhook or []]
    twice = [hook.shown for k, hook in enumerate(hooks) if hook.shown in {other.shown for other in hooks[:k]}]
    if twice:
        raise InputError(f"--webhook {twice[0]} is given twice; events go once to an address")
    stop, metrics = stop_on_signals(), Metrics()
    with ExitStack() as open_parts, open_store() as store:
        library = Library(store)
        bundle = default_encoder().bundle
        library.check_encoder(bundle.sha256)
        if kafka and settings().kafka:
            servers = bootstrap_servers()
            ensure_topics(servers, Topics(matches=topic))
            producer = open_producer(servers)
            open_parts.callback(producer.close, timeout=5)
            open_parts.enter_context(Relay(open_store, "kafka", KafkaDelivery(producer, topic), metrics))
        for hook in hooks:
            open_parts.enter_context(Relay(open_store, f"webhook {hook.shown}", hook, metrics))
        live = LiveMatcher(store, matcher_of(CatalogueReference(library), bundle), library, metrics, own, labels)
        open_parts.enter_context(HealthServer(metrics, live.not_ready, metrics_at, live.stuck))
        channels = ChannelIndexer(store, library, bundle.sha256)
        beside = {"channels": channels.run, "index": IndexWatch(library, metrics).run}
        threads = [threading.Thread(target=run, args=(stop,), name=name) for name, run in beside.items()]
        for thread in threads:
            thread.start()
        live.run(stop)
        for thread in threads:
            thread.join()
    return EXIT_DONE
