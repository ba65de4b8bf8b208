"""The edge agent: cameras to Kafka, many in one process, each in threads of its own."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import simplejpeg

from edge.capture import capture
from edge.sender import BUDGET_BYTES, CameraSender, Outgoing
from pipeline.detector import ScreenFinder
from pipeline.encoder import Encoder
from pipeline.errors import MediaError
from pipeline.frames import Frame
from pipeline.indexing import INDEX_FPS, INDEX_MAX_SIDE
from pipeline.logs import get_logger
from pipeline.media import read_frames
from pipeline.messages import CODE, END, KEEP_SECONDS, QUERY, REFERENCE
from pipeline.metrics import Metrics
from pipeline.query import QUERY_FPS
from pipeline.views import ViewReader, code_frames
from pipeline.wire import pack_readings

QUALITY = 80  # of JPEG
REFERENCE_QUALITY = 90
STOP_SECONDS = 5.0

log = get_logger(__name__)

Packer = Callable[[Frame, int], Outgoing]


@dataclass(frozen=True)
class CameraConfig:
    """One camera. fps: at most so many frames a second are sent. loop: a file begins anew at its end.

    encode: codes are sent instead of pictures. video, title: with role reference, what the source is.
    """

    camera: str
    source: str
    fps: float = QUERY_FPS
    loop: bool = False
    encode: bool = False
    role: str = QUERY
    video: str = ""
    keep: int = KEEP_SECONDS
    title: str = ""
    budget_bytes: int = BUDGET_BYTES


class Models:
    """What an agent that codes needs."""

    def __init__(self, encoder: Encoder, detector: ScreenFinder) -> None:
        self.encoder, self.detector = encoder, detector

    def packer(self) -> Packer:
        """Makes code messages of one camera's frames."""
        reader = ViewReader()

        def pack(frame: Frame, ts_ns: int) -> Outgoing:
            (seen,) = self.detector.detect([frame.image])
            readings, _ = reader.read(Frame(frame.image, ts_ns / 1e9), seen)
            (coded,) = code_frames(self.encoder, [frame], [readings])
            views = sorted(coded)
            return Outgoing(
                ts_ns,
                pack_readings([coded[view] for view in views]),
                CODE,
                ",".join(map(str, views)),
                self.encoder.bundle.sha256,
            )

        return pack


def jpeg_packer(quality: int = QUALITY) -> Packer:
    """Makes picture messages."""

    def pack(frame: Frame, ts_ns: int) -> Outgoing:
        return Outgoing(ts_ns, simplejpeg.encode_jpeg(frame.image, quality, "RGB", "420"))

    return pack


@dataclass
class CameraResult:
    """How a camera's run ended. error: one line, empty when all went well."""

    camera: str
    sent: int = 0
    dropped: int = 0
    error: str = ""


class Agent:
    """Runs cameras until told to stop, or until all their sources are over."""

    def __init__(
        self, producer: Any, topic: str, cameras: Sequence[CameraConfig], metrics: Metrics, models: Models | None
    ) -> None:
        self._producer, self._topic = producer, topic
        self._cameras, self._metrics, self._models = cameras, metrics, models

    def run(self, stop: threading.Event) -> list[CameraResult]:
        """One result a camera, in their order."""
        results = [CameraResult(config.camera) for config in self._cameras]
        threads = [
            threading.Thread(target=self._run_camera, args=(config, result, stop), name=config.camera, daemon=True)
            for config, result in zip(self._cameras, results, strict=True)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.2)
        return results

    def _run_camera(self, config: CameraConfig, result: CameraResult, stop: threading.Event) -> None:
        sender = CameraSender(
            self._producer, self._topic, config.camera, self._metrics, config.budget_bytes, config.role, config.video,
            config.keep,
        )  # fmt: skip
        try:
            (self._send_reference if config.role == REFERENCE else self._send_live)(config, sender, stop)
        except MediaError as error:
            result.error = str(error)
        finally:
            sender.close(STOP_SECONDS if config.role != REFERENCE else 60.0)
            result.sent, result.dropped = sender.sent, sender.dropped
            log.info("camera done", camera=config.camera, sent=sender.sent, dropped=sender.dropped)

    def _send_live(self, config: CameraConfig, sender: CameraSender, stop: threading.Event) -> None:
        pack = self._models.packer() if config.encode and self._models else jpeg_packer()

        def reconnected() -> None:
            self._metrics.reconnects_total.labels("source").inc()

        for captured in capture(config.source, config.fps, config.loop, stop, reconnected):
            started = time.monotonic()
            message = pack(captured.frame, captured.ts_ns)
            self._metrics.stage_seconds.labels("pack").observe(time.monotonic() - started)
            sender.offer(message)

    def _send_reference(self, config: CameraConfig, sender: CameraSender, stop: threading.Event) -> None:
        """A film as fast as Kafka takes it, every frame, and its end."""
        pack, origin_ns, last_ns = jpeg_packer(REFERENCE_QUALITY), time.time_ns(), 0
        for frame in read_frames(config.source, max_fps=INDEX_FPS, max_side=INDEX_MAX_SIDE):
            last_ns = max(origin_ns + round(frame.pts_seconds * 1e9), last_ns + 1)
            if not sender.put(pack(frame, last_ns), stop):
                return
        about = {"title": config.title or config.video, "source_name": config.source.rpartition("/")[2]}
        sender.put(Outgoing(last_ns + 1, json.dumps(about).encode(), END), stop)
