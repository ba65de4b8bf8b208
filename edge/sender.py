"""Frames on their way from one camera to Kafka: bounded in memory, the newest first to go, every loss counted.

kafka-python's producer takes any amount, and keeps it while the broker is away. So the bound is here: of a camera, at
most `budget_bytes` are with the producer and not acknowledged, and one frame more waits; a newer one takes its place.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from kafka.errors import KafkaError

from pipeline.messages import CHANNEL, CODE, JPEG, KEEP_SECONDS, QUERY, frame_headers
from pipeline.metrics import Metrics
from pipeline.tracing import HEADER, root_span

BUDGET_BYTES = 2_000_000  # 4 s of 640 x 360 JPEG at 10 frames a second and more
WAIT_SECONDS = 0.2


@dataclass(frozen=True)
class Outgoing:
    """A message to send. views, encoder: of codes."""

    ts_ns: int
    value: bytes = field(repr=False)
    type: str = JPEG
    views: str = ""
    encoder: str = ""


class CameraSender:
    """Sends the frames of one camera, in a thread of its own.

    role, video, keep_seconds: see `pipeline.messages`. Frame numbers begin at the milliseconds of the epoch, so that
    they rise also over restarts.
    """

    def __init__(
        self, producer: Any, topic: str, camera: str, metrics: Metrics, budget_bytes: int = BUDGET_BYTES,
        role: str = QUERY, video: str = "", keep_seconds: int = KEEP_SECONDS,
    ) -> None:  # fmt: skip
        self._producer, self._topic = producer, topic
        self._camera, self._role, self._video = camera, role, video
        self._keep = {"keep": str(keep_seconds)} if role == CHANNEL else {}
        self._metrics, self._budget_bytes = metrics, budget_bytes
        self._seq = time.time_ns() // 1_000_000
        self._next: Outgoing | None = None
        self._in_flight = 0  # bytes
        self._ended = False
        self._changed = threading.Condition()
        self.sent = self.dropped = 0
        self._thread = threading.Thread(target=self._run, name=f"send {camera}", daemon=True)
        self._thread.start()

    @property
    def in_flight_bytes(self) -> int:
        """With the producer and not acknowledged."""
        return self._in_flight

    def offer(self, message: Outgoing) -> None:
        """Sends this next; a frame that still waits is dropped for it. Does not wait."""
        with self._changed:
            if self._next is not None:
                self._drop("newer frame")
            self._next = message
            self._changed.notify_all()

    def put(self, message: Outgoing, stop: threading.Event) -> bool:
        """Sends this next, after what waits; for frames of which none may be lost. False when told to stop."""
        with self._changed:
            while self._next is not None and not stop.is_set():
                self._changed.wait(WAIT_SECONDS)
            if stop.is_set():
                return False
            self._next = message
            self._changed.notify_all()
        return True

    def close(self, seconds: float) -> None:
        """Sends what waits and waits until all is acknowledged, for at most so long; the rest counts as dropped."""
        deadline = time.monotonic() + seconds
        with self._changed:
            self._changed.wait_for(lambda: self._next is None and not self._in_flight, seconds)
            self._ended = True
            if self._next is not None:
                self._drop("stopped")
                self._next = None
            self._changed.notify_all()
        self._thread.join(max(deadline - time.monotonic(), 0.5))

    def _run(self) -> None:
        while (message := self._take()) is not None:
            self._send(message)

    def _take(self) -> Outgoing | None:
        """The next message, once there is room for it; None at the end."""
        with self._changed:
            while not self._ended:
                message = self._next
                if message is not None and self._has_room(len(message.value)):
                    self._next = None
                    self._in_flight += len(message.value)
                    self._metrics.set_inflight(self._camera, self._in_flight)
                    self._changed.notify_all()
                    return message
                self._changed.wait(WAIT_SECONDS)
        return None

    def _has_room(self, size: int) -> bool:
        return self._in_flight == 0 or self._in_flight + size <= self._budget_bytes

    def _send(self, message: Outgoing) -> None:
        self._seq += 1
        more = {"views": message.views, "encoder": message.encoder} if message.type == CODE else {}
        more |= self._keep
        with root_span("ingest.send", camera=self._camera, seq=self._seq) as trace:
            self._hand_on(message, more | ({HEADER: trace} if trace else {}))

    def _hand_on(self, message: Outgoing, more: dict[str, str]) -> None:
        headers = frame_headers(message.ts_ns, self._seq, message.type, self._role, self._video, **more)
        size = len(message.value)
        try:
            future = self._producer.send(
                self._topic, key=self._camera.encode(), value=message.value, headers=headers,
                timestamp_ms=message.ts_ns // 1_000_000,
            )  # fmt: skip
        except KafkaError as error:  # no broker known, or a frame that is too large
            self._done(size, type(error).__name__)
            return
        future.add_callback(lambda _: self._done(size, None))
        future.add_errback(lambda error: self._done(size, type(error).__name__))

    def _done(self, size: int, failure: str | None) -> None:
        with self._changed:
            self._in_flight -= size
            self._metrics.set_inflight(self._camera, self._in_flight)
            if failure is None:
                self.sent += 1
                self._metrics.count_frame(self._camera, "sent")
            else:
                self._drop(failure)
            self._changed.notify_all()

    def _drop(self, reason: str) -> None:
        self.dropped += 1
        self._metrics.count_drop(self._camera, reason)
