"""Distortions: what each number does, by itself."""

import math

import pytest
import torch

from export.distortion import Distortion


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 4, height: int = 20, width: int = 30) -> torch.Tensor:
    return torch.rand(count, 2, height, width, generator=rng(1))


def test_nothing_changes_nothing() -> None:
    assert torch.allclose(Distortion()(pictures(), rng()), pictures(), atol=1e-5)


@pytest.mark.parametrize(
    "distortion",
    [Distortion(degrees=20), Distortion(scale=0.2), Distortion(shift=0.2), Distortion(shear=0.3),
     Distortion(crop=0.4), Distortion(elastic=2, smooth=3), Distortion(mirror=True)],
)  # fmt: skip
def test_each_changes_pictures_each_in_its_own_way_and_keeps_the_shape(distortion: Distortion) -> None:
    same = pictures(1).expand(6, -1, -1, -1)
    shown = distortion(same, rng())
    assert shown.shape == same.shape
    assert (shown - same).abs().amax() > 0.01
    assert (shown[1:] - shown[:-1]).abs().amax() > 0.01
    assert torch.equal(distortion(same, rng()), shown)  # the generator decides everything


def test_half_are_mirrored_and_the_rest_untouched() -> None:
    shown = Distortion(mirror=True)(pictures(1).expand(200, -1, -1, -1), rng())
    straight = (shown - pictures(1)).abs().amax(dim=(1, 2, 3)) < 1e-4
    turned = (shown - pictures(1).flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert (straight ^ turned).all()
    assert 70 < int(straight.sum()) < 130


def test_rotation_keeps_distances_on_pictures_that_are_not_square() -> None:
    grid = Distortion(degrees=90).grid(torch.Size([50, 1, 21, 21]), rng(), torch.device("cpu"))
    across = grid[:, 10, -1] - grid[:, 10, 0]  # (50, 2)
    assert torch.allclose(across.norm(dim=1), torch.full((50,), 40 / 21), atol=1e-5)
    angles = torch.atan2(across[:, 1], across[:, 0]) * 180 / math.pi
    assert angles.abs().max() <= 90
    assert angles.min() < -45 < 45 < angles.max()


def test_a_crop_shows_a_part_and_never_beyond_the_edge() -> None:
    grid = Distortion(crop=0.5).grid(torch.Size([200, 1, 16, 16]), rng(), torch.device("cpu"))
    assert grid.abs().max() <= 1
    width = grid[:, 0, -1, 0] - grid[:, 0, 0, 0]
    assert 0.5 * 30 / 16 <= width.min() < width.max() <= 30 / 16


def test_elastic_displacements_are_as_large_as_asked_and_smooth() -> None:
    shape = torch.Size([40, 1, 60, 80])
    flat = Distortion().grid(shape, rng(), torch.device("cpu"))
    off = (Distortion(elastic=2.0, smooth=6).grid(shape, rng(), torch.device("cpu")) - flat) * torch.tensor(
        [40.0, 30.0]
    )
    assert off.std().item() == pytest.approx(2.0, rel=0.2)
    step = (off[:, :, 1:] - off[:, :, :-1]).std().item()  # a Gaussian of deviation s: s(step) = s / 6 of it
    assert 0.15 < step < 0.6


def test_labels_move_with_their_picture() -> None:
    picture = torch.zeros(1, 1, 20, 20)
    picture[..., 5:9, 12:16] = 1
    distortion = Distortion(degrees=10, shift=0.1, elastic=1)
    grid = distortion.grid(picture.shape, rng(3), picture.device)
    labels = distortion.apply(picture, grid, mode="nearest")
    assert set(labels.flatten().tolist()) == {0.0, 1.0}
    assert ((distortion.apply(picture, grid) - labels).abs() <= 0.75).all()
