"""Where the screen is in a picture, by a detector bundle on ONNX Runtime."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.bundles import Bundle, load_bundle, shipped_bundle
from pipeline.encoder import Corners
from pipeline.frames import RgbImage
from pipeline.inference import cpu_workers, open_session
from pipeline.settings import settings

DETECTOR = "detector"
WORK_SIDE = 320  # pixels of the longer side; trained at 256 to 320
LEAST_SIDE = 32  # pixels of the shorter one, eight cells; a narrower picture is scaled up
MOST_SIDE = 4 * WORK_SIDE  # pixels; a strip that is longer for its width is squeezed, it shows no screen
LEAST_AREA = 0.005  # of the picture's; a smaller screen has too few pixels to code
CLOSER = 0.6  # of the picture's width and height: a screen that takes up less of both is looked at again, closer
CLOSER_LEAST = 0.3  # confidence; what is less likely a screen is not
CLOSER_MARGIN = 0.2  # of the screen's width and height, that is shown around it
CLOSER_AWAY = 0.1  # of the screen's diagonal: how far the second look's corners may be from the first's
CLOSER_DOUBT = 0.1  # by how much it may be less confident
SURE = 0.56  # confidence from which on a screen counts as found: of held-out rooms without one nine in ten are below


@dataclass(frozen=True)
class Sighting:
    """corners: float32 (4, 2), pixels of the picture, clockwise from the film's top left; they may lie outside.

    They are those of the lit screen, black bars included (`pipeline.letterbox` sets those aside), or of the window that
    shows the film. confidence: 0..1, the probability that they are near it.
    """

    corners: Corners
    confidence: float


class ScreenFinder(ABC):
    """Anything that finds screens in pictures."""

    @abstractmethod
    def detect(self, images: Sequence[RgbImage]) -> list[Sighting]:
        """The most convincing screen of each picture, uint8 (H, W, 3); confidence near 0 where there is none."""


class ScreenDetector(ScreenFinder):
    """A detector bundle, ready to run.

    threads: processor threads; default all. int8: see `open_session`. Raises BundleError when the model cannot be
    loaded or has other inputs and outputs than the contract names.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None, int8: bool | None = None) -> None:
        self.bundle = bundle
        workers = cpu_workers(threads)
        self._pool = ThreadPoolExecutor(workers, "detect") if workers > 1 else None
        outputs = {"corners": "tensor(float)", "confidence": "tensor(float)"}
        inputs, sharing = {"frames": "tensor(uint8)"}, 1 if self._pool else (threads or 0)
        self._session = open_session(bundle, sharing, inputs, outputs, int8)

    def detect(self, images: Sequence[RgbImage]) -> list[Sighting]:
        """See `ScreenFinder.detect`."""
        if self._pool is None or len(images) < 2:
            return [self._find(image) for image in images]
        return list(self._pool.map(self._find, images))

    def _find(self, image: RgbImage) -> Sighting:
        """A small screen's corners come from a second look, in which it is larger; its confidence is the first's."""
        first = self._look(image)
        window = _window(first.corners, image) if first.confidence > CLOSER_LEAST else None
        if window is None:
            return first
        left, top, right, bottom = window
        second = self._look(image[top:bottom, left:right])
        corners = second.corners + np.array([left, top], np.float32)
        away = np.linalg.norm(corners - first.corners, axis=1).mean() / _diagonal(first.corners)
        if away > CLOSER_AWAY or second.confidence < first.confidence - CLOSER_DOUBT:
            return first
        return Sighting(corners, first.confidence)

    def _look(self, image: RgbImage) -> Sighting:
        height, width = image.shape[:2]
        scale = max(WORK_SIDE / max(height, width), LEAST_SIDE / min(height, width))
        size = tuple(int(np.clip(round(side * scale), LEAST_SIDE, MOST_SIDE)) for side in (width, height))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(image, size, interpolation=method)
        corners, confidence = self._session.run(["corners", "confidence"], {"frames": small[None]})
        places = (corners[0] * np.array([width / size[0], height / size[1]], np.float32)).astype(np.float32)
        return Sighting(places, float(confidence[0]) if _is_outline(places, height * width) else 0.0)


def _window(corners: Corners, image: RgbImage) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of a small screen's surroundings, in pixels; None for a screen that is large."""
    size = np.array(image.shape[1::-1])
    least, most = corners.min(axis=0), corners.max(axis=0)
    if ((most - least) > CLOSER * size).any():
        return None
    margin = CLOSER_MARGIN * (most - least)
    left, top = np.floor(np.maximum(least - margin, 0)).astype(int)
    right, bottom = np.ceil(np.minimum(most + margin, size)).astype(int)
    return (left, top, right, bottom) if min(right - left, bottom - top) >= LEAST_SIDE else None


def _diagonal(corners: Corners) -> float:
    return float(np.linalg.norm(corners[2] - corners[0]) + np.linalg.norm(corners[3] - corners[1])) / 2


def _is_outline(corners: Corners, picture_area: float) -> bool:
    """Whether the corners make a convex outline, clockwise, of some size."""
    area = float(cv2.contourArea(corners, oriented=True))
    return bool(cv2.isContourConvex(corners)) and area > LEAST_AREA * picture_area


@cache
def default_detector(folder: Path | None = None) -> ScreenDetector:
    """The detector of the settings (`VNOME_DETECTOR`), or the one that VNOME ships; loaded once."""
    chosen = folder or settings().detector
    return ScreenDetector(load_bundle(chosen, DETECTOR) if chosen else shipped_bundle(DETECTOR))
