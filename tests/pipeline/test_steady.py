"""Corners that tremble are held steady by what is seen on the screen."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from pipeline.frames import RgbImage
from pipeline.steady import MOST_OFF, Steadier

SCREEN = np.array([[80, 40], [500, 60], [490, 300], [90, 280]], np.float32)


def page(seed: int = 0, texture: float = 255.0) -> RgbImage:
    """Something with many corners to follow."""
    rng = np.random.default_rng(seed)
    coarse = (rng.uniform(0, 1, (18, 32, 3)) * texture).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (640, 360), interpolation=cv2.INTER_NEAREST), np.uint8)


def filmed(picture: RgbImage, screen: npt.NDArray[np.float32]) -> RgbImage:
    """The picture on a screen with these corners."""
    edges = np.array([[0, 0], [640, 0], [640, 360], [0, 360]], np.float32)
    warp = cv2.getPerspectiveTransform(edges, screen)
    return np.asarray(cv2.warpPerspective(picture, warp, (640, 360), flags=cv2.INTER_AREA), np.uint8)


def trembled(rng: np.random.Generator, screen: npt.NDArray[np.float32], pixels: float) -> npt.NDArray[np.float32]:
    return (screen + rng.normal(0, pixels, (4, 2))).astype(np.float32)


def spread(off: list[npt.NDArray[np.float32]]) -> float:
    """How far corners move against the screen, pixels, whatever their mean place."""
    away = np.stack(off)
    return float(np.linalg.norm(away - away.mean(axis=0), axis=2).mean())


def test_trembling_corners_are_held(rng: np.random.Generator) -> None:
    steadier, image = Steadier(), filmed(page(), SCREEN)
    given = [trembled(rng, SCREEN, 2.0) for _ in range(30)]
    held = [steadier.add(image, corners) - SCREEN for corners in given]
    assert held[0].shape == (4, 2) and held[0].dtype == np.float32
    assert spread(held) < 0.15 * spread([corners - SCREEN for corners in given])


def test_a_screen_that_moves_is_followed(rng: np.random.Generator) -> None:
    steadier, off, before = Steadier(), [], []
    for k in range(30):
        hand = np.array([8 * np.sin(k / 3), 5 * np.cos(k / 4)], np.float32)
        truth = (SCREEN + hand).astype(np.float32)
        corners = trembled(rng, truth, 2.0)
        off.append(steadier.add(filmed(page(), truth), corners) - truth)
        before.append(corners - truth)
    assert spread(off) < 0.25 * spread(before)


def test_another_picture_begins_anew_at_the_detectors_corners(rng: np.random.Generator) -> None:
    steadier = Steadier()
    for _ in range(5):
        steadier.add(filmed(page(), SCREEN), trembled(rng, SCREEN, 2.0))
    corners = trembled(rng, SCREEN, 2.0)
    assert steadier.add(filmed(page(seed=7), SCREEN), corners) == pytest.approx(corners, abs=0.01)


def test_a_forgotten_screen_begins_anew(rng: np.random.Generator) -> None:
    steadier, image = Steadier(), filmed(page(), SCREEN)
    for _ in range(5):
        steadier.add(image, trembled(rng, SCREEN, 2.0))
    steadier.forget()
    corners = trembled(rng, SCREEN, 2.0)
    assert steadier.add(image, corners) == pytest.approx(corners, abs=0.01)


def test_a_screen_with_nothing_to_follow_stays_where_the_detector_sees_it(rng: np.random.Generator) -> None:
    steadier, image = Steadier(), filmed(page(texture=0.0), SCREEN)
    for _ in range(5):
        corners = trembled(rng, SCREEN, 2.0)
        assert steadier.add(image, corners) == pytest.approx(corners, abs=0.01)


def test_a_film_that_pans_does_not_take_the_corners_along() -> None:
    steadier, wide = Steadier(), np.concatenate([page(1), page(2)], axis=1)
    for k in range(60):
        held = steadier.add(filmed(np.ascontiguousarray(wide[:, 4 * k : 4 * k + 640]), SCREEN), SCREEN)
        assert np.abs(held - SCREEN).max() < 1.5 * MOST_OFF * 640


def test_corners_outside_the_picture_are_no_trouble(rng: np.random.Generator) -> None:
    steadier = Steadier()
    outside = SCREEN + np.array([-200, 0], np.float32)
    for _ in range(3):
        held = steadier.add(filmed(page(), outside), trembled(rng, outside, 1.0))
        assert np.isfinite(held).all()
