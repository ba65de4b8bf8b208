"""The part of a picture that shows film: black bars above, below and beside it are set aside."""

import numpy as np
import numpy.typing as npt

from pipeline.encoder import Corners
from pipeline.frames import RgbImage

BLACK_LEVEL = 36  # of 255; bars are 0 to 16, with coding noise on top
PICTURE_LEVEL = 60  # of 255; a picture that never gets brighter tells nothing about bars
LEAST_SHARE = 0.4  # of the side; less is not a letter-box but a dark scene
EDGE_PIXELS = 2  # a bar thinner than this is no bar


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
        row_rank, column_rank = max(width // 50, 1), max(height // 50, 1)  # specks of noise do not end a bar
        np.maximum(self._rows, np.partition(light, -row_rank, axis=1)[:, -row_rank], out=self._rows)
        np.maximum(self._columns, np.partition(light, -column_rank, axis=0)[-column_rank], out=self._columns)

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


def _span(light: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """First and one past the last place that is not black; (0, 0) when all is black."""
    lit = np.flatnonzero(light > BLACK_LEVEL)
    return (int(lit[0]), int(lit[-1]) + 1) if len(lit) else (0, 0)
