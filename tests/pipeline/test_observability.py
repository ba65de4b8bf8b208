"""Metrics, health pages and logs."""

import json
import logging
import socket
import urllib.error
import urllib.request

import pytest

from pipeline import logs
from pipeline import metrics as metrics_module
from pipeline.errors import InputError, ServiceError
from pipeline.health import HealthServer, parse_address
from pipeline.logs import SameLine, configure, get_logger
from pipeline.metrics import Metrics


def page(server: HealthServer, name: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/{name}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_pages() -> None:
    metrics, reasons = Metrics(), {"ready": "warming up", "stuck": None}
    metrics.count_frame("lobby", "coded")
    with HealthServer(metrics, lambda: reasons["ready"], "0", lambda: reasons["stuck"]) as server:
        assert page(server, "readyz") == (503, "warming up\n")
        assert page(server, "healthz") == (200, "ok\n")
        assert "vnome_ready 0.0" in page(server, "metrics")[1]
        reasons.update(ready=None, stuck="no poll for 99 s")
        assert page(server, "readyz?x=1") == (200, "ok\n")
        assert page(server, "healthz") == (503, "no poll for 99 s\n")
        assert page(server, "secrets")[0] == 404
        status, text = page(server, "metrics")
        assert status == 200
        assert 'vnome_frames_total{camera="lobby",outcome="coded"} 1.0' in text
        assert "vnome_ready 1.0" in text
        assert "vnome_build_info" in text
        with pytest.raises(ServiceError, match=f"--metrics {server.port}"):
            HealthServer(metrics, lambda: None, str(server.port))


def test_without_an_address_there_is_no_server() -> None:
    with HealthServer(Metrics(), lambda: None, None) as server:
        assert server.port == 0


@pytest.mark.parametrize(
    ("text", "address"),
    [("9100", ("127.0.0.1", 9100)), ("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:8080", ("::1", 8080))],  # noqa: S104
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "host", "host:", ":80", "1:99999", "a b:80"])
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--metrics"):
        parse_address(text)


def test_pages_over_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with HealthServer(Metrics(), lambda: None, "[::1]:0") as server:
        with urllib.request.urlopen(f"http://[::1]:{server.port}/readyz", timeout=5) as answer:
            assert answer.status == 200


def test_a_page_that_fails_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=True)

    def fails() -> str | None:
        raise RuntimeError("boom")

    with HealthServer(Metrics(), fails, "0") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as asking:
            asking.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
            assert asking.recv(10) == b""
        (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (line["kind"], line["error"]) == ("RuntimeError", "boom")


def test_cameras_beyond_the_first_thousand_share_their_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "MOST_CAMERAS", 2)
    metrics = Metrics()
    for camera in ("a", "b", "c", "d", "a"):
        metrics.count_drop(camera, "newer frame")
    value = metrics.registry.get_sample_value
    assert value("vnome_drops_total", {"camera": "other", "reason": "newer frame"}) == 2
    assert value("vnome_drops_total", {"camera": "a", "reason": "newer frame"}) == 2


def test_logs_are_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=True)
    get_logger("x").info("ready", topic="t")
    logging.getLogger("kafka.net").warning("broker %s is away", "b")
    logging.getLogger("kafka.net").warning("broker %s is away", "b")
    logging.getLogger("kafka.net").info("chatter")
    ours, kafkas = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (ours["event"], ours["topic"], ours["level"]) == ("ready", "t", "info")
    assert ours["timestamp"].endswith("Z")
    assert (kafkas["event"], kafkas["library"]) == ("broker b is away", "kafka.net")


def test_lines_that_were_held_back_are_counted() -> None:
    same = SameLine(0.0)
    record = logging.LogRecord("k", logging.WARNING, "", 0, "away", (), None)
    assert same.filter(record)
    patient = SameLine(1000.0)
    assert [patient.filter(record) for _ in range(3)] == [True, False, False]


def test_a_library_without_end_of_templates_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_LINES", 10)
    same = SameLine(1000.0)
    for number in range(100):
        assert same.filter(logging.LogRecord("k", logging.WARNING, "", 0, f"offset {number}", (), None))
    assert len(same._seen) <= 10


def test_a_library_line_with_other_fields_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=True)
    logging.getLogger("kafka.net").warning("broker %s of %s", "b")
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert line["event"] == "broker %s of %s"
