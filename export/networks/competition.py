"""Local competition: maxout and local winner-take-all (LWTA) units over feature maps.

LWTA: Srivastava, Masci, Kazerounian, Gomez, Schmidhuber, "Compete to Compute", NIPS 2013, section 2: in each
block the unit with the largest net input passes it on unchanged, the others give 0; the earliest unit wins a tie.
Maxout: Goodfellow et al., "Maxout Networks", ICML 2013, section 2: a unit is the maximum of its pieces.
"""

import torch
from torch import nn


class Maxout(nn.Module):
    """Maximum over `pieces` equal parts of the channels: unit c has the pieces c, c + C / pieces, ...

    Input (N, C, ...) -> output (N, C / pieces, ...). Raises ValueError when C is no multiple of pieces.
    """

    def __init__(self, pieces: int = 2) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _check_multiple(x, self.pieces)
        first, *others = x.chunk(self.pieces, dim=1)
        for piece in others:  # half the time of amax over a reshaped axis, forth and back
            first = torch.maximum(first, piece)
        return first


class Lwta(nn.Module):
    """Local winner-take-all over blocks of `block` neighbouring channels; the shape stays.

    The winner keeps its own place, so that (unlike maxout) each unit has its own outgoing weights.
    Raises ValueError when C is no multiple of block.
    """

    def __init__(self, block: int = 2) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _check_multiple(x, self.block)
        blocks = x.reshape(len(x), x.shape[1] // self.block, self.block, *x.shape[2:])  # (N, C / b, b, ...)
        winner = blocks.argmax(dim=2, keepdim=True)  # the first of equals
        places = torch.arange(self.block, device=x.device).view(1, 1, self.block, *([1] * (x.dim() - 2)))
        return torch.where(places == winner, blocks, torch.zeros_like(blocks)).flatten(1, 2)


def _check_multiple(x: torch.Tensor, size: int) -> None:
    if x.shape[1] % size:
        raise ValueError(f"channels must be a multiple of {size}, got {x.shape = }")
