"""The tracker, on sightings of which the truth is known."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.detector import Sighting
from pipeline.screen import FORGET_AFTER_SECONDS, LEAST_CONFIDENCE, SWITCH_AFTER, ScreenTracker

SIZE = (480, 854)  # (H, W) of the camera's picture
STEP = 0.1  # seconds between frames
SCREEN = np.array([[200, 100], [640, 120], [630, 380], [210, 360]], np.float32)
ELSEWHERE = SCREEN + np.array([-150, 60], np.float32)


def sighting(corners: npt.NDArray[Any], confidence: float = 0.9) -> Sighting:
    return Sighting(corners.astype(np.float32), confidence)


def away(seen: Sighting | None, corners: npt.NDArray[Any]) -> float:
    """Mean distance of the corners, pixels."""
    assert seen is not None
    return float(np.linalg.norm(seen.corners - corners, axis=1).mean())


def settled(confidence: float = 0.9, seconds: float = 1.0) -> ScreenTracker:
    """A tracker that has seen one screen for a while; its last sighting was at `seconds`."""
    tracker = ScreenTracker()
    for at in np.arange(0, seconds + STEP / 2, STEP):
        tracker.add(sighting(SCREEN, confidence), SIZE, float(at))
    return tracker


@pytest.mark.parametrize("confidence", [0.9, 0.4])
def test_a_moving_screen_is_followed_better_than_it_is_seen(rng: np.random.Generator, confidence: float) -> None:
    tracker = ScreenTracker()
    raw, followed = [], []
    for k in range(100):
        at = k * STEP
        truth = SCREEN + np.array([40 * np.sin(1.1 * at), 25 * np.cos(0.8 * at)])  # a hand that sways
        seen = sighting(truth + rng.normal(0, 8, (4, 2)), confidence)
        held = tracker.add(seen, SIZE, at)
        raw.append(away(seen, truth))
        followed.append(away(held, truth))
    assert np.mean(followed[10:]) < 0.9 * np.mean(raw[10:])


def test_first_sighting_is_taken_as_it_is() -> None:
    held = ScreenTracker().add(sighting(SCREEN, 0.8), SIZE, 3.0)
    assert away(held, SCREEN) < 1e-3
    assert held is not None
    assert held.confidence == 0.8


def test_one_outlier_is_passed_over() -> None:
    tracker = settled()
    assert away(tracker.add(sighting(ELSEWHERE), SIZE, 1.1), SCREEN) < 1
    assert away(tracker.add(sighting(SCREEN), SIZE, 1.2), SCREEN) < 1


def test_another_screen_is_followed_once_it_stays() -> None:
    tracker = settled()
    held = [tracker.add(sighting(ELSEWHERE), SIZE, 1.0 + STEP * (k + 1)) for k in range(SWITCH_AFTER)]
    assert all(away(one, SCREEN) < 1 for one in held[:-1])
    assert away(held[-1], ELSEWHERE) < 1


def test_outliers_that_do_not_follow_one_another_never_switch() -> None:
    tracker = settled()
    for k in range(4 * SWITCH_AFTER):
        seen = SCREEN if k % SWITCH_AFTER == 0 else ELSEWHERE
        assert away(tracker.add(sighting(seen), SIZE, 1.0 + STEP * (k + 1)), SCREEN) < 1


def test_unsure_sightings_move_nothing_and_cost_confidence() -> None:
    tracker = settled()
    before = tracker.add(sighting(SCREEN), SIZE, 1.1)
    after = tracker.add(sighting(ELSEWHERE, LEAST_CONFIDENCE - 0.01), SIZE, 1.2)
    assert away(after, SCREEN) < 1
    assert before is not None
    assert after is not None
    assert after.confidence < before.confidence


def test_unsure_sightings_alone_are_nothing() -> None:
    tracker = ScreenTracker()
    assert tracker.add(sighting(SCREEN, LEAST_CONFIDENCE - 0.01), SIZE, 0.0) is None
    assert tracker.add(sighting(SCREEN, LEAST_CONFIDENCE), SIZE, 0.1) is not None


def test_a_screen_that_is_not_seen_is_held_for_a_while_and_then_forgotten() -> None:
    tracker = settled(seconds=1.0)
    held = {}
    for k in range(1, 30):
        held[k] = tracker.add(sighting(SCREEN, 0.0), SIZE, 1.0 + k * STEP)
    last = int(FORGET_AFTER_SECONDS / STEP)
    assert all(away(held[k], SCREEN) < 2 for k in range(1, last))  # it holds still
    assert all(held[k] is None for k in range(last + 1, 30))
    again = tracker.add(sighting(ELSEWHERE), SIZE, 4.0)
    assert away(again, ELSEWHERE) < 1e-3  # anew, without waiting


def test_a_moving_screen_that_is_not_seen_moves_on() -> None:
    tracker = ScreenTracker()
    for k in range(20):
        tracker.add(sighting(SCREEN + np.array([30 * k * STEP, 0])), SIZE, k * STEP)
    held = tracker.add(sighting(SCREEN, 0.0), SIZE, 20 * STEP)
    assert away(held, SCREEN + np.array([60, 0])) < 1.5


def test_another_picture_size_starts_anew() -> None:
    tracker = settled()
    assert tracker.add(sighting(ELSEWHERE, 0.0), SIZE[::-1], 1.1) is None
    assert away(tracker.add(sighting(ELSEWHERE), SIZE[::-1], 1.2), ELSEWHERE) < 1e-3


def test_time_that_goes_back_starts_anew() -> None:
    assert away(settled().add(sighting(ELSEWHERE), SIZE, 0.5), ELSEWHERE) < 1e-3


def test_two_frames_of_one_moment_do_no_harm() -> None:
    tracker = settled()
    for _ in range(3):
        held = tracker.add(sighting(SCREEN), SIZE, 1.1)
    assert away(held, SCREEN) < 1e-2


def test_the_picture_size_does_not_matter() -> None:
    """Everything is measured in diagonals: twice the picture gives twice the corners."""
    small, large = ScreenTracker(), ScreenTracker()
    rng = np.random.default_rng(3)
    for k in range(30):
        seen = SCREEN + rng.normal(0, 6, (4, 2))
        one = small.add(sighting(seen, 0.7), SIZE, k * STEP)
        two = large.add(sighting(2 * seen, 0.7), (2 * SIZE[0], 2 * SIZE[1]), k * STEP)
        assert one is not None
        assert away(two, 2 * one.corners) < 1e-2
