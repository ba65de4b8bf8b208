"""The agent's sender: bounded, the newest first, every loss counted."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from edge.sender import CameraSender, Outgoing
from pipeline.messages import CODE, REFERENCE
from pipeline.metrics import Metrics
from tests.streaming import wait_until


class Future:
    """Of one message; ends when the test says so."""

    def __init__(self) -> None:
        self._done: list[Callable[[Any], None]] = []
        self._failed: list[Callable[[Any], None]] = []

    def add_callback(self, call: Callable[[Any], None]) -> None:
        self._done.append(call)

    def add_errback(self, call: Callable[[Any], None]) -> None:
        self._failed.append(call)

    def acknowledge(self) -> None:
        for call in self._done:
            call(None)

    def fail(self, error: Exception) -> None:
        for call in self._failed:
            call(error)


class SlowBroker:
    """Stands for kafka-python's producer in front of a broker that answers when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, dict[str, bytes], Future]] = []
        self.refuses: Exception | None = None

    def send(self, topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]], timestamp_ms: int) -> Future:
        if self.refuses:
            raise self.refuses
        self.sent.append((value, dict(headers), Future()))
        return self.sent[-1][2]


@pytest.fixture
def broker() -> SlowBroker:
    return SlowBroker()


def drops(metrics: Metrics, reason: str) -> float:
    return metrics.registry.get_sample_value("vnome_drops_total", {"camera": "c", "reason": reason}) or 0.0


def test_at_most_the_budget_is_in_flight_and_the_newest_frame_is_next(broker: SlowBroker) -> None:
    metrics = Metrics()
    sender = CameraSender(broker, "t", "c", metrics, budget_bytes=1000)
    for k in range(10):
        sender.offer(Outgoing(k, bytes([k]) * 400))
        wait_until(lambda: sender.in_flight_bytes == 800 or len(broker.sent) == k + 1, "the thread", 5)  # noqa: B023
    assert [value[0] for value, _, _ in broker.sent] == [0, 1]
    assert sender.in_flight_bytes == 800
    assert drops(metrics, "newer frame") == 7
    broker.sent[0][2].acknowledge()
    wait_until(lambda: len(broker.sent) == 3, "the newest frame", 5)
    assert broker.sent[2][0][0] == 9
    for _, _, future in broker.sent[1:]:
        future.acknowledge()
    sender.close(5)
    assert (sender.sent, sender.dropped, sender.in_flight_bytes) == (3, 7, 0)


def test_a_frame_larger_than_the_budget_still_goes(broker: SlowBroker) -> None:
    sender = CameraSender(broker, "t", "c", Metrics(), budget_bytes=10)
    sender.offer(Outgoing(0, bytes(50)))
    wait_until(lambda: broker.sent, "the frame", 5)
    broker.sent[0][2].acknowledge()
    sender.close(5)


def test_what_kafka_does_not_take_is_dropped_and_told(broker: SlowBroker) -> None:
    metrics = Metrics()
    sender = CameraSender(broker, "t", "c", metrics)
    sender.offer(Outgoing(0, b"a"))
    wait_until(lambda: broker.sent, "the first", 5)
    broker.sent[0][2].fail(KafkaTimeoutError())
    broker.refuses = MessageSizeTooLargeError()
    sender.offer(Outgoing(1, b"b"))
    wait_until(lambda: sender.dropped == 2, "the second", 5)
    assert drops(metrics, "KafkaTimeoutError") == drops(metrics, "MessageSizeTooLargeError") == 1
    sender.close(1)


def test_numbers_rise_also_over_restarts(broker: SlowBroker) -> None:
    for run in range(2):
        sender, stop = CameraSender(broker, "t", "c", Metrics()), threading.Event()
        for k in range(3):
            sender.put(Outgoing(k, b"x"), stop)
        wait_until(lambda: len(broker.sent) == 3 * (run + 1), "three frames", 5)  # noqa: B023
        for _, _, future in broker.sent[-3:]:
            future.acknowledge()
        sender.close(5)
    numbers = [int(headers["seq"]) for _, headers, _ in broker.sent]
    assert numbers == sorted(set(numbers))


def test_codes_name_their_readings_and_references_their_video(broker: SlowBroker) -> None:
    sender = CameraSender(broker, "t", "c", Metrics(), role=REFERENCE, video="film")
    assert sender.put(Outgoing(5, b"x" * 36, CODE, "4,0", "abc"), threading.Event())
    wait_until(lambda: broker.sent, "the frame", 5)
    headers = broker.sent[0][1]
    assert (headers["views"], headers["encoder"], headers["video"]) == (b"4,0", b"abc", b"film")
    assert (headers["role"], headers["ts"], headers["type"]) == (REFERENCE.encode(), b"5", CODE.encode())
    broker.sent[0][2].acknowledge()
    sender.close(1)


def test_none_is_dropped_where_none_may_be_lost(broker: SlowBroker) -> None:
    sender, stop = CameraSender(broker, "t", "c", Metrics(), budget_bytes=100), threading.Event()
    worker = threading.Thread(target=lambda: [sender.put(Outgoing(k, bytes([k]) * 60), stop) for k in range(5)])
    worker.start()
    for k in range(5):
        wait_until(lambda: len(broker.sent) == k + 1, f"frame {k}", 5)  # noqa: B023
        broker.sent[k][2].acknowledge()
    worker.join()
    sender.close(5)
    assert [value[0] for value, _, _ in broker.sent] == [0, 1, 2, 3, 4]
    assert sender.dropped == 0
    stop.set()
    sender._next = Outgoing(9, b"")
    assert not sender.put(Outgoing(10, b"x"), stop)
