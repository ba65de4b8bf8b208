"""The part of a picture that shows film: black bars above, below and beside it are set aside."""

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.encoder import Corners
from pipeline.frames import RgbImage

BLACK_LEVEL = 36  # of 255; bars are 0 to 16, with coding noise on top
PICTURE_LEVEL = 60  # of 255; a picture that never gets brighter tells nothing about bars
LEAST_SHARE = 0.4  # of the side; less is not a letter-box but a dark scene
THINNED = 4  # every so many pixels of a row tell how bright it is
EDGE_PIXELS = 2  # a bar thinner than this is no bar

SCREEN_SIZE = (128, 72)  # pixels, width and height, of a screen that a camera sees, rectified
SCREEN_CONTRAST = 24.0  # grey levels between the outermost rows and those in the middle; less tells nothing about bars
SCREEN_STEP = 12.0, 0.12  # grey levels, and share of that contrast, by which a film's first row is brighter than a bar
SCREEN_GRAIN = 0.6  # of a film's own from pixel to pixel: what a bar may have
SCREEN_LEAST_BAR, SCREEN_MOST_BAR = 0.04, 0.36  # of the screen's side: 1.93 : 1, and 1 : 2 upright, on 16 : 9
SCREEN_UNEVEN = 0.04  # of the side: the two bars differ by less
_SCREEN_EDGES = np.array([[0, 0], [SCREEN_SIZE[0], 0], SCREEN_SIZE, [0, SCREEN_SIZE[1]]], np.float32)


class ActiveArea:
    """Finds the bars of a source from the brightest light that each row and column ever showed.

    Fed with frames of one size; a frame of another size starts it anew.
    """

    def __init__(self) -> None:
        self._rows: npt.NDArray[np.uint8] = np.empty(0, np.uint8)
        self._columns: npt.NDArray[np.uint8] = np.empty(0, np.uint8)

    def add(self, image: RgbImage) -> None:
        """Takes one picture, uint8 (H, W, 3), into account."""
        height, width = image.shape[:2]
        if (len(self._rows), len(self._columns)) != (height, width):
            self._rows, self._columns = np.zeros(height, np.uint8), np.zeros(width, np.uint8)
        light = image[:, :, 1]  # green carries most of the luma, and is there without arithmetic
        np.maximum(self._rows, _nearly_brightest(light[:, ::THINNED]), out=self._rows)
        np.maximum(self._columns, _nearly_brightest(light[::THINNED].T), out=self._columns)

    def corners(self) -> Corners | None:
        """Corners of the film within the picture, or None when there are no bars."""
        if len(self._rows) == 0 or self._rows.max() < PICTURE_LEVEL:
            return None
        top, bottom = _span(self._rows)
        left, right = _span(self._columns)
        height, width = len(self._rows), len(self._columns)
        bars = max(top, height - bottom, left, width - right)
        if bars <= EDGE_PIXELS or bottom - top < LEAST_SHARE * height or right - left < LEAST_SHARE * width:
            return None
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)


