from functools import cache

import numpy as np
import pytest
import torch

from export.membrane_maps import MembraneScanner, darkness, membrane_maps, turned_back, without_specks
from export.membrane_training import turned
from export.networks.mpcnn import Mpcnn
from tests.membrane_samples import SMALL_NETWORK, small_stack


def network(seed: int) -> Mpcnn:
    torch.manual_seed(seed)
    return Mpcnn(SMALL_NETWORK)


@cache
def scanner(seed: int, share: float = 0.5) -> MembraneScanner:
    return MembraneScanner(network(seed), share)


@pytest.mark.parametrize("way", range(8))
def test_turns_are_undone(way: int) -> None:
    picture = torch.arange(6.0).view(2, 3)
    assert torch.equal(turned_back(turned(picture, way), way), picture)


def test_a_map_says_of_each_pixel_what_the_network_says_of_its_window() -> None:
    pictures = small_stack(2).pictures
    maps = membrane_maps([scanner(1)], pictures, ways=1)
    assert maps.shape == pictures.shape
    assert maps.dtype == np.float32
    window = (torch.from_numpy(pictures[1, 6:15, 12:21]).float() - 128) / 64
    with torch.no_grad():
        wanted = network(1).eval()(window.view(1, 1, 9, 9)).softmax(dim=1)[0, 1]
    assert maps[1, 10, 16] == pytest.approx(float(wanted), abs=1e-5)


def test_the_share_of_membranes_is_put_back() -> None:
    pictures = small_stack(1).pictures
    even = membrane_maps([scanner(1)], pictures, ways=1)
    rare = membrane_maps([scanner(1, 0.2)], pictures, ways=1)
    # Bayes: odds of 0.2 to 0.8 are 1 to 4
    np.testing.assert_allclose(rare / (1 - rare), even / (1 - even) / 4, rtol=1e-3)


def test_a_committee_is_the_mean_of_its_networks_and_turns() -> None:
    pictures = small_stack(1).pictures
    single = [membrane_maps([scanner(seed)], pictures) for seed in (1, 2)]
    both = membrane_maps([scanner(1), scanner(2)], pictures)
    np.testing.assert_allclose(both, (single[0] + single[1]) / 2, atol=1e-6)
    mirrored = membrane_maps([scanner(1)], np.ascontiguousarray(pictures[:, :, ::-1]))
    np.testing.assert_allclose(mirrored[:, :, ::-1], single[0], atol=1e-5)  # all 8 turns: none is preferred


def test_darkness_is_high_on_dark_lines() -> None:
    stack = small_stack(2)
    maps = darkness(stack.pictures)
    assert maps.dtype == np.float32
    assert maps[stack.membrane].mean() > maps[~stack.membrane].mean() + 0.05
    flat = darkness(np.full((1, 9, 9), 51, np.uint8))
    np.testing.assert_allclose(flat, 0.8, atol=1e-6)  # 1 - 51 / 255


def test_specks_and_gaps_go_and_lines_stay() -> None:
    maps = np.zeros((1, 15, 15), np.float32)
    maps[0, :, 4:8] = 1
    assert np.array_equal(without_specks(maps), maps)
    maps[0, 7, 4:8], maps[0, 3, 12] = 0, 1  # a gap and a speck
    found = without_specks(maps)
    assert found[0, 7].nonzero()[0].tolist() == [5, 6]  # 16 of 25 pixels, and at the line's sides 12
    assert found[0, 3].nonzero()[0].tolist() == [4, 5, 6, 7]
