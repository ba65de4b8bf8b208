import cv2
import numpy as np
import pytest
import torch

from export.networks.rectify import Rectifier, luma, screen_grid

QUADRILATERALS = {
    "whole": [[0, 0], [40, 0], [40, 30], [0, 30]],
    "inner": [[10, 5], [30, 5], [30, 25], [10, 25]],
    "tilted": [[3, 6], [35, 2], [38, 27], [6, 22]],
    "mirrored": [[40, 0], [0, 0], [0, 30], [40, 30]],
}


@pytest.mark.parametrize("name", QUADRILATERALS)
def test_grid_equals_the_homography_of_opencv(name: str) -> None:
    corners = np.array(QUADRILATERALS[name], np.float32)
    grid = screen_grid(torch.from_numpy(corners)[None], 8)[0].numpy()
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    centres = (np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=2) + 0.5) / 8
    expected = cv2.perspectiveTransform(centres.reshape(1, -1, 2), cv2.getPerspectiveTransform(unit, corners))
    assert np.abs(grid.reshape(-1, 2) - expected[0]).max() < 1e-3  # pixels


def test_corners_on_a_line_give_finite_places() -> None:
    grid = screen_grid(torch.tensor([[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]]), 4)
    assert torch.isfinite(grid).all()


def test_rectified_whole_picture_is_the_picture() -> None:
    picture = torch.rand(1, 1, 16, 16)
    corners = torch.tensor([[[0.0, 0.0], [16.0, 0.0], [16.0, 16.0], [0.0, 16.0]]])
    assert torch.allclose(Rectifier(16, 1)(picture, corners), picture, atol=1e-5)


def test_luma_weighs_the_colours_of_bt601() -> None:
    image = torch.tensor([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]]], dtype=torch.uint8)
    assert luma(image)[0, 0, 0].tolist() == pytest.approx([0.299, 0.587, 0.114, 1.0], abs=1e-6)
