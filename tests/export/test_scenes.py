"""Simulated scenes and their truth."""

import cv2
import numpy as np
import pytest

import export.scenes
from export.panels import desktop, film_box
from export.scenes import LEAST_IN_VIEW, Quad, Scene, SceneMaker, SceneSources, screen_quad
from pipeline.frames import RgbImage

SIZE = (90, 160)  # (H, W)


def blotches(count: int, size: tuple[int, int], seed: int) -> list[RgbImage]:
    """Smooth pictures of random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 9, 16, 3), dtype=np.uint8)
    return [np.asarray(cv2.resize(one, size[::-1], interpolation=cv2.INTER_CUBIC), np.uint8) for one in coarse]


def sources(seed: int = 0) -> SceneSources:
    """Films, rooms and two photographs of televisions, all made up."""
    quad = np.array([[60, 40], [190, 50], [185, 130], [55, 125]], float)
    return SceneSources(
        blotches(8, (120, 200), seed), blotches(5, (160, 240), seed + 1), blotches(2, (160, 240), seed + 2), [quad] * 2
    )


def scenes(made_of: SceneSources, count: int, seed: int = 0, difficulty: float = 1.0) -> list[Scene]:
    maker = SceneMaker(made_of, np.random.default_rng(seed), difficulty)
    return [maker.draw(SIZE) for _ in range(count)]


def inside(quad: Quad, size: tuple[int, int]) -> np.ndarray:
    """Which pixels an outline holds, bool (H, W)."""
    mask = np.zeros(size, np.uint8)
    cv2.fillConvexPoly(mask, np.round(quad).astype(np.int32), 1)
    return mask.astype(bool)


def share_in_view(quad: Quad, size: tuple[int, int] = SIZE) -> float:
    """Of the outline's area, by counting pixels of a canvas that is large enough for all of it."""
    canvas = inside(quad + 800, (1700, 1800))
    return float(canvas[800 : 800 + size[0], 800 : 800 + size[1]].sum() / canvas.sum())


def test_same_seed_same_scenes_and_another_seed_others() -> None:
    first, again, other = (scenes(sources(), 12, seed) for seed in (3, 3, 4))
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one.image, two.image)
        assert (one.screen is None) == (two.screen is None)
        if one.screen is not None and two.screen is not None:
            assert np.array_equal(one.screen, two.screen)
    assert not any(np.array_equal(one.image, two.image) for one, two in zip(first, other, strict=True))


def test_about_a_sixth_of_the_scenes_has_no_screen() -> None:
    without = sum(scene.screen is None for scene in scenes(sources(), 200))
    assert 10 < without < 50  # 0.15 x 200 = 30, four deviations of sqrt(200 x 0.15 x 0.85) = 5


@pytest.mark.parametrize("size", [(33, 57), (64, 64), (200, 90), (144, 256)])
def test_any_size(size: tuple[int, int]) -> None:
    maker = SceneMaker(sources(), np.random.default_rng(1))
    for _ in range(10):
        scene = maker.draw(size)
        assert scene.image.shape == (*size, 3)
        assert scene.image.dtype == np.uint8
        assert scene.screen is None or scene.screen.shape == (4, 2)


def test_corners_are_those_of_the_films_picture() -> None:
    white, black = np.full((90, 160, 3), 255, np.uint8), np.zeros((90, 160, 3), np.uint8)
    made = [scene for scene in scenes(SceneSources([white], [black]), 60, difficulty=0.0) if scene.screen is not None]
    brighter = 0
    for scene in made:
        assert scene.screen is not None
        middle = scene.screen.mean(axis=0)
        well_inside = inside(middle + 0.9 * (scene.screen - middle), SIZE)
        well_outside = ~inside(middle + 1.15 * (scene.screen - middle), SIZE)
        if well_outside.any():
            brighter += bool(scene.image[well_inside].mean() > scene.image[well_outside].mean())
        else:
            brighter += 1  # the screen fills the picture
    assert len(made) > 40
    assert brighter > 0.85 * len(made)  # in the others a decoy or a white wall is brighter


