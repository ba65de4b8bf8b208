"""`vnome health`, against a server of `/healthz` and `/readyz`."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.health import HealthServer
from pipeline.metrics import Metrics
from tests.commands import Vnome


@pytest.fixture
def vnome(capsys: pytest.CaptureFixture[str]) -> Vnome:
    return Vnome(capsys)


@pytest.fixture
def reasons() -> dict[str, str | None]:
    return {"not_ready": None, "stuck": None}


@pytest.fixture
def address(reasons: dict[str, str | None]) -> Iterator[str]:
    server = HealthServer(Metrics(), lambda: reasons["not_ready"], "127.0.0.1:0", lambda: reasons["stuck"])
    with server:
        yield f"http://127.0.0.1:{server.port}"


def test_what_is_well_is_exit_code_0(vnome: Vnome, address: str) -> None:
    for page in ("healthz", "readyz"):
        ran = vnome("health", f"{address}/{page}")
        assert (ran.code, ran.out, ran.err) == (0, "ok\n", "")


def test_a_reason_is_told(vnome: Vnome, address: str, reasons: dict[str, str | None]) -> None:
    reasons["not_ready"] = "Redis is away"
    assert vnome("health", f"{address}/readyz").failed_with(3, "answers 503: Redis is away")
    assert vnome("health", f"{address}/healthz").code == 0
    assert vnome("health", f"{address}/nothing").failed_with(3, "answers 404")


def test_nobody_listens(vnome: Vnome) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert vnome("health", f"http://127.0.0.1:{port}/readyz").failed_with(3, "Connection refused")


def test_who_is_silent_is_given_up(vnome: Vnome) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/readyz"
        assert vnome("health", url, "--timeout", "0.2").failed_with(3, "timed out")


def test_another_answer_than_http(vnome: Vnome) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-other\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        ran = vnome("health", f"http://127.0.0.1:{server.getsockname()[1]}/readyz")
        thread.join()
    assert ran.failed_with(3, "does not answer")


def test_a_proxy_of_the_environment_is_not_asked(vnome: Vnome, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert vnome("health", f"{address}/readyz").code == 0


def test_a_long_answer_is_cut(vnome: Vnome) -> None:
    class Talker(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(500)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"x" * 100_000)

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Talker) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        ran = vnome("health", f"http://127.0.0.1:{server.server_port}/readyz")
        server.shutdown()
        thread.join()
    assert ran.failed_with(3, "answers 500: xxx")
    assert len(ran.err) < 400


def test_what_is_no_address(vnome: Vnome) -> None:
    assert vnome("health", "127.0.0.1:9100").failed_with(2, "is no address")
    assert vnome("health", "file:///etc/passwd").failed_with(2, "is no address")
