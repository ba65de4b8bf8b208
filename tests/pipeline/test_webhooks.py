"""Webhooks to a real server on loopback."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from pipeline import webhooks
from pipeline.errors import InputError
from pipeline.relay import DeliveryError
from pipeline.webhooks import Webhook
from tests.ports import free_port

EVENT = {"id": "lobby/1/found", "event": "found", "title": "Così fan tutte"}


class Server:
    """Answers with what it is told, and keeps what it got."""

    def __init__(self) -> None:
        self.status, self.headers, self.got = 200, {}, []  # type: ignore[var-annotated]
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append((dict(self.headers.items()), body))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/hook"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever)
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


@pytest.mark.parametrize(
    ("secret", "key"), [("plain", b"plain"), ("whsec_" + base64.b64encode(b"\0key").decode(), b"\0key")]
)
def test_an_event_is_posted_and_signed(server: Server, secret: str, key: bytes) -> None:
    Webhook(server.url, secret)(EVENT)
    ((headers, body),) = server.got
    lower: dict[str, Any] = {name.lower(): value for name, value in headers.items()}
    assert json.loads(body) == EVENT
    assert lower["webhook-id"] == EVENT["id"]
    signed = f"{lower['webhook-id']}.{lower['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert lower["webhook-signature"] == f"v1,{mac}"


def test_without_a_secret_nothing_is_signed(server: Server) -> None:
    Webhook(server.url, "")(EVENT)
    assert "webhook-signature" not in {name.lower() for name in server.got[0][0]}


@pytest.mark.parametrize(
    ("status", "retry"), [(400, False), (404, False), (410, False), (302, False), (408, True), (429, True), (503, True)]
)
def test_which_answers_are_tried_again(server: Server, status: int, retry: bool) -> None:
    server.status, server.headers = status, {"Retry-After": "7", "Location": server.url}
    with pytest.raises(DeliveryError) as caught:
        Webhook(server.url, "")(EVENT)
    assert caught.value.retry == retry
    assert caught.value.after_seconds == 7
    assert len(server.got) == 1


def test_a_server_that_is_away_is_tried_again() -> None:
    with pytest.raises(DeliveryError) as caught:
        Webhook(f"http://user:secret@127.0.0.1:{free_port()}/x?key=secret", "")(EVENT)
    assert caught.value.retry
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *("", "ftp://a/b", "http://", "nonsense", "http://[::1", "http://a..b/", "ftp://u:s3cret@h/x", "u:s3cret@h/x"),
        *("http:u:s3cret@h", "http://u:s3cret@/x", "http://u:s3cret", "http://u:p/s3cret@h/", "http://u:p@s3cret/x@h/"),
    ],
)
def test_other_addresses_are_refused_and_no_password_is_shown(url: str) -> None:
    with pytest.raises(InputError, match="--webhook") as caught:
        Webhook(url, "")
    assert "s3cret" not in str(caught.value)


def test_addresses_that_differ_in_the_port_are_shown_apart() -> None:
    hooks = [Webhook("http://h/a@b", ""), Webhook("http://u:s%2F3cret@h/a%40b", "")]
    hooks += [Webhook(f"http://u:s3cret@h:{port}/a?key=s3cret", "") for port in (1, 2)]
    assert [hook.shown for hook in hooks] == ["http://h/a@b", "http://h/a@b", "http://h:1/a", "http://h:2/a"]


def test_an_answer_that_drips_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "TOTAL_SECONDS", 1.0)
    left = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):  # the other side has left
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            for _ in range(80):  # 8 s; each byte comes well within the time limit of one read
                connection.sendall(b"x")
                if left.wait(0.1):
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        started = time.monotonic()
        try:
            Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/", "")(EVENT)
        finally:
            left.set()
            thread.join()
    assert time.monotonic() - started < 5


def test_retry_after_may_be_a_date(server: Server) -> None:
    server.status = 503
    for seconds, least, most in ((30, 20, 30), (-30, 0, 0), (3600, 60, 60)):
        server.headers = {"Retry-After": formatdate(time.time() + seconds, usegmt=True)}
        with pytest.raises(DeliveryError) as caught:
            Webhook(server.url, "")(EVENT)
        assert least <= caught.value.after_seconds <= most


@pytest.mark.parametrize("secret", ["whsec_***", "whsec_", "whsec_é"])
def test_a_secret_that_is_no_base64_is_refused(secret: str) -> None:
    with pytest.raises(InputError, match="whsec_"):
        Webhook("http://a/b", secret)
