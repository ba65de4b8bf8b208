"""The part of a picture that shows film: black bars above, below and beside it are set aside."""

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
SCREEN_BAR_LIGHT = 0.3  # of the range from dark to bright: a bar with the room's light on it
SCREEN_CONTRAST = 24.0  # grey levels between dark and bright; less tells nothing about bars
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

    Fed with the screen's place in each picture; bars are even, and stay dark while the film's own rows get bright.
    """

    def __init__(self) -> None:
        self._light = np.zeros(SCREEN_SIZE[::-1], np.float32)

    def add(self, image: RgbImage, screen: Corners) -> None:
        """Takes one picture, uint8 (H, W, 3), into account."""
        warp = cv2.getPerspectiveTransform(screen.astype(np.float32), _SCREEN_EDGES)
        seen = cv2.warpPerspective(image[:, :, 1], warp, SCREEN_SIZE)
        np.maximum(self._light, cv2.GaussianBlur(seen, (3, 3), 0), out=self._light)

    def inside(self, screen: Corners) -> Corners | None:
        """Corners of the film in a picture that shows the screen at these corners, or None when there are no bars."""
        width, height = SCREEN_SIZE
        bar_x, bar_y = (_even_bar(np.quantile(self._light, 0.9, axis=axis)) for axis in (0, 1))
        if bar_x == bar_y == 0:
            return None
        right, bottom = width - bar_x, height - bar_y
        film = np.array([[bar_x, bar_y], [right, bar_y], [right, bottom], [bar_x, bottom]])
        warp = cv2.getPerspectiveTransform(_SCREEN_EDGES, screen.astype(np.float32))
        return np.asarray(cv2.perspectiveTransform(film[None].astype(np.float32), warp)[0], np.float32)


def _even_bar(light: npt.NDArray[np.float64]) -> int:
    """Width of the bars at both ends of a profile of light, 0 when there are none as wide as each other."""
    dark, bright = float(light.min()), float(light.max())
    lit = np.flatnonzero(light > dark + SCREEN_BAR_LIGHT * (bright - dark))
    if bright - dark < SCREEN_CONTRAST or len(lit) == 0:
        return 0
    first, last = int(lit[0]), len(light) - 1 - int(lit[-1])
    uneven = abs(first - last) > SCREEN_UNEVEN * len(light)
    narrow = min(first, last) < SCREEN_LEAST_BAR * len(light)
    wide = max(first, last) > SCREEN_MOST_BAR * len(light)
    return 0 if uneven or narrow or wide else round((first + last) / 2)
