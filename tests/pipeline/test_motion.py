import numpy as np
import pytest

from pipeline.encoder import mirrored, whole_picture
from pipeline.errors import StoreError
from pipeline.motion import (
    BLOCKS,
    COLUMNS,
    ROWS,
    STORED_TICKS,
    Motion,
    block_lights,
    light_change,
    motion_evidence,
    shifted,
)


def gradient_picture() -> np.ndarray:
    image = np.zeros((80, 160, 3), np.uint8)
    image[:, :, 1] = np.arange(160)[None]
    return image


def test_block_lights_are_the_means_of_the_blocks() -> None:
    image = gradient_picture()
    lights = block_lights(image, whole_picture(image)).reshape(ROWS, COLUMNS)
    # a block is 10 columns wide: the first has the mean of 0 .. 9, the last of 150 .. 159
    assert lights[0, 0] == pytest.approx(4.5, abs=0.6)
    assert lights[ROWS - 1, COLUMNS - 1] == pytest.approx(154.5, abs=0.6)


def test_block_lights_of_mirrored_corners_are_mirrored() -> None:
    image = gradient_picture()
    plain = block_lights(image, whole_picture(image)).reshape(ROWS, COLUMNS)
    turned = block_lights(image, mirrored(whole_picture(image))).reshape(ROWS, COLUMNS)
    assert np.array_equal(plain[:, ::-1], turned)


def test_block_lights_of_a_tilted_screen_are_close_to_those_of_the_upright_one() -> None:
    image = gradient_picture()
    corners = whole_picture(image)
    corners[0] += 0.01  # takes the way of a perspective screen
    assert block_lights(image, corners) == pytest.approx(block_lights(image, whole_picture(image)), abs=3)


def test_light_change_of_a_ramp_is_its_slope_times_the_lag() -> None:
    pts = np.arange(0, 4, 0.1)
    lights = np.repeat((pts * 10)[:, None], BLOCKS, axis=1).astype(np.float32)
    change = light_change(pts, lights, np.array([1.0, 2.0]), 0.24)
    assert change == pytest.approx(np.full((2, BLOCKS), 2.4), abs=1e-4)  # 10 a second for 0.24 s


def test_motion_survives_packing() -> None:
    signs = np.random.default_rng(0).integers(-1, 2, (50, BLOCKS)).astype(np.int8)
    again = Motion.unpack(Motion(signs).pack())
    assert np.array_equal(again.signs, signs)
    assert again.steps.shape == (50 * STORED_TICKS, BLOCKS)
    assert np.array_equal(again.steps[::STORED_TICKS], signs)


def test_the_blocks_that_change_most_are_kept_with_their_sign() -> None:
    pts = np.arange(0, 2, 0.08)
    lights = np.full((len(pts), BLOCKS), 100.0, np.float32)
    slopes = np.array([50, -45, 40, -35, 30, -25, 20, 15, 2, -2], np.float32)  # grey levels a second
    lights[:, : len(slopes)] += pts[:, None].astype(np.float32) * slopes
    signs = Motion.of_film(pts, lights).signs
    assert signs[2, : len(slopes)].tolist() == [1, -1, 1, -1, 0, 0, 0, 0, 0, 0]
    lights[:, :8] = 100.0  # what is left changes by less than a grey level
    assert not Motion.of_film(pts, lights).signs.any()


def test_damaged_motion_is_a_store_error() -> None:
    with pytest.raises(StoreError, match="index the film again"):
        Motion.unpack(b"nonsense")


def test_where_still_keeps_only_stretches_with_few_runs() -> None:
    motion = Motion(np.ones((500, BLOCKS), np.int8))  # 80 s
    busy = np.arange(40, 80, 0.1)  # ten runs a second from 40 s on
    still = motion.where_still(busy)
    assert still is not None
    assert still.steps[: int(36 / 0.08)].all()
    assert not still.steps[int(44 / 0.08) :].any()
    assert motion.where_still(np.arange(0, 80, 0.1)) is None


def test_evidence_is_largest_at_the_true_moment_and_zero_without_motion() -> None:
    rng = np.random.default_rng(4)
    pts = np.arange(0, 60, 0.08)
    lights = np.cumsum(rng.normal(0, 3, (len(pts), BLOCKS)), axis=0).astype(np.float32)
    motion = Motion.of_film(pts, lights)
    query_pts = np.arange(0, 5, 0.1)
    seen = np.stack([np.interp(20 + query_pts, pts, lights[:, b]) for b in range(BLOCKS)], axis=1).astype(np.float32)
    evidence = motion_evidence(query_pts, seen, motion, middle_seconds=2.45, speed=1.0)
    assert np.argmax(evidence) * 0.08 == pytest.approx(22.45, abs=0.15)
    exposure = rng.normal(0, 10, (len(query_pts), 1)).astype(np.float32)  # the camera's, over all of the picture
    flickered = motion_evidence(query_pts, seen + exposure, motion, 2.45, 1.0)
    assert flickered == pytest.approx(evidence, abs=0.02)
    still = np.full_like(seen, 80)
    assert not motion_evidence(query_pts, still, motion, 2.45, 1.0).any()


def test_a_long_film_measures_chance_and_a_short_one_is_told_it() -> None:
    rng = np.random.default_rng(5)

    def most(film_seconds: float) -> float:
        pts = np.arange(0, film_seconds, 0.08)
        lights = np.cumsum(rng.normal(0, 3, (len(pts), BLOCKS)), axis=0).astype(np.float32)
        at = np.arange(0, 3, 0.1)
        seen = np.stack([np.interp(1 + at, pts, lights[:, b]) for b in range(BLOCKS)], axis=1)
        noisy = (seen + rng.normal(0, 8, seen.shape)).astype(np.float32)
        return float(motion_evidence(at, noisy, Motion.of_film(pts, lights), 1.45, 1.0).max())

    assert most(120.0) > 1.5 * most(6.0)


@pytest.mark.parametrize("offset", [-12, -3, 0, 4, 12])
def test_shifted_slices_pair_each_place_with_the_one_at_the_offset(offset: int) -> None:
    places = np.arange(10)
    target, source = shifted(10, offset)
    assert (places[source] - places[target] == offset).all()
    assert len(places[target]) == max(0, 10 - abs(offset))
