"""Maxout units over feature maps.

Goodfellow et al., "Maxout Networks", ICML 2013, section 2: a unit is the maximum of its pieces.
"""

from typing import Any

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
        larger = _Larger.apply if torch.is_grad_enabled() and x.requires_grad else torch.maximum
        for piece in others:  # half the time of amax over a reshaped axis, forth and back
            first = larger(first, piece)
        return first


class _Larger(torch.autograd.Function):
    """The larger of two tensors; the gradient goes to it alone, to the first where they are equal.

    torch.maximum gives half of it to either where they are equal, for which its backward pass takes several times as
    long, and most of that of the whole network.
    """

    @staticmethod
    def forward(ctx: Any, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        won = one >= other
        ctx.save_for_backward(won)
        return torch.maximum(one, other)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        (won,) = ctx.saved_tensors
        of_one = gradient * won
        return of_one, gradient - of_one