def _nearly_brightest(light: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Of each row the light that one pixel in fifty exceeds: specks of noise do not end a bar."""
    rank = max(light.shape[1] // 50, 1)
    brightest: npt.NDArray[np.uint8] = np.partition(np.ascontiguousarray(light), -rank, axis=1)[:, -rank]
    return brightest


def _span(light: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """First and one past the last place that is not black; (0, 0) when all is black."""
    lit = np.flatnonzero(light > BLACK_LEVEL)
    return (int(lit[0]), int(lit[-1]) + 1) if len(lit) else (0, 0)


class ScreenBars:
    """Finds the bars that a screen shows beside a film of another shape, as a camera sees them: not quite black.

    Fed with the screen's place in each picture; bars are even and smooth, and stay dark while the film's own rows get
    bright. Where each ends is measured by itself: so the film is found although the screen's corners are a bit off.
    """

    def __init__(self) -> None:
        self._light = np.zeros(SCREEN_SIZE[::-1], np.float32)
        self._sum = np.zeros(SCREEN_SIZE[::-1], np.float32)
        self._pictures = 0

    def add(self, image: RgbImage, screen: Corners) -> None:
        """Takes one picture, uint8 (H, W, 3), into account."""
        middles = np.float32(0.5)  # of pixels, where OpenCV has whole numbers
        warp = cv2.getPerspectiveTransform(screen.astype(np.float32) - middles, _SCREEN_EDGES - middles)
        seen = cv2.GaussianBlur(cv2.warpPerspective(image[:, :, 1], warp, SCREEN_SIZE), (3, 3), 0)
        np.maximum(self._light, seen, out=self._light)
        self._sum += seen
        self._pictures += 1

    def inside(self, screen: Corners) -> Corners | None:
        """Corners of the film in a picture that shows the screen at these corners, or None when there are no bars."""
        mean = self._sum * np.float32(1 / max(self._pictures, 1))
        across, down = _bars(self._light.T, mean.T), _bars(self._light, mean)
        if across is None and down is None:
            return None
        width, height = SCREEN_SIZE
        left, top, right, bottom = 0.0, 0.0, float(width), float(height)
        if down is not None and (across is None or down.grain <= across.grain):  # a dark scene seems to have both
            top, bottom = down.first, height - down.last
        elif across is not None:
            left, right = across.first, width - across.last
        film = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
        warp = cv2.getPerspectiveTransform(_SCREEN_EDGES, screen.astype(np.float32))
        return np.asarray(cv2.perspectiveTransform(film[None], warp)[0], np.float32)


class _Bars(NamedTuple):
    """first, last: their widths, in rows. grain: of both together, see `_ends`."""

    first: float
    last: float
    grain: float


def _bars(light: npt.NDArray[np.float32], mean: npt.NDArray[np.float32]) -> _Bars | None:
    """Even bars above and below, None when there are none. Both (rows, columns): brightest light, and mean light."""
    profile = np.quantile(light, 0.9, axis=1).astype(np.float32)
    grain = np.abs(np.diff(mean, axis=1)).mean(axis=1)
    above, below = _ends(profile, grain), _ends(profile[::-1], grain[::-1])
    even = [(one, other) for one in above for other in below if abs(one[0] - other[0]) <= SCREEN_UNEVEN * len(profile)]
    if not even:
        return None
    (first, grain), (last, other_grain) = even[0]
    return _Bars(first, last, grain + other_grain)


def _ends(profile: npt.NDArray[np.float32], grain: npt.NDArray[np.float32]) -> list[tuple[float, float]]:
    """Where a bar at the beginning of a profile of light may end, the outermost first: its width, and its grain.

    Light of the room on a bar begins as a film does, but is smooth; and what looks like an end on one side has no
    counterpart on the other.
    """
    rows, (levels, share) = len(profile), SCREEN_STEP
    quarter = rows // 4
    dark, film_grain = (float(np.median(part)) for part in (profile[1:4], grain[quarter : rows - quarter]))
    contrast = float(np.median(profile[quarter : rows - quarter])) - dark
    least, most = math.ceil(SCREEN_LEAST_BAR * rows), math.floor(SCREEN_MOST_BAR * rows)
    ends = []
    for row in range(least, most + 1) if contrast >= SCREEN_CONTRAST else ():
        outside, step = float(profile[row - 2]), float(profile[row + 2] - profile[row - 2])
        lit = profile[row] > dark + max(levels, share * contrast)
        bar_grain, next_grain = float(grain[1 : row - 1].mean()), float(grain[row + 1 : row + 4].mean())
        smooth = bar_grain <= SCREEN_GRAIN * film_grain <= 2 * next_grain
        if not lit or not smooth or step < 1.5 * levels:
            continue
        before = row - 2  # the last row that is less than half lit
        while profile[before + 1] < outside + step / 2:
            before += 1
        rise = float(profile[before + 1] - profile[before])
        ends.append((before + 0.5 + (outside + step / 2 - float(profile[before])) / rise, bar_grain))
    return ends
