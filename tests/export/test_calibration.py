import numpy as np
import pytest

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
    quality = code_quality(PairCodes(clean, camera), np.arange(4), probes=(1, 16))
    assert quality["flips_mean"] == 1.0  # (0 + 1 + 3 + 0) / 4
    assert quality["hits_1_probes"] == quality["hits_radius_0"] == 0.5
    assert quality["hits_16_probes"] == quality["hits_radius_1"] == 0.75
    assert quality["hits_radius_2"] == 0.75
    assert quality["ones_mean"] == 1.0
    assert quality["bit_entropy_mean"] == pytest.approx(0.0, abs=1e-6)
    assert quality["distinct_codes"] == 0.25
    assert quality["effective_bits"] is None  # all codes are the same


@pytest.mark.parametrize("copies", [1, 2, 4])
def test_effective_bits_count_bits_that_say_the_same_once(copies: int) -> None:
    independent = np.random.default_rng(0).normal(0, 1, (3000, 32 // copies))
    v = np.repeat(independent, copies, axis=1).astype(np.float32)
    quality = code_quality(PairCodes(v, v), np.arange(3000) // 3, probes=(1,))
    assert quality["effective_bits"] == pytest.approx(32 / copies, rel=0.05)
    alone = code_quality(PairCodes(v, v), np.zeros(3000, np.int64), probes=(1,))
    assert alone["effective_bits"] is None  # one film has no strangers


def test_net_inputs_without_a_camera_are_nearly_alike() -> None:
    network = SparseHashNetwork(SparseHashConfig(side=16, channels=(4, 4, 4, 8), features=16))
    hard, none = (net_inputs(network, moments(), strength, seed=1) for strength in (1.0, 0.0))
    assert hard.clean.shape == hard.camera.shape == (40, 32)
    assert np.array_equal(hard.clean, none.clean)
    away_hard, away_none = (np.abs(pairs.clean - pairs.camera).mean() for pairs in (hard, none))
    assert away_none < 0.8 * away_hard
