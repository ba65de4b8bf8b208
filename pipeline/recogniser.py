"""Labels of what a picture shows, by any ONNX classifier with a card."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.bundles import Bundle, load_bundle, shipped_bundle
from pipeline.encoder import Corners
from pipeline.errors import BundleError
from pipeline.frames import RgbImage
from pipeline.inference import open_session
from pipeline.settings import settings

RECOGNISER = "recogniser"
NO_RECOGNISER = Path("none")  # as a setting: frames are not labelled
MOST_LABELS = 5  # of a picture
LEAST_PROBABILITY = 0.2  # of a label whose card names no threshold

Labels = list[tuple[str, float]]  # most probable first


class Recogniser:
    """A recogniser bundle, ready to run.

    Its model takes `frames` uint8 (N, H, W, 3) RGB of the card's `size` [H, W] and gives `probabilities`
    float32 (N, L) of the card's `labels`. The card may hold `thresholds` {label: least probability that is told}, one
    `threshold` for all others, `parents` {label: label}, and `none`, the label that means none of these, never told.

    labels, thresholds: by their place. parents: of those labels that have one.
    Raises BundleError when model or card are otherwise.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.bundle = bundle
        labels, size = bundle.card.get("labels"), bundle.card.get("size")
        if not isinstance(labels, list) or not labels or not isinstance(size, list) or len(size) != 2:
            raise BundleError(f"bundle {bundle.folder}: the card of a recogniser needs labels [...] and size [H, W]")
        self.labels = [str(label) for label in labels]
        self.parents = {label: str(parent) for label, parent in self._by_label("parents").items()}
        given, usual = self._by_label("thresholds"), bundle.card.get("threshold", LEAST_PROBABILITY)
        self.thresholds = [_probability(bundle, given.get(label, usual)) for label in self.labels]
        self._none = bundle.card.get("none")
        self._size = (int(size[0]), int(size[1]))
        outputs = {"probabilities": "tensor(float)"}
        self._session = open_session(bundle, threads or 0, {"frames": "tensor(uint8)"}, outputs)

    def recognise(
        self, images: Sequence[RgbImage], corners: Sequence[Corners], share: float = 1.0, most: int = MOST_LABELS
    ) -> list[Labels]:
        """What the part of each picture, uint8 (H, W, 3), inside corners, (4, 2) pixels, shows.

        share: of its threshold that a label must reach to be told. most: labels of a picture.
        """
        if not images:
            return []
        flat = [_flat(image, place, self._size) for image, place in zip(images, corners, strict=True)]
        (probabilities,) = self._session.run(["probabilities"], {"frames": np.stack(flat)})
        return [self._likeliest(row, share)[:most] for row in probabilities]

    def threshold(self, label: str) -> float:
        """The least probability of a label that is told."""
        return self.thresholds[self.labels.index(label)] if label in self.labels else LEAST_PROBABILITY

    def _likeliest(self, probabilities: np.ndarray[tuple[int], np.dtype[np.float32]], share: float) -> Labels:
        return [
            (self.labels[k], float(probabilities[k]))
            for k in np.argsort(-probabilities, kind="stable")
            if probabilities[k] >= share * self.thresholds[k] and self.labels[k] != self._none
        ]

    def _by_label(self, section: str) -> dict[str, Any]:
        """A part of the card that says something of some labels. Raises BundleError when it is none such."""
        given = self.bundle.card.get(section, {})
        if not isinstance(given, dict) or not set(given) <= set(self.labels):
            raise BundleError(
                f"bundle {self.bundle.folder}: {section} of the card must be {{label: ...}} of its labels"
            )
        return given


def _flat(image: RgbImage, corners: Corners, size: tuple[int, int]) -> RgbImage:
    """The part of a picture inside corners as (H, W, 3) of this size; made small first, so that nothing is skipped."""
    height, width = size
    large = min(float(np.ptp(corners[:, 0])) / width, float(np.ptp(corners[:, 1])) / height)
    if large > 1:
        small = cv2.resize(image, None, fx=1 / large, fy=1 / large, interpolation=cv2.INTER_AREA)
        image = np.asarray(small, np.uint8)
        corners = (corners / large).astype(np.float32)
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    warp = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    return np.asarray(cv2.warpPerspective(image, warp, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


@cache
def default_recogniser(folder: Path | None = None) -> Recogniser | None:
    """The recogniser of a bundle, given or named in the settings (`VNOME_RECOGNISER`), else the shipped one.

    None when the setting is "none". Loaded once.
    """
    chosen = folder or settings().recogniser
    if chosen == NO_RECOGNISER:
        return None
    return Recogniser(load_bundle(chosen, RECOGNISER) if chosen else shipped_bundle(RECOGNISER))


def _probability(bundle: Bundle, value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BundleError(f"bundle {bundle.folder}: threshold {value!r} of the card is no number from 0 to 1")
    return float(value)
