"""The broker that the other tests run on."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from pipeline.broker import FRAMES, Topics, ensure_topics, open_producer
from tests import kafka_broker
from tests.conftest import own_topics
from tests.kafka_broker import ARTIFACTS, VERSION, BrokerError, GivenBroker, KafkaBroker, running_broker
from tests.streaming import running_stack, wait_until

pytestmark = pytest.mark.kafka
JARS = [f"{name}-{version}.jar" for _, name, version in ARTIFACTS]


def topics_of(broker: KafkaBroker) -> set[str]:
    """The topics that are on a broker, without Kafka's own."""
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        return {name for name in admin.list_topics() if not name.startswith("__")}
    finally:
        admin.close()


def put_program(folder: Path, name: str, script: str) -> None:
    """A program of the test's own in a folder of PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the jars would be, with a Maven that fetches nothing but names."""
    cache = tmp_path / "jars"
    into = 'for word; do case $word in -DoutputDirectory=*) into=${word#*=};; esac; done; mkdir "$into"; cd "$into"'
    put_program(tmp_path / "bin", "mvn", f"{into}; touch {' '.join(JARS)}")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(kafka_broker.CACHE_VARIABLE, str(cache))
    return cache


@contextmanager
def in_the_foreground(port: int) -> Iterator["subprocess.Popen[str]"]:
    """`make kafka`, ready."""
    command = [sys.executable, "-m", "tests.kafka_broker", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready.startswith(f"Kafka {VERSION} on 127.0.0.1:{port}; set VNOME_KAFKA=127.0.0.1:{port}; ")
            yield process
        finally:
            process.kill()


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_what_was_acknowledged_is_there_after_the_plug_was_pulled() -> None:
    with running_broker() as broker:
        ensure_topics([broker.bootstrap], Topics())
        producer = open_producer([broker.bootstrap])
        producer.send(FRAMES, key=b"camera", value=b"x" * 500_000, headers=[("seq", b"1")]).get(20)
        producer.close(timeout=5)
        broker.kill()
        broker.start()
        with running_stack(broker, Topics()) as stack:
            (message,) = stack.messages(FRAMES)
        assert (message.key, len(message.value), message.headers) == (b"camera", 500_000, [("seq", b"1")])


def test_a_folder_that_was_kept_serves_at_another_port(tmp_path: Path) -> None:
    ports = set()
    for there in (set(), {FRAMES}):
        with running_broker(data=tmp_path) as broker:
            ports.add(broker.port)
            assert topics_of(broker) == there
            ensure_topics([broker.bootstrap], Topics(FRAMES, FRAMES, FRAMES))
    assert len(ports) == 2


def test_tests_do_not_share_topics(topics: Topics, kafka: KafkaBroker) -> None:
    with own_topics(kafka) as others:
        names = {*astuple(topics), *astuple(others)}
        assert len(names) == 6
        assert names <= topics_of(kafka)
        with running_stack(kafka, topics) as stack:
            assert stack.messages(topics.frames) == stack.messages(topics.dead) == []
    wait_until(lambda: topics_of(kafka).isdisjoint(astuple(others)), "topics to go with their test")
    assert topics_of(kafka) >= set(astuple(topics))


def test_ctrl_c_ends_it_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    port = kafka_broker.free_port()
    with in_the_foreground(port) as process:
        assert is_listening(port)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 0
    assert not is_listening(port)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("vn-kafka-")]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_it_dies_with_who_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    port = kafka_broker.free_port()
    with in_the_foreground(port) as process:
        process.kill()
        process.wait()
        wait_until(lambda: not is_listening(port), "the broker to die", 10)


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path)
    with socket.create_server(("127.0.0.1", broker.port)), pytest.raises(BrokerError, match="Address already in use"):
        broker.start()


@pytest.mark.parametrize(("port", "reason"), [(0, ": Address already in use"), (70_000, " is not from 0 to 65535")])
def test_a_port_that_cannot_be_had(
    port: int, reason: str, kafka: KafkaBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    port = port or kafka.port
    assert kafka_broker.main(["--port", str(port)]) == kafka_broker.EXIT_SERVICE
    assert capsys.readouterr().err == f"kafka: port {port}{reason}; give another with --port\n"


def test_what_is_missing_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert kafka_broker.missing() is None
    put_program(tmp_path / "only java", "java", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "only java"))
    assert "no mvn is there" in str(kafka_broker.missing())
    with pytest.raises(BrokerError, match="no mvn is there"):
        kafka_broker.jars()
    monkeypatch.setenv("PATH", "")
    assert "no java" in str(kafka_broker.missing())


def test_jars_that_are_there_need_no_maven(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert kafka_broker.jars() == cache
    assert sorted(path.name for path in cache.iterdir()) == sorted(JARS)
    (tmp_path / "bin" / "mvn").unlink()
    monkeypatch.setenv("PATH", str(Path(shutil.which("java") or "").parent))
    assert kafka_broker.jars() == cache


def test_a_folder_of_something_else_stays_as_it_is(cache: Path) -> None:
    cache.mkdir()
    (cache / "diary.txt").write_text("mine")
    with pytest.raises(BrokerError, match="holds something else"):
        kafka_broker.jars()
    assert [path.read_text() for path in cache.iterdir()] == ["mine"]
    assert sorted(path.name for path in cache.parent.iterdir()) == ["bin", "jars", "jars.lock"]


def test_a_maven_that_fails_is_told_in_one_line(cache: Path, tmp_path: Path) -> None:
    put_program(tmp_path / "bin", "mvn", "echo '[ERROR] no such thing'; echo '[ERROR] more'; exit 1")
    with pytest.raises(BrokerError, match=r"cannot fetch Kafka .*: \[ERROR\] no such thing$"):
        kafka_broker.jars()
    assert not cache.exists()


def test_an_old_java_is_told(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_program(tmp_path / "bin", "java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    assert kafka_broker.main(["--port", "0"]) == kafka_broker.EXIT_SERVICE
    assert capsys.readouterr().err.startswith("kafka: java is version 11.0.2, ")


def test_a_broker_of_somebody_else_is_left_alone() -> None:
    broker = GivenBroker("127.0.0.1:9092")
    assert (broker.bootstrap, broker.port) == ("127.0.0.1:9092", 9092)
    for act in (broker.start, broker.stop, broker.kill):
        with pytest.raises(BrokerError, match="not ours"):
            act()
    with pytest.raises(BrokerError, match="not HOST:PORT"):
        GivenBroker("localhost")
