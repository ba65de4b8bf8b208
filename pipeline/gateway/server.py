"""The gateway as a process: its parts put together, and a server around them."""

import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from pipeline.api_keys import ApiKeys
from pipeline.daemon import stop_on_signals
from pipeline.details import POSTER_MOST_BYTES, Details
from pipeline.detector import default_detector
from pipeline.encoder import default_encoder
from pipeline.errors import InputError, ServiceError
from pipeline.film_labels import FilmLabels
from pipeline.gateway.app import make_app
from pipeline.gateway.deciding import Deciders
from pipeline.gateway.films import Films
from pipeline.gateway.limits import RateLimit, SessionLimit
from pipeline.gateway.pages import built_pages
from pipeline.gateway.parts import Gateway
from pipeline.gateway.phone import RecordCache
from pipeline.gateway.sandbox import Sandbox
from pipeline.gateway.tickets import Tickets
from pipeline.gateway.uploads import Limits, Uploads
from pipeline.health import HealthServer
from pipeline.library import Library
from pipeline.logs import get_logger
from pipeline.matching import matcher_of
from pipeline.metrics import Metrics
from pipeline.reference import CatalogueReference
from pipeline.settings import settings
from pipeline.sightings import Sightings
from pipeline.store import Store, open_store

BURST_SECONDS = 3.0  # of the rate may come at once: a page asks for many posters
CLIP_BYTES = 256 << 20  # of a clip to identify
SMALL_BYTES = 4 << 20  # of any other body
WORK_FACTOR, LEAST_WORK_SECONDS = 2.0, 600.0  # coding takes a twentieth of a film's length on a quiet machine
ANSWER_SECONDS = 5.0  # of Redis; people wait for the answer
STOP_SECONDS = 5.0  # for what is under way when the gateway is told to stop

log = get_logger(__name__)


@dataclass(frozen=True)
class Options:
    """As `vnome serve` takes them. upload_bytes, upload_seconds: of a film at most."""

    host: str = "127.0.0.1"
    port: int = 8080
    public: bool = False
    films: tuple[Path, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind: str | None = None
    origins: tuple[str, ...] = ()
    rate: float = 20.0
    sessions: int = 500
    sessions_each: int = 50
    upload_bytes: int = 4 << 30
    upload_seconds: float = 18_000.0
    metrics_at: str | None = None

    def check(self) -> None:
        """Raises InputError for what cannot be."""
        for folder in self.films:
            if not folder.is_dir():
                raise InputError(f"--films {folder} is not a folder; give the one in which the indexed films lie")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("--tls-cert and --tls-key belong together; give both")
        for origin in self.origins:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise InputError(f"--origin {origin!r} is not an origin; write it as in https://example.org")
        if self.tls_cert is not None and self.tls_key is not None:
            _check_tls(self.tls_cert, self.tls_key)


def make_gateway(store: Store, options: Options, metrics: Metrics) -> Gateway:
    """The parts, the models loaded. Raises CatalogueError for a catalogue of another version or encoder, StoreError."""
    library, encoder = Library(store), default_encoder()
    library.check_encoder(encoder.bundle.sha256)
    sandbox = Sandbox()
    films = Films(settings().home / "films", options.films, sandbox)
    limits = Limits(options.upload_seconds, max(options.upload_seconds * WORK_FACTOR, LEAST_WORK_SECONDS))
    matcher = matcher_of(CatalogueReference(library), encoder.bundle)
    return Gateway(
        store=store,
        library=library,
        details=Details(library),
        sightings=Sightings(store),
        api_keys=ApiKeys(store),
        tickets=Tickets(store),
        matcher=matcher,
        bundles={"encoder": encoder.bundle, "detector": default_detector().bundle},
        records=RecordCache(library),
        labels=FilmLabels(store),
        deciders=Deciders(metrics),
        picture_deciders=Deciders(metrics),
        sandbox=sandbox,
        uploads=Uploads(settings().home / "uploads", library, films, sandbox, limits, metrics),
        films=films,
        metrics=metrics,
        address_rate=RateLimit(options.rate * 2, options.rate * 2 * BURST_SECONDS),
        key_rate=RateLimit(options.rate, options.rate * BURST_SECONDS),
        sessions=SessionLimit(options.sessions_each, options.sessions_each, options.sessions),
        public=options.public,
        pages=built_pages(),
    )


def serve_forever(options: Options, ready: Callable[[int], None] = lambda _: None) -> None:
    """Serves until SIGINT or SIGTERM. ready: called with the port once it listens.

    Raises InputError for options that cannot be, ServiceError when the port is taken, and as `make_gateway`.
    """
    options.check()
    metrics = Metrics()
    stop = stop_on_signals()  # uvicorn raises again what it has stopped for; so it ends here, and all is closed
    with ExitStack() as parts, open_store(answer_seconds=ANSWER_SECONDS) as store:
        listener = parts.enter_context(_listen(options.host, options.port))
        gateway = make_gateway(store, options, metrics)
        parts.enter_context(
            HealthServer(
                metrics, lambda: gateway.deciders.trouble or gateway.picture_deciders.trouble, options.metrics_at
            )
        )
        app = make_app(gateway, body_limits(options), list(options.origins))
        server = uvicorn.Server(_config(app, options))
        port = int(listener.getsockname()[1])
        scheme = "https" if options.tls_cert else "http"
        log.info("ready", address=f"{scheme}://{options.host}:{port}", public=options.public)
        if gateway.pages is None:
            log.warning("the pages are not built; make web builds them")
        if stop.is_set():  # already while the models were loaded
            return
        ready(port)
        server.run([listener])


def _config(app: Any, options: Options) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # an access log would hold what people ask for
        server_header=False,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        proxy_headers=options.behind is not None,
        forwarded_allow_ips=options.behind,
        ws_max_size=1 << 20,
        ws_max_queue=16,
        ws_ping_interval=20.0,
        timeout_graceful_shutdown=int(STOP_SECONDS),
        timeout_keep_alive=15,
        h11_max_incomplete_event_size=64 << 10,
    )


def body_limits(options: Options) -> dict[str, int]:
    """Bytes that a body may have, by the beginning of the path; see `Shield`."""
    return {
        "": max(SMALL_BYTES, POSTER_MOST_BYTES),
        "/v1/identify": CLIP_BYTES,
        "/v1/videos": options.upload_bytes,
        "/v1/videos/": max(SMALL_BYTES, POSTER_MOST_BYTES),
    }


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ServiceError when it cannot."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        raise ServiceError(f"cannot listen on {host}:{port}: {error.strerror or error}; give another --port") from None
    return listener


def _check_tls(certificate: Path, key: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except FileNotFoundError:
        missing = certificate if not certificate.is_file() else key
        raise InputError(f"no such file: {missing}; check --tls-cert and --tls-key") from None
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(f"--tls-cert {certificate} and --tls-key {key} cannot be used: {reason}") from None
