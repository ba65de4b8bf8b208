"""Local winner-take-all (LWTA) units over feature maps.

Srivastava, Masci, Kazerounian, Gomez, Schmidhuber, "Compete to Compute", NIPS 2013, section 2: in each block the unit
with the largest net input passes it on unchanged, the others give 0; the earliest unit wins a tie.
"""

import torch
from torch import nn

from export.networks.channels import check_multiple


class Lwta(nn.Module):
    """Local winner-take-all over blocks of `block` neighbouring channels; the shape (N, C, ...) stays.

    The winner keeps its own place, so that (unlike maxout) each unit has its own outgoing weights.
    Raises ValueError when C is no multiple of block.
    """

    def __init__(self, block: int = 2) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * winners(x, self.block)


def winners(x: torch.Tensor, block: int) -> torch.Tensor:
    """Which units win their blocks: bool like x, (N, C, ...), exactly one in each block, whatever its sign.

    Raises ValueError when C is no multiple of block.
    """
    check_multiple(x, block)
    blocks = x.reshape(len(x), x.shape[1] // block, block, *x.shape[2:])  # (N, C / b, b, ...)
    winner = blocks.argmax(dim=2, keepdim=True)  # the first of equals
    places = torch.arange(block, device=x.device).view(1, 1, block, *([1] * (x.dim() - 2)))
    return (places == winner).flatten(1, 2)
