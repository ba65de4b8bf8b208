"""The screen followed from frame to frame: each corner by a Kalman filter, with a confidence that remembers.

Kalman, "A new approach to linear filtering and prediction problems", 1960; the model is a corner that moves at a
speed of its own, which the hand changes at random (white acceleration; Bar-Shalom, Li, Kirubarajan, "Estimation with
applications to tracking and navigation", 2001, section 6.2.2). All corners share one variance.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.detector import Sighting

HAND = 0.5  # acceleration of a corner, of the picture's diagonal a second squared
CORNER_NOISE = 0.004  # of the diagonal: a sure sighting's corners; an unsure one's are worse, see `_noise`
LEAST_CONFIDENCE = 0.1  # a sighting with less says nothing
SAME_SCREEN = 0.06  # of the diagonal, beyond the filter's own doubt: sightings further off are another screen
SWITCH_AFTER = 3  # sightings in a row of another screen
FORGET_AFTER_SECONDS = 1.5  # without a sighting; a dark scene or a hand before the lens may take one
CONFIDENCE_SHARE = 0.3  # of a new sighting in the confidence

State = npt.NDArray[np.float64]  # (2, 8): places and speeds, in diagonals and diagonals a second
_START_VARIANCE = np.diag([1.0, 0.1])  # of the place in the noise of its sighting, of the speed in absolute terms


@dataclass
class ScreenTracker:
    """Follows the screen through the sightings of one camera, in the order of their times."""

    _size: tuple[int, int] = (0, 0)
    _state: State | None = None
    _variance: npt.NDArray[np.float64] = field(default_factory=lambda: np.eye(2))
    _confidence: float = 0.0
    _at_seconds: float = 0.0
    _seen_seconds: float = 0.0
    _elsewhere: int = 0

    def add(self, sighting: Sighting, size: tuple[int, int], pts_seconds: float) -> Sighting | None:
        """Takes the next sighting, in a picture of `size` (H, W), and says where the screen is; None for nowhere.

        Another picture size, or a time that goes back, starts anew.
        """
        if size != self._size or pts_seconds < self._at_seconds:
            self._state, self._size = None, size
        diagonal = float(np.hypot(*size))
        measured = (sighting.corners.astype(np.float64) / diagonal).ravel()
        usable = sighting.confidence >= LEAST_CONFIDENCE
        if self._state is None:
            if usable:
                self._start(measured, sighting.confidence, pts_seconds)
        else:
            self._predict(pts_seconds - self._at_seconds)
            self._confidence += CONFIDENCE_SHARE * (sighting.confidence - self._confidence)
            if usable:
                self._correct(measured, sighting.confidence, pts_seconds)
        self._at_seconds = pts_seconds
        if self._state is not None and pts_seconds - self._seen_seconds > FORGET_AFTER_SECONDS:
            self._state = None
        if self._state is None:
            return None
        corners = (self._state[0].reshape(4, 2) * diagonal).astype(np.float32)
        return Sighting(corners, self._confidence)

    def _start(self, measured: npt.NDArray[np.float64], confidence: float, pts_seconds: float) -> None:
        self._state = np.stack([measured, np.zeros(8)])
        self._variance = _START_VARIANCE * np.array([_noise(confidence), 1.0])
        self._confidence, self._seen_seconds, self._elsewhere = confidence, pts_seconds, 0

    def _predict(self, seconds: float) -> None:
        assert self._state is not None  # noqa: S101  the caller's duty, for the type checker
        step = np.array([[1.0, seconds], [0.0, 1.0]])
        self._state = step @ self._state
        grown = HAND**2 * np.array([[seconds**4 / 4, seconds**3 / 2], [seconds**3 / 2, seconds**2]])
        self._variance = step @ self._variance @ step.T + grown

    def _correct(self, measured: npt.NDArray[np.float64], confidence: float, pts_seconds: float) -> None:
        assert self._state is not None  # noqa: S101  the caller's duty, for the type checker
        noise = _noise(confidence)
        off = measured - self._state[0]
        doubt = float(np.sqrt(self._variance[0, 0] + noise))
        if float(np.abs(off).max()) > SAME_SCREEN + 3 * doubt:
            self._elsewhere += 1
            if self._elsewhere >= SWITCH_AFTER:
                self._start(measured, confidence, pts_seconds)
            return
        self._elsewhere = 0
        self._seen_seconds = pts_seconds
        gain = self._variance[:, 0] / (self._variance[0, 0] + noise)  # (2,)
        self._state = self._state + gain[:, None] * off
        self._variance = self._variance - np.outer(gain, self._variance[0])


def _noise(confidence: float) -> float:
    """Variance of a sighting's corners, squared diagonals: three times as far off where it is half as sure."""
    return float((CORNER_NOISE / np.clip(confidence, LEAST_CONFIDENCE, 1.0) ** 1.6) ** 2)
