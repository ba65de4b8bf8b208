"""Sub-network identifiers and the other heads: what they learn, and how retrieval is counted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from export.baselines import submask
from export.encoder_bundle import network_of
from export.networks.classifier import ClassifierConfig, ClassifierNetwork
from export.networks.lwta import winners
from export.submasks import (
    Classes,
    Codes,
    Features,
    HashHead,
    HeadTrainer,
    HeadTrainingConfig,
    SubmaskHead,
    features_of,
    retrieval,
)
from pipeline.bundles import shipped_bundle
from pipeline.codes import pack_bits


def clusters(count: int, seed: int) -> tuple[Features, Classes]:
    """Five classes around five middles of 12 dimensions."""
    middles = np.random.default_rng(0).normal(0, 2, (5, 12))
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 5, count)
    return (middles[classes] + rng.normal(0, 1, (count, 12))).astype(np.float32), classes


def random_codes(features: Features) -> Codes:
    bits = features @ np.random.default_rng(1).standard_normal((12, 32)) > 0
    return pack_bits(bits)


@pytest.mark.parametrize("head", ["submask", "sparse-hash"])
def test_a_learned_head_finds_more_than_random_hyperplanes(head: str, tmp_path: Path) -> None:
    features, classes = clusters(1000, seed=1)
    trainer = HeadTrainer(HeadTrainingConfig(head=head, steps=400, pictures=128), features, classes, tmp_path)
    trainer.run(lambda progress: None)
    learned = trainer.network.eval()
    assert isinstance(learned, SubmaskHead | HashHead)
    asked, kinds = clusters(100, seed=2)
    found = retrieval(learned.codes(asked), kinds, learned.codes(features), classes)
    chance = retrieval(random_codes(asked), kinds, random_codes(features), classes)
    assert found.mean_average_precision > chance.mean_average_precision + 0.03


def test_half_of_the_units_of_a_submask_win() -> None:
    head = SubmaskHead(12, 5).eval()
    features, _ = clusters(50, seed=3)
    won = winners(head.mix(torch.from_numpy(features)), 2)
    assert (won.sum(dim=1) == 32).all()
    codes = head.codes(features)
    assert codes.dtype == np.uint32
    assert np.array_equal(codes >> 3 & 1, won[:, 6].numpy().astype(np.uint32))


def test_retrieval_counts_ties_as_chance_would() -> None:
    database = np.array([0, 0, 1, 7, 0xFFFFFFFF], np.uint32)
    stored = np.array([1, 0, 1, 1, 0])
    found = retrieval(np.array([0], np.uint32), np.array([1]), database, stored)
    # distance 0: one right of two, expected at rank 1.5; then rank 3, then rank 4
    assert found.mean_average_precision == pytest.approx((1 / 1.5 + 2 / 3 + 3 / 4) / 3)
    assert found.precision_radius_2 == pytest.approx(2 / 3)
    assert found.empty_radius_2 == 0
    far = retrieval(np.array([0x00FFFF00], np.uint32), np.array([1]), database, stored)
    assert (far.precision_radius_2, far.empty_radius_2) == (0.0, 1.0)


def test_perfect_codes_find_everything() -> None:
    kinds = np.arange(10) % 2
    codes = np.where(kinds == 1, 0xFFFF, 0).astype(np.uint32)
    found = retrieval(codes, kinds, codes, kinds)
    assert (found.mean_average_precision, found.precision_radius_2) == (1.0, 1.0)


def test_features_are_what_the_last_layer_gets() -> None:
    torch.manual_seed(0)
    network = ClassifierNetwork(ClassifierConfig(1, ((4,), (6,)), 3, "lwta", side=8, features=10)).eval()
    pictures = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    outputs = network(torch.from_numpy(pictures).float() / 255)
    assert torch.allclose(network.head(torch.from_numpy(features_of(network, pictures))), outputs, atol=1e-6)


def test_the_encoders_own_submask_takes_even_units() -> None:
    network = network_of(shipped_bundle("encoder"))
    pictures = np.random.default_rng(0).random((64, 64, 64), dtype=np.float32)
    values = submask(network, pictures).values(pictures)
    assert values.shape == (64, 32)
    assert 0.2 < (values > 0).mean() < 0.8
