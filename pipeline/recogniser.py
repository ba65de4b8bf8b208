"""Labels of what a picture shows, by any ONNX classifier with a card."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.bundles import Bundle, load_bundle
from pipeline.encoder import Corners
from pipeline.errors import BundleError
from pipeline.frames import RgbImage
from pipeline.inference import open_session
from pipeline.settings import settings

RECOGNISER = "recogniser"
MOST_LABELS = 5  # of a picture
LEAST_PROBABILITY = 0.2

Labels = list[tuple[str, float]]  # most probable first


class Recogniser:
    """A recogniser bundle, ready to run.

    Its model takes `frames` uint8 (N, H, W, 3) RGB of the card's `size` [H, W] and gives `probabilities`
    float32 (N, L) of the card's `labels`. Raises BundleError when model or card are otherwise.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.bundle = bundle
        labels, size = bundle.card.get("labels"), bundle.card.get("size")
        if not isinstance(labels, list) or not labels or not isinstance(size, list) or len(size) != 2:
            raise BundleError(f"bundle {bundle.folder}: the card of a recogniser needs labels [...] and size [H, W]")
        self.labels = [str(label) for label in labels]
        self._size = (int(size[0]), int(size[1]))
        outputs = {"probabilities": "tensor(float)"}
        self._session = open_session(bundle, threads or 0, {"frames": "tensor(uint8)"}, outputs)

    def recognise(self, images: Sequence[RgbImage], corners: Sequence[Corners]) -> list[Labels]:
        """The likeliest labels of the part of each picture, uint8 (H, W, 3), inside corners, (4, 2) pixels."""
        if not images:
            return []
        height, width = self._size
        target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        flat = [
            cv2.warpPerspective(image, cv2.getPerspectiveTransform(place, target), (width, height))
            for image, place in zip(images, corners, strict=True)
        ]
        (probabilities,) = self._session.run(["probabilities"], {"frames": np.stack(flat)})
        return [self._likeliest(row) for row in probabilities]

    def _likeliest(self, probabilities: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Labels:
        best = np.argsort(-probabilities)[:MOST_LABELS]
        return [(self.labels[k], float(probabilities[k])) for k in best if probabilities[k] >= LEAST_PROBABILITY]


@cache
def default_recogniser(folder: Path | None = None) -> Recogniser | None:
    """The recogniser of the settings (`VNOME_RECOGNISER`); None when there is none. Loaded once."""
    chosen = folder or settings().recogniser
    return Recogniser(load_bundle(chosen, RECOGNISER)) if chosen else None