def test_first_corner_is_the_films_top_left() -> None:
    """A film whose upper half is white: the outline's half at its first two corners is the bright one."""
    film = np.zeros((90, 160, 3), np.uint8)
    film[:45] = 255
    upper_is_brighter, made = 0, 0
    for scene in scenes(SceneSources([film], [np.zeros_like(film)]), 60, difficulty=0.0):
        if scene.screen is None:
            continue
        a, b, c, d = scene.screen
        left, right = (a + d) / 2, (b + c) / 2
        halves = [inside(np.array(half), SIZE) for half in ([a, b, right, left], [left, right, c, d])]
        if all(half.sum() > 50 for half in halves):
            made += 1
            upper_is_brighter += bool(scene.image[halves[0]].mean() > scene.image[halves[1]].mean())
    assert made > 40
    assert upper_is_brighter > 0.85 * made  # a zoom may show a part of one tone


def test_screens_are_as_far_in_view_as_promised_and_convex() -> None:
    rng = np.random.default_rng(2)
    quads = [screen_quad(rng, SIZE) for _ in range(150)]
    shares = [share_in_view(quad) for quad in quads]
    assert min(shares) >= LEAST_IN_VIEW - 0.01  # pixels are counted
    assert min(shares) < 0.7  # some are partly out of view
    assert all(cv2.isContourConvex(quad.astype(np.float32)) for quad in quads)
    assert all(cv2.contourArea(quad.astype(np.float32), oriented=True) > 0 for quad in quads)  # clockwise


def test_films_picture_in_a_scene_is_in_view_too() -> None:
    shares = [share_in_view(scene.screen) for scene in scenes(sources(), 150) if scene.screen is not None]
    assert min(shares) > 0.8 * LEAST_IN_VIEW  # of a panel with bars a part may be the one that is out of view


def test_upright_screens_are_measured_by_their_height(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export.scenes, "PANEL_ASPECTS", (9 / 16,))
    rng = np.random.default_rng(4)
    spans = np.array([np.ptp(screen_quad(rng, SIZE, widths=(0.3, 0.6)), axis=0) / (160, 90) for _ in range(100)])
    assert (spans[:, 1] > 0.25).all()  # of 0.3 to 0.6 of the height, and then rolled
    assert (spans[:, 1] < 0.65).all()
    assert (spans[:, 0] < 0.4).all()


def test_film_is_in_a_window_of_some_panels_and_fits_into_it() -> None:
    rng = np.random.default_rng(0)
    windows = 0
    for panel in ((120, 200), (200, 100)):
        for _ in range(200):
            (x0, y0, x1, y1), windowed = film_box(rng, panel)
            assert 0 <= x0 < x1 <= panel[1]
            assert 0 <= y0 < y1 <= panel[0]
            if windowed:
                windows += 1
                assert (x1 - x0) < panel[1] or (y1 - y0) < panel[0]
                shown = np.zeros((*panel, 3), np.float32)
                tone = np.full((8, 8, 3), 0.5, np.float32)
                desktop(rng, shown, (x0, y0, x1, y1), tone, tone)
                assert np.isfinite(shown).all()
                assert shown.max() > 0  # even a viewer's black is lit
            else:
                assert (x0, x1) == (0, panel[1]) or (y0, y1) == (0, panel[0])  # whole, or bars on two sides
    assert 50 < windows < 130
    assert not any(film_box(rng, (120, 200), windows=False)[1] for _ in range(100))


def test_real_scenes_are_of_televisions_and_of_other_screens() -> None:
    """Screens of two real photographs, red and blue on grey, with their own film or another one, moved and zoomed."""
    quad = np.array([[60, 40], [190, 50], [185, 130], [55, 125]], float)
    photos = []
    for colour in ((255, 0, 0), (0, 0, 255)):
        photo = np.full((160, 240, 3), 90, np.uint8)
        cv2.fillConvexPoly(photo, quad.astype(np.int32), colour)
        photos.append(photo)
    grey = [np.full((90, 160, 3), 128, np.uint8)]
    made_of = SceneSources(grey, grey, photos[:1], [quad], photos[1:], [quad])
    seen = {"red": 0, "blue": 0}
    for scene in scenes(made_of, 150, difficulty=0.0):
        if scene.screen is not None:
            red, _, blue = scene.image[inside(scene.screen, SIZE)].astype(float).mean(axis=0)
            seen["red"] += bool(red > 3 * blue)
            seen["blue"] += bool(blue > 3 * red)
    assert seen["red"] > 4
    assert seen["blue"] > 4


def test_harder_scenes_are_noisier() -> None:
    def grain(difficulty: float) -> float:
        made = scenes(sources(), 40, difficulty=difficulty)
        return float(np.mean([cv2.Laplacian(scene.image, cv2.CV_32F).std() for scene in made]))

    assert grain(1.0) > 1.2 * grain(0.0)
