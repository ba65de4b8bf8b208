"""A camera over secured connections all the way, from `vnome ingest` over Kafka and `vnome process` to Redis."""

import json
from collections.abc import Iterator

import pytest

from edge.demo import sample_films
from pipeline.broker import Topics
from tests.commands import BUNNY
from tests.conftest import own_topics
from tests.kafka_broker import KafkaBroker
from tests.redis_locks import RedisLocks
from tests.streaming import running_stack, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.redis_tls]


@pytest.fixture
def topics(locked_kafka: KafkaBroker) -> Iterator[Topics]:
    """Topics of the test's own on the secured broker."""
    with own_topics(locked_kafka) as names:
        yield names


def test_codes_of_a_camera_arrive(locked_kafka: KafkaBroker, topics: Topics, redis_locks: RedisLocks) -> None:
    assert locked_kafka.locks is not None
    with running_stack(locked_kafka, topics, redis_locks) as stack:
        assert stack.environment()["VNOME_KAFKA_SECURITY"] == "sasl_ssl"
        assert stack.redis.url.startswith("rediss://")
        processor = stack.processor("--no-detect")
        film = str(sample_films()[BUNNY])
        ran = stack.vnome("ingest", film, "--camera", "hall", "--fps", "5", "--topic", topics.frames, "--json")
        assert ran.returncode == 0, ran.stderr
        (result,) = json.loads(ran.stdout)["cameras"]
        assert result["sent"] > 20
        wait_until(lambda: len(stack.codes("hall")) == result["sent"], "the codes")
        matcher = stack.matcher()  # ready: its relay has a producer, too
        assert [matcher.stop(), processor.stop()] == [0, 0]
        logs = processor.log.read_text() + matcher.log.read_text() + ran.stderr
        assert not [secret for secret in (locked_kafka.locks.password, redis_locks.password) if secret in logs]
