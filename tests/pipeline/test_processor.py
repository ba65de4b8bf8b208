"""A processor in this process, on a real Kafka and Redis; and how its command fails."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.demo import sample_films
from pipeline import keys
from pipeline.attempts import Attempts
from pipeline.broker import (
    Topics,
    bootstrap_servers,
    ensure_topics,
    open_consumer,
    open_producer,
    require_checksums,
)
from pipeline.codes import FrameCodes
from pipeline.dead_letters import DeadLetters
from pipeline.encoder import default_encoder
from pipeline.errors import InputError, KafkaServiceError
from pipeline.frame_worker import FrameWorker
from pipeline.messages import CODE, frame_headers
from pipeline.metrics import Metrics
from pipeline.offsets import Offsets
from pipeline.processor import Processor
from pipeline.settings import settings
from pipeline.stages.decode import Decode
from pipeline.stages.detect import Detect
from pipeline.stages.work import CameraFrame, Stage
from pipeline.store import Store
from pipeline.views import CodedFrame
from tests.bundle_samples import other_bundle
from tests.commands import Vnome
from tests.kafka_broker import KafkaBroker
from tests.ports import free_port
from tests.streaming import film_frames, jpeg, running_stack, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.redis]
BUNNY = sample_films()[0]
SLOW_SECONDS = 1.5  # a batch
BLACK = np.zeros((1, 128), np.float32)


class Count(Stage):
    """Codes a frame by its number, fast; fails on those it is told to."""

    name = "encode"

    def __init__(self, *spoilt: int) -> None:
        self.spoilt, self.batches = spoilt, []  # type: ignore[var-annotated]

    def work(self, frames: Sequence[CameraFrame]) -> None:
        if any(one.message.seq in self.spoilt for one in frames):
            raise RuntimeError("a model fell over")
        self.batches.append(len(frames))
        for one in frames:
            codes = FrameCodes(np.zeros(1), np.array([one.message.seq], np.uint32), np.ones((1, 32), np.float32), BLACK)
            one.coded = CodedFrame(0.0, {0: codes})


@contextmanager
def running(kafka: KafkaBroker, topics: Topics, store: Store, stage: Stage) -> Iterator[tuple[Processor, FrameWorker]]:
    servers, offsets, metrics = [kafka.bootstrap], Offsets(), Metrics()
    producer = open_producer(servers)
    worker = FrameWorker(
        store, Decode("e"), [Detect(None), stage], Attempts(store, topics.frames), DeadLetters(producer, topics.dead),
        offsets, metrics,
    )  # fmt: skip
    consumer = open_consumer(servers, topics.frames, None, 3)
    processor = Processor(consumer, topics.frames, worker, offsets, metrics, 16, 0.02)
    stop, results = threading.Event(), []
    thread = threading.Thread(target=lambda: results.append(processor.run(stop)))
    thread.start()
    try:
        yield processor, worker
    finally:
        stop.set()
        thread.join(60)
        producer.close(timeout=5)
    assert results == [True]


def send(kafka: KafkaBroker, topics: Topics, cameras: Sequence[str], numbers: range) -> None:
    producer = open_producer([kafka.bootstrap])
    value = jpeg(film_frames(BUNNY, 0.2)[0])
    for k in numbers:
        for camera in cameras:
            producer.send(
                topics.frames,
                key=camera.encode(),
                value=value,
                headers=frame_headers(1_000_000_000 + k * 10_000_000, k),
            )
    producer.flush(timeout=30)
    producer.close(timeout=5)


def stored(store: Store, camera: str) -> list[int]:
    entries: Any = store.client.xrange(keys.camera_codes(camera))
    return [int(fields[b"n"]) for _, fields in entries]


def test_frames_are_batched_across_cameras_and_kept_in_order(kafka: KafkaBroker, topics: Topics, store: Store) -> None:
    cameras, stage = [f"c{k}" for k in range(5)], Count()
    send(kafka, topics, cameras, range(40))
    with running(kafka, topics, store, stage) as (processor, _):
        wait_until(lambda: processor.not_ready() is None, "to be ready")
        wait_until(lambda: all(len(stored(store, camera)) == 40 for camera in cameras), "all codes")
        assert processor.stuck() is None
    for camera in cameras:
        assert stored(store, camera) == list(range(40))
    assert sum(stage.batches) == 200
    assert max(stage.batches) > 4


def test_a_stage_that_fails_on_a_frame_costs_that_frame_only(kafka: KafkaBroker, topics: Topics, store: Store) -> None:
    send(kafka, topics, ["c"], range(30))
    with running(kafka, topics, store, Count(7, 20)), running_stack(kafka, topics) as stack:
        wait_until(lambda: len(stored(store, "c")) == 28, "the others")
        wait_until(lambda: len(stack.messages(topics.dead)) == 2, "two dead letters")
        letters = stack.messages(topics.dead)
    assert stored(store, "c") == [k for k in range(30) if k not in (7, 20)]
    for letter, seq in zip(letters, (7, 20), strict=True):
        headers = dict(letter.headers)
        assert (headers["seq"], headers["reason"]) == (str(seq).encode(), b"corrupt")
        assert b"a model fell over" in headers["error"]


def test_the_work_goes_on_where_it_stopped(kafka: KafkaBroker, topics: Topics, store: Store) -> None:
    send(kafka, topics, ["c"], range(20))
    with running(kafka, topics, store, Count()):
        wait_until(lambda: len(stored(store, "c")) == 20, "the first")
    send(kafka, topics, ["c"], range(20, 40))
    again = Count()
    with running(kafka, topics, store, again):
        wait_until(lambda: len(stored(store, "c")) == 40, "the rest")
    assert sum(again.batches) == 20  # all before was committed


class Slow(Count):
    """As Count, and takes its time."""

    def work(self, frames: Sequence[CameraFrame]) -> None:
        time.sleep(SLOW_SECONDS)
        super().work(frames)


def test_a_processor_that_lags_behind_leaves_in_time_what_it_has_not_begun(
    kafka: KafkaBroker, topics: Topics, store: Store
) -> None:
    send(kafka, topics, ["c"], range(120))
    slow, again = Slow(), Count()
    with running(kafka, topics, store, slow) as (_, worker):
        wait_until(lambda: worker.waiting >= 4 and slow.batches, "batches in work")
        begun, stopped_at = len(slow.batches), time.monotonic()
    assert time.monotonic() - stopped_at < 3 * SLOW_SECONDS  # what was taken would take it five times as long
    assert len(slow.batches) <= begun + 1
    first = stored(store, "c")
    assert first == list(range(sum(slow.batches))) and len(first) < 120
    with running(kafka, topics, store, again):
        wait_until(lambda: len(stored(store, "c")) == 120, "the rest")
    assert stored(store, "c") == list(range(120))
    assert sum(again.batches) == 120 - len(first)  # what was written was committed, too
    assert max(again.batches) > 1  # nobody died on them: they need not be taken one by one


def test_a_code_from_the_edge_passes_through(kafka: KafkaBroker, topics: Topics, store: Store) -> None:
    producer = open_producer([kafka.bootstrap])
    value = (0xDEADBEEF).to_bytes(4, "little") + bytes(32)
    producer.send(topics.frames, key=b"phone", value=value, headers=frame_headers(10**18, 1, CODE, encoder="e")).get(20)
    producer.close(timeout=5)
    with running(kafka, topics, store, Keep()):
        wait_until(lambda: stored(store, "phone") == [1], "the code")
    entries: Any = store.client.xrange(keys.camera_codes("phone"))
    ((_, fields),) = entries
    assert fields[b"c"] == value
    assert fields[b"v"] == b"\0"


class Keep(Stage):
    """Does nothing."""

    name = "encode"

    def work(self, frames: Sequence[CameraFrame]) -> None:
        pass


# The command


@pytest.fixture
def vnome(redis_url: str, monkeypatch: pytest.MonkeyPatch, store: Store, capsys: pytest.CaptureFixture[str]) -> Vnome:
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    monkeypatch.setenv("VNOME_KAFKA", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("VNOME_LOG_LEVEL", "error")
    return Vnome(capsys)


@pytest.mark.parametrize("command", ["process", "matcher"])
def test_commands_say_what_is_away(vnome: Vnome, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vnome(command).failed_with(3, "Kafka at 127.0.0.1:", "cannot be reached", "VNOME_KAFKA")
    settings.cache_clear()
    monkeypatch.setenv("VNOME_REDIS", f"redis://127.0.0.1:{free_port()}")
    assert vnome(command).failed_with(3, "cannot be reached", "VNOME_REDIS")


def test_process_needs_kafka(vnome: Vnome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VNOME_KAFKA")
    assert vnome("process").failed_with(2, "VNOME_KAFKA")


def test_a_catalogue_of_another_encoder_is_refused(
    vnome: Vnome, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vnome("index", BUNNY).code == 0
    settings.cache_clear()
    default_encoder.cache_clear()
    monkeypatch.setenv("VNOME_ENCODER", str(other_bundle(tmp_path / "b")))
    assert vnome("process").failed_with(2, "coded with encoder")


def test_addresses_of_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bootstrap_servers("a:1, b.c:2,[::1]:9092") == ["a:1", "b.c:2", "[::1]:9092"]
    for text in ("", " , ", "host", "host:0", "host:99999", "kafka://a:1", "a:1;b:2"):
        with pytest.raises(InputError, match="VNOME_KAFKA"):
            bootstrap_servers(text)


def test_slow_checksums_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    require_checksums()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="crc32c"):
        require_checksums()


def test_topics_are_made_once(kafka: KafkaBroker, topics: Topics) -> None:
    ensure_topics([kafka.bootstrap], topics, 7)
    with running_stack(kafka, topics) as stack:
        assert stack.messages(topics.frames) == []


def test_a_broker_that_is_away_is_told() -> None:
    with pytest.raises(KafkaServiceError, match="cannot be reached"):
        ensure_topics([f"127.0.0.1:{free_port()}"], Topics())


def test_the_lag_of_a_partition_that_goes_away_is_not_told_any_more() -> None:
    metrics = Metrics()
    unused: Any = None
    processor = Processor(unused, "t", unused, Offsets(), metrics)
    for partition in ("0", "1"):
        metrics.consumer_lag.labels("t", partition).set(7)
    processor.revoked([("t", 1)], lost=True)
    (family,) = [family for family in metrics.registry.collect() if family.name == "vnome_consumer_lag"]
    assert [sample.labels["partition"] for sample in family.samples] == ["0"]
