"""`vnome serve`: the gateway."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import EXIT_DONE
from pipeline.gateway.server import Options, serve_forever
from pipeline.logs import configure
from pipeline.tracing import start_tracing

_MB = 1 << 20


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8080,
    public: Annotated[bool, typer.Option("--public", help="Scope query needs no key.")] = False,
    films: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Where indexed films lie, to show and play them; may be repeated."),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate chain (PEM), for HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key (PEM).")] = None,
    behind: Annotated[
        str | None,
        typer.Option("--behind", metavar="ADDRESS,...", help="Proxies whose X-Forwarded headers are believed."),
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Pages elsewhere that may call (CORS); may be repeated.")
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0.1, help="Requests a second of a key or an address, over some time.")
    ] = 20.0,
    sessions: Annotated[int, typer.Option(min=1, help="Live sessions at once, in all.")] = 500,
    sessions_each: Annotated[
        int, typer.Option(min=1, help="Live sessions at once of an address, or of a key without a limit of its own.")
    ] = 50,
    most_upload_mb: Annotated[int, typer.Option("--upload-mb", min=1, help="Size of an uploaded film at most.")] = 4096,
    most_upload_minutes: Annotated[int, typer.Option("--upload-minutes", min=1, help="Length of it at most.")] = 300,
    metrics_at: Annotated[
        str | None, typer.Option("--metrics", metavar="[HOST:]PORT", help="Serve /metrics, /healthz and /readyz.")
    ] = None,
) -> int:
    """Serve phones, the studio page and the HTTP interface, until Ctrl-C or SIGTERM."""
    configure()
    start_tracing("vnome-serve")
    options = Options(
        host=host,
        port=port,
        public=public,
        films=tuple(films or ()),
        tls_cert=tls_cert,
        tls_key=tls_key,
        behind=behind,
        origins=tuple(origin or ()),
        rate=rate,
        sessions=sessions,
        sessions_each=sessions_each,
        upload_bytes=most_upload_mb * _MB,
        upload_seconds=most_upload_minutes * 60.0,
        metrics_at=metrics_at,
    )
    serve_forever(options)
    return EXIT_DONE
