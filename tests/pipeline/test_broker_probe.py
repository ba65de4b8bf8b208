"""How a broker that is secured otherwise than the settings say is told, in one line and at once."""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka.errors import SaslAuthenticationFailedError
from pydantic import SecretStr

from pipeline.broker import bootstrap_servers, ensure_topics, kafka_errors, open_producer, require_broker
from pipeline.broker_probe import ask_broker
from pipeline.errors import EXIT_SERVICE, KafkaRefusalError, KafkaServiceError
from pipeline.kafka_security import KafkaSecurity
from pipeline.settings import settings
from tests.certificates import Authority
from tests.commands import Vnome
from tests.conftest import own_topics
from tests.kafka_broker import KafkaBroker, Locks

SECRET = "s3cret"  # noqa: S105


@pytest.fixture
def locks(locked_kafka: KafkaBroker) -> Locks:
    """How the broker is secured."""
    assert locked_kafka.locks is not None
    return locked_kafka.locks


def use(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Makes these the only settings of Kafka."""
    for name in [name for name in os.environ if name.startswith("VNOME_KAFKA")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()


def told(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], **others: object) -> str:
    """What a user is told who opens a producer with these variables, and VNOME_KAFKA_... of these names."""
    use(monkeypatch, variables | {f"VNOME_KAFKA_{name}": str(value) for name, value in others.items()})
    started = time.monotonic()
    with pytest.raises(KafkaServiceError) as caught:
        open_producer(bootstrap_servers()).close()
    text = str(caught.value)
    assert time.monotonic() - started < 5
    assert caught.value.exit_code == EXIT_SERVICE
    assert "\n" not in text
    assert SECRET not in text
    assert text.startswith("Kafka at ")
    return text


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [("sasl_plaintext", ""), ("sasl_ssl", "SCRAM-SHA-512"), ("sasl_ssl", "PLAIN"), ("ssl", "")],
)
def test_every_client_comes_in(
    protocol: str, mechanism: str, locked_kafka: KafkaBroker, locks: Locks, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, given = locks.authority.sign("camera"), locks.variables(protocol)
    if protocol == "ssl":
        given |= {"VNOME_KAFKA_CERT": str(own.certificate), "VNOME_KAFKA_KEY": str(own.key)}
    if mechanism:
        given["VNOME_KAFKA_MECHANISM"] = mechanism
    with own_topics(locked_kafka) as topics:
        use(monkeypatch, given)
        ensure_topics(bootstrap_servers(), topics, 4)
        producer = open_producer(bootstrap_servers())
        assert producer.send(topics.frames, b"x").get(10).offset == 0
        producer.close(timeout=5)
        use(monkeypatch, {})


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_wrong_password(mechanism: str, locks: Locks, monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(monkeypatch, locks.variables("sasl_ssl"), PASSWORD=SECRET, MECHANISM=mechanism)
    assert "does not take the user or the password; check VNOME_KAFKA_USER and VNOME_KAFKA_PASSWORD" in text
    assert "does not take the user" in told(monkeypatch, locks.variables("sasl_ssl"), USER="nobody")


@pytest.mark.kafka
def test_a_mechanism_that_is_not_offered(locks: Locks, monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(monkeypatch, locks.variables("sasl_plaintext"), MECHANISM="SCRAM-SHA-256")
    assert "does not offer SCRAM-SHA-256; set VNOME_KAFKA_MECHANISM" in text


@pytest.mark.kafka
def test_an_unknown_authority(locks: Locks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = locks.variables("sasl_ssl")
    for file in (str(Authority(tmp_path, "other").file), ""):  # none: the system's
        text = told(monkeypatch, right, CA=file)
        assert "is not trusted: self-signed certificate in certificate chain; check VNOME_KAFKA_CA" in text


@pytest.mark.kafka
def test_a_certificate_that_the_broker_wants(locks: Locks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right, other = locks.variables("ssl"), Authority(tmp_path, "other").sign("other")
    for files in ({}, {"CERT": other.certificate, "KEY": other.key}):
        text = told(monkeypatch, right, **files)
        assert "does not take our certificate, or wants one (" in text
        assert "check VNOME_KAFKA_CERT and VNOME_KAFKA_KEY" in text


@pytest.mark.kafka
def test_another_protocol_than_the_brokers(
    locked_kafka: KafkaBroker, locks: Locks, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, closes = locked_kafka.bootstrap, "closes the connection; check that it is Kafka, and VNOME_KAFKA_SECURITY"
    for protocol, at, words in (
        ("plaintext", locks.at("sasl_ssl"), "speaks TLS; set VNOME_KAFKA_SECURITY to ssl or sasl_ssl"),
        ("sasl_plaintext", locks.at("sasl_ssl"), "speaks TLS; set VNOME_KAFKA_SECURITY"),
        ("sasl_plaintext", plain, "takes no users; set VNOME_KAFKA_SECURITY to plaintext or ssl"),
        ("plaintext", locks.at("sasl_plaintext"), closes),
        ("ssl", locks.at("sasl_ssl"), closes),
        ("ssl", plain, closes),
        ("sasl_ssl", plain, closes),
    ):
        right = {} if protocol == "plaintext" else locks.variables(protocol)
        text = told(monkeypatch, right | {"VNOME_KAFKA": at})
        assert words in text, (protocol, at)


@pytest.mark.kafka
@pytest.mark.parametrize("command", ["process", "ingest"])
def test_commands_say_so_and_end(
    command: str, locks: Locks, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["webcam:0", "--camera", "a"] if command == "ingest" else []
    use(monkeypatch, locks.variables("sasl_ssl") | {"VNOME_KAFKA_PASSWORD": SECRET})
    vnome = Vnome(capsys)
    assert vnome(command, *more).failed_with(3, "does not take the user or the password")
    monkeypatch.setenv("VNOME_KAFKA_CA", "/nowhere")
    settings.cache_clear()
    assert vnome(command, *more).failed_with(2, "VNOME_KAFKA_CA=/nowhere cannot be read")


@pytest.mark.kafka
def test_no_password_in_the_most_talkative_log(
    locks: Locks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(monkeypatch, locks.variables("sasl_ssl"))
    with caplog.at_level(logging.DEBUG):
        open_producer(bootstrap_servers()).close()
    assert "Authenticated as camera-hall" in caplog.text
    assert locks.password not in caplog.text


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """HOST:PORT of a server that gives one of these answers to each connection, whatever it is asked, and hangs up."""

    def serve() -> None:
        for answer in answers:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes([0, 0, 0, 9, 0, 0, 0, 0, 1])])
def test_what_is_not_kafka(answer: bytes) -> None:
    with answering(answer) as server, pytest.raises(KafkaServiceError, match="check that it is Kafka") as caught:
        ask_broker(server, KafkaSecurity())
    assert not isinstance(caught.value, KafkaRefusalError)  # a broker that is about to start is like that


def frame(body: bytes) -> bytes:
    """An answer as Kafka gives it."""
    return (len(body) + 4).to_bytes(4) + bytes(4) + body


def test_who_takes_any_password_is_not_trusted() -> None:
    greeting = b"r=another-nonce,s=c2FsdA==,i=4096"
    first, then = frame(bytes(2) + bytes(4)), frame(bytes(2) + b"\xff\xff" + len(greeting).to_bytes(4) + greeting)
    security = KafkaSecurity("sasl_plaintext", None, "SCRAM-SHA-512", "hall", SecretStr(SECRET))
    with answering(first + then) as server, pytest.raises(KafkaRefusalError, match="does not know the password itself"):
        ask_broker(server, security)


def test_a_server_that_hangs_up_is_left_for_the_next() -> None:
    with answering(b"") as first, answering(frame(bytes(8))) as second:
        require_broker([first, second])


def test_what_kafka_python_raises_for_a_password_that_was_changed() -> None:
    with pytest.raises(KafkaRefusalError, match="check VNOME_KAFKA_USER"), kafka_errors(["a:1"]):
        raise SaslAuthenticationFailedError(f"Authentication failed: {SECRET}")
