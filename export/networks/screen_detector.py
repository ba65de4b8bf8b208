"""The screen detector: what each patch of a picture says of the screen, before corners are made of it."""

# N batch, C channels, H and W picture size, h and w map size (a cell is `stride` pixels)

from typing import NamedTuple

import torch
from torch import nn

from export.networks.dense import DenseConfig, DenseMaxPoolingCnn

SIDES = 4  # top, right, bottom, left of the film
VOTE_CELLS = 16.0  # unit of the votes for corners, in cells


class ScreenMaps(NamedTuple):
    """inside: (N, 1, h, w) logit that the cell shows film. sides: (N, 4, h, w) logits that a side runs through it.

    offsets: (N, 8, h, w) x and y of the nearest point of each side, from the cell's middle, in cells.
    votes: (N, 8, h, w) x and y of each corner, from the cell's middle, in units of `VOTE_CELLS`.
    """

    inside: torch.Tensor
    sides: torch.Tensor
    offsets: torch.Tensor
    votes: torch.Tensor


class ScreenDetectorNetwork(nn.Module):
    """uint8 pictures (N, H, W, 3) RGB -> `ScreenMaps` of h = H // stride and w = W // stride cells."""

    def __init__(self, config: DenseConfig, dropout: float = 0.1) -> None:
        super().__init__()
        self.config = config
        self.body = DenseMaxPoolingCnn(config)
        self.drop = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(config.channels[-1], 1 + SIDES + 2 * SIDES + 2 * SIDES, 1)

    def forward(self, pictures: torch.Tensor) -> ScreenMaps:
        x = pictures.permute(0, 3, 1, 2).float() * (1 / 127.5) - 1
        maps = self.head(self.drop(self.body(x)))
        return ScreenMaps(maps[:, :1], maps[:, 1:5], maps[:, 5:13], maps[:, 13:])


def cell_middles(height: int, width: int, device: torch.device) -> torch.Tensor:
    """x and y of the middle of each cell, in cells, (2, h, w)."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij"
    )
    return torch.stack([x, y])
