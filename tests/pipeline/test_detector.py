"""Screens in pictures, by a small detector that was never trained: the same answers to the same pictures."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.bundles import load_bundle, shipped_bundle
from pipeline.detector import DETECTOR, SURE, WORK_SIDE, ScreenDetector, _is_outline, _window, default_detector
from pipeline.encoder import ENCODER
from pipeline.errors import BundleError
from pipeline.frames import RgbImage
from pipeline.settings import settings
from tests.bundle_samples import put_model


@pytest.fixture(scope="module")
def detector(small_detector: Path) -> ScreenDetector:
    return ScreenDetector(load_bundle(small_detector, DETECTOR))


def blotches(height: int, width: int, seed: int = 0) -> RgbImage:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (7, 500), (36, 64), (480, 270), (1080, 1920)])
def test_any_picture_size(detector: ScreenDetector, size: tuple[int, int]) -> None:
    (seen,) = detector.detect([blotches(*size)])
    assert seen.corners.shape == (4, 2)
    assert seen.corners.dtype == np.float32
    assert np.isfinite(seen.corners).all()
    assert 0 <= seen.confidence <= 1


@pytest.mark.parametrize("size", [(90, 160), (180, 320), (240, 426), (400, 300)])
def test_corners_are_in_pixels_of_the_picture_given(detector: ScreenDetector, size: tuple[int, int]) -> None:
    picture = blotches(*size)
    # doubled so that, at the 320 pixels at which it is looked at, it is the same picture
    method = cv2.INTER_NEAREST if max(size) > WORK_SIDE else cv2.INTER_LINEAR
    doubled = np.asarray(cv2.resize(picture, (2 * size[1], 2 * size[0]), interpolation=method), np.uint8)
    one, two = detector.detect([picture, doubled])
    np.testing.assert_allclose(two.corners, 2 * one.corners, atol=0.02 * max(size))
    assert np.ptp(one.corners) > 0.1 * max(size)
    assert two.confidence == pytest.approx(one.confidence, abs=0.02)


def test_pictures_of_a_batch_are_looked_at_one_by_one_in_their_order(small_detector: Path) -> None:
    pictures = [blotches(60 + 20 * k, 120, seed=k) for k in range(5)]
    bundle = load_bundle(small_detector, DETECTOR)
    side_by_side, alone = ScreenDetector(bundle, threads=3), ScreenDetector(bundle, threads=1)
    for seen, picture in zip(side_by_side.detect(pictures), pictures, strict=True):
        (wanted,) = alone.detect([picture])
        np.testing.assert_allclose(seen.corners, wanted.corners, atol=1e-3)
        np.testing.assert_allclose(seen.confidence, wanted.confidence, atol=1e-5)
    assert alone.detect([]) == side_by_side.detect([]) == []


def test_only_a_convex_clockwise_outline_of_some_size_is_a_screen(detector: ScreenDetector) -> None:
    outline = np.array([[20, 10], [80, 15], [75, 45], [25, 50]], np.float32)
    assert _is_outline(outline, 100 * 60)
    assert not _is_outline(outline[::-1].copy(), 100 * 60)  # seen from behind
    assert not _is_outline(outline[[0, 2, 1, 3]], 100 * 60)  # its sides cross
    assert not _is_outline(outline, 1000 * 600)  # a three hundredth of the picture
    seen = detector.detect([blotches(90, 160, seed=k) for k in range(12)])
    assert all(_is_outline(one.corners, 90 * 160) for one in seen if one.confidence > 0)


def test_bundle_of_another_kind_is_refused(small_detector: Path) -> None:
    with pytest.raises(BundleError, match="'encoder' bundle, not 'detector'"):
        load_bundle(shipped_bundle(ENCODER).folder, DETECTOR)
    with pytest.raises(BundleError, match="'detector' bundle, not 'encoder'"):
        load_bundle(small_detector, ENCODER)


def test_model_with_other_inputs_is_refused_in_one_line(tmp_path: Path) -> None:
    """The encoder's model under a detector's card."""
    put_model(tmp_path, shipped_bundle(ENCODER).model_path.read_bytes(), DETECTOR)
    with pytest.raises(BundleError, match=r"inputs .* are not those of a bundle of kind 'detector'") as raised:
        ScreenDetector(load_bundle(tmp_path, DETECTOR))
    assert "\n" not in str(raised.value)


def test_settings_choose_the_detector(small_detector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VNOME_DETECTOR", str(small_detector))
    settings.cache_clear()
    assert default_detector().bundle.folder == small_detector
    monkeypatch.setenv("VNOME_DETECTOR", str(small_detector / "nothing"))
    settings.cache_clear()
    default_detector.cache_clear()
    with pytest.raises(BundleError, match=r"model\.onnx is missing"):
        default_detector()


def screen_in_a_room(wanted: np.ndarray, seed: int) -> RgbImage:
    """A picture of 640 x 360 with a film on a screen whose corners these are."""
    room = (blotches(360, 640, seed=seed) // 8).astype(np.uint8)
    film = cv2.resize(blotches(90, 160, seed=seed + 1), (320, 180))
    edges = np.array([[0, 0], [320, 0], [320, 180], [0, 180]], np.float32)
    warp = cv2.getPerspectiveTransform(edges, wanted.astype(np.float32))
    shown = cv2.warpPerspective(film, warp, (640, 360))
    inside = cv2.warpPerspective(np.ones((180, 320), np.uint8), warp, (640, 360)) > 0
    return np.asarray(np.where(inside[..., None], shown, room), np.uint8)


def test_a_small_screen_is_looked_at_again_closer() -> None:
    detector = ScreenDetector(shipped_bundle(DETECTOR))
    unit = np.array([[0, 0], [180, 10], [170, 110], [5, 100]])
    once, again = [], []
    for seed in range(12):
        wanted = unit + np.random.default_rng(seed).uniform((10, 10), (440, 240))
        picture = screen_in_a_room(wanted, 10 * seed)
        first, (seen,) = detector._look(picture), detector.detect([picture])
        assert seen.confidence == first.confidence
        once.append(np.linalg.norm(first.corners - wanted, axis=1).mean())
        again.append(np.linalg.norm(seen.corners - wanted, axis=1).mean())
    assert np.median(again) < np.median(once)
    assert (np.array(again) != np.array(once)).mean() > 0.5


def test_a_large_screen_and_one_of_a_few_pixels_are_looked_at_once() -> None:
    picture = np.zeros((360, 640, 3), np.uint8)
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    assert _window(100 + 100 * square, picture) == (80, 80, 220, 220)
    assert _window(np.array([-30, 280], np.float32) + 100 * square, picture) == (0, 260, 90, 360)  # partly out of view
    assert _window(np.array([100, 10], np.float32) + 250 * square, picture) is None
    assert _window(100 + 20 * square, picture) is None


def test_shipped_detector_finds_a_bright_screen_in_a_dark_room() -> None:
    room = (blotches(360, 640, seed=3) // 8).astype(np.uint8)
    film = cv2.resize(blotches(90, 160, seed=4), (320, 180))
    wanted = np.array([[150, 80], [480, 100], [470, 300], [160, 290]], np.float32)
    edges = np.array([[0, 0], [320, 0], [320, 180], [0, 180]], np.float32)
    warp = cv2.getPerspectiveTransform(edges, wanted)
    shown = cv2.warpPerspective(film, warp, (640, 360))
    inside = cv2.warpPerspective(np.ones((180, 320), np.uint8), warp, (640, 360)) > 0
    picture = np.where(inside[..., None], shown, room)
    screen, empty = default_detector().detect([picture, room])
    assert screen.confidence > SURE
    assert np.linalg.norm(screen.corners - wanted, axis=1).mean() < 0.03 * np.hypot(360, 640)
    assert empty.confidence < SURE
