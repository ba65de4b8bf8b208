"""Attacks: within bounds, stronger than noise, and harder to resist the larger they may be."""

import numpy as np
import pytest
import torch

from edge.demo import sample_films
from export.adversarial import Attack, change_codes, change_labels
from export.encoder_bundle import network_of
from export.networks.sparse_hash import SparseHashNetwork
from pipeline.bundles import shipped_bundle
from pipeline.encoder import Encoder, whole_picture
from pipeline.media import read_frames


@pytest.fixture(scope="module")
def network() -> SparseHashNetwork:
    return network_of(shipped_bundle("encoder"))


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    film = read_frames(sample_films()[0], max_fps=2.0, max_side=160)
    return np.stack([frame.image for frame, _ in zip(film, range(6), strict=False)])


def flips(frames: np.ndarray, changed: np.ndarray) -> float:
    """Mean bits that differ, by the encoder as it is shipped."""
    encoder = Encoder(shipped_bundle("encoder"))
    corners = np.stack([whole_picture(frame) for frame in frames])
    codes, _ = encoder.encode_batch(frames, corners)
    others, _ = encoder.encode_batch(changed, corners)
    return float(np.bitwise_count(codes ^ others).mean())


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_no_value_is_changed_by_more_than_promised(network: SparseHashNetwork, frames: np.ndarray, steps: int) -> None:
    changed = change_codes(Attack(3, steps), network, frames)
    assert changed.dtype == np.uint8
    difference = np.abs(changed.astype(int) - frames.astype(int))
    assert 0 < difference.max() <= 3


def test_an_attack_flips_more_bits_than_noise_and_a_larger_one_more(
    network: SparseHashNetwork, frames: np.ndarray
) -> None:
    noise, small, large = (
        flips(frames, change_codes(attack, network, frames)) for attack in (Attack(8, 0), Attack(1, 5), Attack(8, 5))
    )
    assert noise < small < large
    assert large > 8


def test_a_label_is_pushed_down() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(3 * 4 * 6, 5)

    def logits(pictures: torch.Tensor) -> torch.Tensor:
        return pictures.float().flatten(1) @ matrix

    frames = np.random.default_rng(0).integers(20, 230, (10, 4, 6, 3), dtype=np.uint8)
    told = np.arange(10) % 5
    changed = change_labels(Attack(2, 1), logits, frames, told)
    before, after = (logits(torch.from_numpy(one)).numpy()[np.arange(10), told] for one in (frames, changed))
    # one step along a linear function takes off exactly the sum of its slopes
    assert before - after == pytest.approx(2 * matrix.abs().sum(dim=0).numpy()[told], rel=1e-4)
