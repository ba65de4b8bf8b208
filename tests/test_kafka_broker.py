"""The broker that the other tests run on."""

from pathlib import Path

import pytest

from pipeline.broker import FRAMES, Topics, ensure_topics, open_producer
from tests import kafka_broker
from tests.kafka_broker import BrokerError, KafkaBroker, running_broker
from tests.streaming import running_stack

pytestmark = pytest.mark.kafka


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


def test_tests_do_not_share_topics(topics: Topics, kafka: KafkaBroker) -> None:
    with running_stack(kafka, topics) as stack:
        assert stack.messages(topics.frames) == stack.messages(topics.dead) == []


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kafka_broker.CACHE_VARIABLE, str(tmp_path / "none"))
    monkeypatch.setenv("PATH", "")
    assert "no java" in str(kafka_broker.missing())
    with pytest.raises(BrokerError, match="no java"):
        kafka_broker.jars()


def test_a_port_that_is_taken(
    kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kafka", "--port", str(kafka.port)])
    assert kafka_broker.main() == kafka_broker.EXIT_SERVICE
    assert capsys.readouterr().err.startswith(f"kafka: port {kafka.port}")
