"""Finding the screen in a camera's picture: four straight edges around a surface whose picture changes.

A first, classical finder (no network): convex quadrilaterals from edges and from brightness, scored by the contrast
along their sides and by how much more changes inside than outside, then followed from frame to frame.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.encoder import Corners
from pipeline.frames import RgbImage

WORK_WIDTH = 320  # pixels; edges of a screen survive this, those of its content mostly do not
LEAST_AREA = 0.05  # of the picture; a smaller screen has too few pixels to code
MOST_AREA = 0.92  # of the picture; a larger one is the picture itself, which is coded anyway
LEAST_CONFIDENCE = 0.15  # an outline that hardly lies on edges is none
SAME_SCREEN = 0.06  # of the picture's diagonal; corners closer than this are the same screen
FOLLOW = 0.35  # share of a new sighting in the followed corners: hand shake is slower than corner noise
FORGET_AFTER = 8  # frames without a sighting
CHANGE_MEMORY = 0.9  # of the change map from frame to frame

Grey = npt.NDArray[np.uint8]
FloatMap = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sighting:
    """corners: float32 (4, 2), pixels of the picture, clockwise from top left. confidence: 0..1."""

    corners: Corners
    confidence: float


@dataclass
class ScreenFinder:
    """Follows the screen through consecutive frames of one camera."""

    _change: FloatMap = field(default_factory=lambda: np.zeros((0, 0), np.float32), repr=False)
    _last: Grey = field(default_factory=lambda: np.zeros((0, 0), np.uint8), repr=False)
    _followed: Sighting | None = None
    _missed: int = 0

    def add(self, image: RgbImage) -> Sighting | None:
        """Takes the next picture, uint8 (H, W, 3), and says where the screen is in it, None for nowhere."""
        height, width = image.shape[:2]
        scale = WORK_WIDTH / width
        size = (WORK_WIDTH, max(round(height * scale), 8))
        grey = np.asarray(
            cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA), np.uint8
        )
        self._note_change(grey)
        best = self._best(grey)
        self._follow(best, float(np.hypot(*size)))
        if self._followed is None:
            return None
        return Sighting((self._followed.corners / scale).astype(np.float32), self._followed.confidence)

    def _note_change(self, grey: Grey) -> None:
        if self._last.shape == grey.shape:
            difference = cv2.absdiff(cv2.GaussianBlur(grey, (5, 5), 0), cv2.GaussianBlur(self._last, (5, 5), 0))
            self._change = CHANGE_MEMORY * self._change + (1 - CHANGE_MEMORY) * difference.astype(np.float32)
        else:
            self._change = np.zeros(grey.shape, np.float32)
            self._followed = None
        self._last = grey

    def _best(self, grey: Grey) -> Sighting | None:
        gradient = _gradient(grey)
        best: Sighting | None = None
        for quad in _quadrilaterals(grey):
            score = _side_contrast(gradient, quad) * (0.3 + 0.7 * self._liveliness(quad))
            if score >= (LEAST_CONFIDENCE if best is None else best.confidence):
                best = Sighting(quad, score)
        return best

    def _liveliness(self, quad: Corners) -> float:
        """Share of the change that is inside, against the share of the area: 0 no livelier, 1 all is inside."""
        mask = np.zeros(self._change.shape, np.uint8)
        cv2.fillConvexPoly(mask, np.round(quad).astype(np.int32), 1)
        total = float(self._change.sum())
        if total < 0.3 * mask.size:  # nothing moves: no evidence
            return 0.5
        area = float(mask.mean())
        inside = float(self._change[mask > 0].sum()) / total
        return float(np.clip((inside - area) / max(1 - area, 1e-3), 0, 1))

    def _follow(self, seen: Sighting | None, diagonal: float) -> None:
        held = self._followed
        if seen is None or (held is not None and _apart(seen, held) > SAME_SCREEN * diagonal):
            self._missed += 1
            if held is None or self._missed <= FORGET_AFTER:
                return
            self._followed, self._missed = seen, 0
        elif held is None:
            self._followed, self._missed = seen, 0
        else:
            corners = (1 - FOLLOW) * held.corners + FOLLOW * seen.corners
            confidence = 0.8 * held.confidence + 0.2 * seen.confidence
            self._followed, self._missed = Sighting(corners.astype(np.float32), confidence), 0


def _apart(a: Sighting, b: Sighting) -> float:
    return float(np.abs(a.corners - b.corners).max())


def _gradient(grey: Grey) -> FloatMap:
    """Strength of the light's change at each pixel, float32 (H, W)."""
    smooth = cv2.GaussianBlur(grey, (3, 3), 0)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(across, down), dtype=np.float32)


def _quadrilaterals(grey: Grey) -> list[Corners]:
    """Convex quadrilaterals among the outlines of edges and of bright and dark regions."""
    smooth = cv2.bilateralFilter(grey, 5, 40, 5)
    masks = [cv2.dilate(cv2.Canny(smooth, low, low * 3), np.ones((3, 3), np.uint8)) for low in (15, 40)]
    for level in np.percentile(smooth, (30, 50, 70, 85)):
        masks.append(np.where(smooth > level, 255, 0).astype(np.uint8))
    quads: list[Corners] = []
    for mask in masks:
        closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        for outline in cv2.findContours(closed, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]:
            quad = _as_quadrilateral(np.asarray(outline), grey.size)
            if quad is not None:
                quads.append(quad)
    return quads


def _as_quadrilateral(outline: npt.NDArray[np.int32], picture_area: int) -> Corners | None:
    hull = cv2.convexHull(outline)
    area = cv2.contourArea(hull)
    if not LEAST_AREA * picture_area < area < MOST_AREA * picture_area:
        return None
    length = cv2.arcLength(hull, True)
    for tolerance in (0.02, 0.04, 0.06):
        corners = cv2.approxPolyDP(hull, tolerance * length, True)
        if len(corners) == 4:
            quad = np.asarray(corners, np.float32).reshape(4, 2)
            return _clockwise(quad) if abs(cv2.contourArea(quad)) > 0.9 * area else None
    return None


def _clockwise(quad: Corners) -> Corners:
    """The same corners clockwise from the top left one, for a screen that is not turned by half."""
    centre = quad.mean(axis=0)
    order = np.argsort(np.arctan2(quad[:, 1] - centre[1], quad[:, 0] - centre[0]))
    quad = quad[order]
    return np.roll(quad, -int(np.argmin(quad.sum(axis=1))), axis=0)


def _side_contrast(gradient: FloatMap, quad: Corners) -> float:
    """How much of the outline lies on an edge, 0..1; the weakest side counts half."""
    along = np.linspace(0.05, 0.95, 24)[:, None]
    sides = []
    height, width = gradient.shape
    for start, stop in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        points = start * (1 - along) + stop * along
        direction = (stop - start) / max(float(np.hypot(*(stop - start))), 1e-3)
        normal = np.array([-direction[1], direction[0]])
        strengths = []
        for shift in (-2, -1, 0, 1, 2):
            x = np.clip(np.round(points[:, 0] + shift * normal[0]), 0, width - 1).astype(int)
            y = np.clip(np.round(points[:, 1] + shift * normal[1]), 0, height - 1).astype(int)
            strengths.append(gradient[y, x])
        sides.append(float((np.max(strengths, axis=0) > 40).mean()))
    return 0.5 * min(sides) + 0.5 * float(np.mean(sides))
