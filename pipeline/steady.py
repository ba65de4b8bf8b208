"""Corners of a screen that do not tremble, for measuring how light moves on it.

A detector's corners are off by another pixel or two in each picture. That matters little to codes, but at the edge of a
line of text it moves more light than a speaker's hand does. What stands still on the screen tells how much they are off
from picture to picture: its corners are followed (Shi, Tomasi, "Good features to track", CVPR 1994; Lucas, Kanade, "An
iterative image registration technique", IJCAI 1981) and the plane's motion that most of them agree on is taken back
(RANSAC; Fischler, Bolles, Comm. ACM 1981).
"""

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.encoder import Corners
from pipeline.frames import RgbImage

SIDE = (256, 144)  # pixels, width and height, at which a screen is looked at
POINTS, APART, QUALITY = 120, 5, 0.02  # followed at most; pixels between them; of the strongest one's strength
LEAST_POINTS, LEAST_SHARE = 12, 0.4  # that must agree; with fewer the picture is another one
AGREED_PIXELS = 0.7  # off the plane's motion
PULL = 0.005  # a picture: how fast the followed corners go back to the detector's
MOST_OFF = 0.08  # of the screen's sides; followed further, it is the film that moves and not the corners

Plane = npt.NDArray[np.float64]  # (3, 3) homography

_EDGES = np.array([[0, 0], [SIDE[0], 0], SIDE, [0, SIDE[1]]], np.float32)
_SEARCH = {"winSize": (15, 15), "maxLevel": 2, "criteria": (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 12, 0.02)}


class Steadier:
    """Takes the pictures of one camera in their order."""

    def __init__(self) -> None:
        self._seen: npt.NDArray[np.uint8] | None = None
        self._points: npt.NDArray[np.float32] | None = None
        self._plane: Plane = np.eye(3)  # from the steady screen to the detector's, both at `SIDE`

    def forget(self) -> None:
        """The screen is out of sight."""
        self._seen = self._points = None
        self._plane = np.eye(3)

    def add(self, image: RgbImage, corners: Corners) -> Corners:
        """The corners, float32 (4, 2) in pixels of the image, as they would be if they moved with the screen alone.

        image: uint8 (H, W, 3). corners: what the detector says, followed by `ScreenTracker`.
        """
        to_screen = cv2.getPerspectiveTransform(corners.astype(np.float32), _EDGES)
        seen = np.asarray(cv2.warpPerspective(image[:, :, 1], to_screen, SIDE), np.uint8)
        moved = self._moved(seen)
        plane = np.eye(3) if moved is None else moved @ self._plane
        plane = (1 - PULL) * plane / plane[2, 2] + PULL * np.eye(3)
        steady = cv2.perspectiveTransform(_EDGES[None], plane)[0]
        if np.abs(steady - _EDGES).max() > MOST_OFF * SIDE[0]:
            plane, steady = np.eye(3), _EDGES
        self._plane, self._seen = plane, seen
        points = cv2.goodFeaturesToTrack(seen, POINTS, QUALITY, APART)
        self._points = None if points is None else np.asarray(points, np.float32)  # None for an even picture
        return np.asarray(cv2.perspectiveTransform(steady[None], np.linalg.inv(to_screen))[0], np.float32)

    def _moved(self, seen: npt.NDArray[np.uint8]) -> Plane | None:
        """How the screen's picture moved since the last one; None when it is another picture."""
        if self._seen is None or self._points is None or len(self._points) < LEAST_POINTS:
            return None
        reached, found, _ = cv2.calcOpticalFlowPyrLK(self._seen, seen, self._points, None, **_SEARCH)  # type: ignore[call-overload]
        kept = found.ravel() == 1
        if kept.sum() < LEAST_POINTS:
            return None
        plane, agreed = cv2.findHomography(self._points[kept], reached[kept], cv2.RANSAC, AGREED_PIXELS, maxIters=200)
        if plane is None or agreed.sum() < max(LEAST_POINTS, LEAST_SHARE * len(self._points)):
            return None
        return np.asarray(plane, np.float64)
