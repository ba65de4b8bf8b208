"""`/metrics`, `/healthz` and `/readyz` of a long-running process."""

import re
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pipeline.errors import InputError, ServiceError
from pipeline.logs import get_logger
from pipeline.metrics import Metrics

HOST = "127.0.0.1"
_ADDRESS = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):)?(?P<port>[0-9]{1,5})")

READ_SECONDS = 10  # for a request; then its connection is closed

log = get_logger(__name__)

Reason = Callable[[], str | None]  # why not, in words; None for all is well


class HealthServer:
    """Answers while the block runs; where no address is given, there is no server.

    not_ready: why the process cannot take work now. stuck: why it should be replaced.
    Raises InputError for an address that cannot be read, ServiceError when the port is taken.
    """

    def __init__(self, metrics: Metrics, not_ready: Reason, address: str | None, stuck: Reason = lambda: None) -> None:
        self._server: ThreadingHTTPServer | None = None
        if address is None:
            return
        host, port = parse_address(address)
        handler = type(
            "Handler",
            (_Handler,),
            {"metrics": metrics, "not_ready": staticmethod(not_ready), "stuck": staticmethod(stuck)},
        )
        try:
            self._server = (_Server6 if ":" in host else _Server)((host, port), handler)
        except OSError as error:
            raise ServiceError(f"--metrics {address}: {error.strerror or error}; give another port") from None

    @property
    def port(self) -> int:
        """The port on which it answers; 0 without a server."""
        return int(self._server.server_address[1]) if self._server else 0

    def __enter__(self) -> "HealthServer":
        if self._server is not None:
            threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT or PORT. Raises InputError for anything else."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise InputError(f"--metrics {text!r} is not HOST:PORT or PORT")
    return (match["host"] or HOST).strip("[]"), int(match["port"])


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line, also when who asked has gone before the answer."""
        error = sys.exception()
        log.warning("a request failed", kind=type(error).__name__, error=str(error))


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    timeout = READ_SECONDS
    metrics: Metrics
    not_ready: Reason
    stuck: Reason
    server_version, sys_version = "vnome", ""

    def do_GET(self) -> None:
        """The three pages."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self.metrics.ready.set(self.not_ready() is None)
            self._answer(200, generate_latest(self.metrics.registry), CONTENT_TYPE_LATEST)
        elif path in ("/healthz", "/readyz"):
            reason = self.stuck() if path == "/healthz" else self.not_ready()
            self._answer(503 if reason else 200, (reason or "ok").encode() + b"\n")
        else:
            self._answer(404, b"there are /metrics, /healthz and /readyz\n")

    do_HEAD = do_GET

    def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes are not worth a line."""
