"""Maxout units over feature maps.

Goodfellow et al., "Maxout Networks", ICML 2013, section 2: a unit is the maximum of its pieces.
"""

import torch
from torch import nn

from export.networks.channels import check_multiple


class Maxout(nn.Module):
    """Maximum over `pieces` equal parts of the channels: unit c has the pieces c, c + C / pieces, ...

    Input (N, C, ...) -> output (N, C / pieces, ...). Raises ValueError when C is no multiple of pieces.
    """

    def __init__(self, pieces: int = 2) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_multiple(x, self.pieces)
        first, *others = x.chunk(self.pieces, dim=1)
        for piece in others:  # half the time of amax over a reshaped axis, forth and back
            first = torch.maximum(first, piece)
        return first
