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
SURE = 0.56  # confidence from which on a screen counts as found: of held-out rooms without one nine in ten are below


@dataclass(frozen=True)
class Sighting:
    """corners: float32 (4, 2), pixels of the picture, clockwise from the film's top left; they may lie outside.

    confidence: 0..1, the probability that they are near the film's picture.
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

    threads: processor threads; default all. Raises BundleError when the model cannot be loaded or has other
    inputs and outputs than the contract names.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.bundle = bundle
        workers = cpu_workers(threads)
        self._pool = ThreadPoolExecutor(workers, "detect") if workers > 1 else None
        outputs = {"corners": "tensor(float)", "confidence": "tensor(float)"}
        self._session = open_session(bundle, 1 if self._pool else (threads or 0), {"frames": "tensor(uint8)"}, outputs)

    def detect(self, images: Sequence[RgbImage]) -> list[Sighting]:
        """See `ScreenFinder.detect`."""
        if self._pool is None or len(images) < 2:
            return [self._look(image) for image in images]
        return list(self._pool.map(self._look, images))

    def _look(self, image: RgbImage) -> Sighting:
        height, width = image.shape[:2]
        scale = max(WORK_SIDE / max(height, width), LEAST_SIDE / min(height, width))
        size = tuple(int(np.clip(round(side * scale), LEAST_SIDE, MOST_SIDE)) for side in (width, height))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(image, size, interpolation=method)
        corners, confidence = self._session.run(["corners", "confidence"], {"frames": small[None]})
        places = (corners[0] * np.array([width / size[0], height / size[1]], np.float32)).astype(np.float32)
        return Sighting(places, float(confidence[0]) if _is_outline(places, height * width) else 0.0)


def _is_outline(corners: Corners, picture_area: float) -> bool:
    """Whether the corners make a convex outline, clockwise, of some size."""
    area = float(cv2.contourArea(corners, oriented=True))
    return bool(cv2.isContourConvex(corners)) and area > LEAST_AREA * picture_area


@cache
def default_detector(folder: Path | None = None) -> ScreenDetector:
    """The detector of the settings (`VNOME_DETECTOR`), or the one that VNOME ships; loaded once."""
    chosen = folder or settings().detector
    return ScreenDetector(load_bundle(chosen, DETECTOR) if chosen else shipped_bundle(DETECTOR))
