import numpy as np
import pytest

from export.baselines import calibrated_phash, phash_inputs
from export.calibration import PairCodes, calibrate_margins, code_quality, net_inputs
from export.data import THUMB_HEIGHT, THUMB_WIDTH, Moments
from export.networks.sparse_hash import SparseHashConfig, SparseHashNetwork


def moments(count: int = 40) -> Moments:
    """Blotches of grey, another for each moment."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (count, THUMB_HEIGHT // 16, THUMB_WIDTH // 16), dtype=np.uint8)
    thumbs = np.repeat(np.repeat(coarse, 16, 1), 16, 2)
    return Moments(
        thumbs, np.arange(count) // 4, (np.arange(count) % 4).astype(np.float64), tuple(f"{i}.mp4" for i in range(10))
    )


def test_margins_are_the_log_odds_that_the_bit_survives() -> None:
    rng = np.random.default_rng(0)
    camera = rng.normal(0, 1, (20_000, 32)).astype(np.float32)
    slope, offset = np.linspace(1, 4, 32), np.linspace(-0.3, 0.5, 32)
    survives = rng.random(camera.shape) < 1 / (1 + np.exp(-(offset + slope * np.abs(camera))))
    clean = np.where(survives, camera, -camera).astype(np.float32)
    fitted = calibrate_margins(PairCodes(clean, camera))
    np.testing.assert_allclose(fitted.slope.numpy(), slope, rtol=0.15, atol=0.1)
    np.testing.assert_allclose(fitted.offset.numpy(), offset, atol=0.12)


def test_code_quality_counts_flips_and_hits() -> None:
    clean = np.full((4, 32), 5.0, np.float32)
    camera = clean.copy()
    camera[1, 3] = -0.1  # one uncertain flip: the second probe finds it
    camera[2, :3] = -9.0  # three sure flips: beyond every radius and all 16 probes
    quality = code_quality(PairCodes(clean, camera), probes=(1, 16))
    assert quality["flips_mean"] == 1.0  # (0 + 1 + 3 + 0) / 4
    assert quality["hits_1_probes"] == quality["hits_radius_0"] == 0.5
    assert quality["hits_16_probes"] == quality["hits_radius_1"] == 0.75
    assert quality["hits_radius_2"] == 0.75
    assert quality["ones_mean"] == 1.0
    assert quality["bit_entropy_mean"] == pytest.approx(0.0, abs=1e-6)


def test_net_inputs_without_a_camera_are_nearly_alike() -> None:
    network = SparseHashNetwork(SparseHashConfig(side=16, channels=(4, 4, 4, 8), features=16))
    hard, none = (net_inputs(network, moments(), strength, seed=1) for strength in (1.0, 0.0))
    assert hard.clean.shape == hard.camera.shape == (40, 32)
    assert np.array_equal(hard.clean, none.clean)
    away_hard, away_none = (np.abs(pairs.clean - pairs.camera).mean() for pairs in (hard, none))
    assert away_none < 0.8 * away_hard


def test_phash_bits_compare_with_the_median() -> None:
    distance = phash_inputs(np.random.default_rng(4).random((3, 64, 64)).astype(np.float32))
    assert distance.shape == (3, 32)
    assert ((distance > 0).sum(axis=1) == 16).all()  # half of 32 lie over their median
    flat = phash_inputs(np.full((1, 64, 64), 0.5, np.float32))
    assert np.abs(flat).max() < 1e-5


def test_phash_survives_brightness_and_knows_its_pictures() -> None:
    encoder = calibrated_phash(moments(), strength=0.5)
    images = np.repeat(moments().thumbs[:5, :, :, None], 3, axis=3)
    corners = np.array([[0, 0], [THUMB_WIDTH, 0], [THUMB_WIDTH, THUMB_HEIGHT], [0, THUMB_HEIGHT]], np.float32)
    seen, margins = encoder.encode_batch(images, np.stack([corners] * 5))
    darker, _ = encoder.encode_batch((images * 0.8).astype(np.uint8), np.stack([corners] * 5))
    assert len(set(seen.tolist())) == 5
    assert np.bitwise_count(seen ^ darker).max() <= 2
    assert margins.shape == (5, 32)
    assert (margins >= 0).all()
