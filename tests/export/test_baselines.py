"""Baselines at 32 bits."""

import numpy as np
import pytest
import torch

from export.baselines import (
    FeatureProjection,
    PhashProjection,
    Pictures,
    calibrated,
    features,
    itq,
    lsh,
    whole_pictures,
)
from export.data import THUMB_HEIGHT, THUMB_WIDTH
from export.networks.sparse_hash import SparseHashConfig, SparseHashNetwork
from tests.export.test_calibration import moments


def network() -> SparseHashNetwork:
    """Untrained, with more features than bits."""
    torch.manual_seed(5)
    return SparseHashNetwork(SparseHashConfig(side=64, channels=(4, 4, 8, 8), features=40)).eval()


def pictures(count: int) -> Pictures:
    return whole_pictures(moments(count))


def test_phash_bits_compare_with_the_median() -> None:
    values = PhashProjection().values(np.random.default_rng(4).random((3, 64, 64)).astype(np.float32))
    assert values.shape == (3, 32)
    assert ((values > 0).sum(axis=1) == 16).all()  # half of 32 lie over their median
    flat = PhashProjection().values(np.full((1, 64, 64), 0.5, np.float32))
    assert np.abs(flat).max() < 1e-5


def test_phash_survives_brightness_and_knows_its_pictures() -> None:
    encoder = calibrated(PhashProjection(), moments(), strength=0.5)
    images = np.repeat(moments().thumbs[:5, :, :, None], 3, axis=3)
    corners = np.array([[0, 0], [THUMB_WIDTH, 0], [THUMB_WIDTH, THUMB_HEIGHT], [0, THUMB_HEIGHT]], np.float32)
    seen, margins = encoder.encode_batch(images, np.stack([corners] * 5))
    darker, _ = encoder.encode_batch((images * 0.8).astype(np.uint8), np.stack([corners] * 5))
    assert len(set(seen.tolist())) == 5
    assert np.bitwise_count(seen ^ darker).max() <= 2
    assert margins.shape == (5, 32)
    assert (margins >= 0).all()


def test_whole_pictures_are_shrunk_and_nothing_else() -> None:
    shrunk = pictures(6)
    assert shrunk.shape == (6, 64, 64)
    means = moments(6).thumbs.mean(axis=(1, 2)) / 255
    np.testing.assert_allclose(shrunk.mean(axis=(1, 2)), means, atol=0.01)


def test_lsh_bits_differ_as_often_as_the_angle_between_features() -> None:
    """Charikar: a random hyperplane parts two vectors with probability angle / pi."""
    shown, made = pictures(40), network()
    projections = [lsh(made, shown, seed) for seed in range(60)]
    bits = np.concatenate([projection.values(shown[:6]) > 0 for projection in projections], axis=1)  # (6, 1920)
    seen = features(made, shown)
    unit = seen[:6] - seen.mean(axis=0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    angle = np.arccos(np.clip(unit @ unit.T, -1, 1))
    differ = (bits[:, None] != bits[None]).mean(axis=2)
    np.testing.assert_allclose(differ, angle / np.pi, atol=0.05)  # a deviation is 0.011


def test_itq_turns_the_main_axes_so_that_signs_lose_least() -> None:
    shown, made = pictures(200), network()
    found = itq(made, shown, seed=0)
    axes = found._matrix
    np.testing.assert_allclose(axes.T @ axes, np.eye(32), atol=1e-4)  # a rotation of orthogonal axes
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((32, 32)))
    other = FeatureProjection(made, found._mean, (axes @ turn).astype(np.float32))

    def lost(projection: FeatureProjection) -> float:
        values = projection.values(shown)
        scale = np.abs(values).mean()  # the signs' best common size
        return float(np.square(values - scale * np.sign(values)).mean())

    assert lost(found) < 0.9 * lost(other)


@pytest.mark.parametrize("make", [lsh, itq])
def test_projections_follow_from_the_seed(make: object) -> None:
    assert callable(make)
    shown, made = pictures(60), network()
    one, two = (make(made, shown, seed=3).values(shown) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.shape == (60, 32)
