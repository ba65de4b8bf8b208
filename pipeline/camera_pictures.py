"""Small pictures of what cameras see: the newest of each, and that of when a sighting began; for people to look at."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from pipeline import keys
from pipeline.frames import RgbImage
from pipeline.store import Store

SIDE = 320  # pixels of the longer side
QUALITY = 70  # of the JPEG: about 12 kB
EVERY_SECONDS = 1.0  # a camera's picture is renewed
CAMERA_MS = 3_600_000  # for which a silent camera's last picture is kept
SIGHTING_MS = 14 * 24 * 3_600_000
SEEN_SECONDS = 86_400.0  # a camera that was silent for longer is not told of


@dataclass(frozen=True)
class CameraPicture:
    """ts_ns: capture time, ns since the epoch."""

    ts_ns: int
    jpeg: bytes = field(repr=False)


class CameraPictures:
    """The pictures in a store. Raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store, self._client = store, store.client
        self._put_at: dict[str, float] = {}

    def due(self, camera: str) -> bool:
        """Whether this process should renew a camera's picture; the answer is once yes."""
        now = time.monotonic()
        if now - self._put_at.get(camera, -EVERY_SECONDS) < EVERY_SECONDS:
            return False
        self._put_at[camera] = now
        return True

    def put(self, pictures: Sequence[tuple[str, int, RgbImage]]) -> None:
        """Keeps the newest pictures of cameras: (camera, capture time in ns, uint8 (H, W, 3) RGB)."""
        if not pictures:
            return
        with self._store.errors():
            pipe = self._client.pipeline(transaction=False)
            for camera, ts_ns, image in pictures:
                name = keys.camera_frame(camera)
                pipe.hset(name, mapping={"ts": ts_ns, "jpeg": small_jpeg(image)})
                pipe.pexpire(name, CAMERA_MS)
            pipe.execute()

    def of_camera(self, camera: str) -> CameraPicture | None:
        """The newest one; None when none is kept."""
        return self._read(keys.camera_frame(camera))

    def of_sighting(self, sighting: str) -> CameraPicture | None:
        """That of when a sighting began; None when none is kept."""
        return self._read(keys.sighting_frame(sighting))

    def sighting_times(self, sightings: Sequence[str]) -> list[int | None]:
        """Capture times, ns, of the pictures of sightings; None where there is none."""
        with self._store.errors():
            found = self._store.many([("HGET", keys.sighting_frame(sighting), "ts") for sighting in sightings])
        return [int(ts) if ts else None for ts in found]

    def kept(self, cameras: Sequence[str]) -> list[bool]:
        """Whether there is a picture of each camera."""
        with self._store.errors():
            return [bool(found) for found in self._store.many([("EXISTS", keys.camera_frame(c)) for c in cameras])]

    def cameras(self) -> list[tuple[str, float]]:
        """The cameras of the last day, and the time of each one's newest frame, epoch seconds."""
        with self._store.errors():
            found: Any = self._client.zrangebyscore(keys.CAMERAS, time.time() - SEEN_SECONDS, "+inf", withscores=True)
        return [(name.decode(), float(seen)) for name, seen in found]

    def _read(self, name: str) -> CameraPicture | None:
        with self._store.errors():
            ts, jpeg = self._client.hmget(name, ["ts", "jpeg"])
        return CameraPicture(int(ts), bytes(jpeg)) if ts and jpeg else None  # type: ignore[arg-type]


def keep_for_sighting(pipe: Any, camera: str, sighting: str) -> None:
    """Queues, on a pipeline, that a camera's picture of now becomes that of a sighting."""
    name = keys.sighting_frame(sighting)
    pipe.copy(keys.camera_frame(camera), name, replace=True)
    pipe.pexpire(name, SIGHTING_MS)


def small_jpeg(image: RgbImage) -> bytes:
    """A picture, uint8 (H, W, 3) RGB, at most `SIDE` pixels a side, as JPEG."""
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    if scale < 1:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        image = np.asarray(cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA), np.uint8)
    _, packed = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return packed.tobytes()
