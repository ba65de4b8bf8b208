"""The screen finder, on pictures of which the corners are known."""

import cv2
import numpy as np
import pytest

from pipeline.encoder import Corners
from pipeline.frames import RgbImage
from pipeline.screen import FORGET_AFTER, ScreenFinder

TILTED = np.array([[150, 80], [480, 100], [470, 300], [160, 290]], np.float32)


def room(rng: np.random.Generator, screen: Corners | None, film: RgbImage) -> RgbImage:
    """A wall with some noise, and a film on a screen."""
    image = np.full((360, 640, 3), 70, np.float32) + rng.normal(0, 2, (360, 640, 1))
    if screen is not None:
        height, width = film.shape[:2]
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        shown = cv2.warpPerspective(film, cv2.getPerspectiveTransform(source, screen), (640, 360))
        inside = np.zeros((360, 640), np.uint8)
        cv2.fillConvexPoly(inside, np.round(screen).astype(np.int32), 1)
        image = np.where(inside[..., None] > 0, shown, image)
    return np.clip(image, 0, 255).astype(np.uint8)


def film(rng: np.random.Generator) -> RgbImage:
    coarse = rng.integers(90, 255, (9, 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (320, 180), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("shift", [0, 40])
def test_the_screen_is_found_and_followed(rng: np.random.Generator, shift: int) -> None:
    finder = ScreenFinder()
    for step in range(12):
        corners = TILTED + np.float32(step * shift / 12)
        sighting = finder.add(room(rng, corners, film(rng)))
    assert sighting is not None
    assert np.abs(sighting.corners - corners).max() < 16  # 2.5 % of the picture's width; it lags behind a moving one
    assert 0.5 < sighting.confidence <= 1


def test_a_bare_wall_has_no_screen(rng: np.random.Generator) -> None:
    finder = ScreenFinder()
    assert all(finder.add(room(rng, None, film(rng))) is None for _ in range(5))


def test_a_screen_that_is_gone_is_forgotten(rng: np.random.Generator) -> None:
    finder = ScreenFinder()
    for _ in range(6):
        held = finder.add(room(rng, TILTED, film(rng)))
    assert held is not None
    seen = [finder.add(room(rng, None, film(rng))) for _ in range(FORGET_AFTER + 2)]
    assert seen[0] is not None  # a hand before the lens
    assert seen[-1] is None


def test_another_picture_size_starts_anew(rng: np.random.Generator) -> None:
    finder = ScreenFinder()
    for _ in range(6):
        finder.add(room(rng, TILTED, film(rng)))
    assert finder.add(np.full((480, 480, 3), 70, np.uint8)) is None


def test_tiny_and_narrow_pictures_do_no_harm() -> None:
    for shape in ((1, 1, 3), (2, 500, 3), (500, 2, 3)):
        assert ScreenFinder().add(np.zeros(shape, np.uint8)) is None
