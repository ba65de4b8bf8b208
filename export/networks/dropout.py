"""Dropout as the talk has it: a binomial mask when training, everything scaled when testing.

Hinton, Srivastava, Krizhevsky, Sutskever, Salakhutdinov, "Improving neural networks by preventing co-adaptation of
feature detectors", arXiv 1207.0580, section 1: the mean network halves the outgoing weights of units that were there
half of the time. (torch's own layer scales while training instead, which has the same expectation.)
"""

import torch
from torch import nn


class BinomialDropout(nn.Module):
    """Sets a share of the values to 0 in training, each on its own, and multiplies all by 1 - share in testing.

    The shape (N, ...) stays. whole_maps: drops whole maps of (N, C, H, W) instead of single values, since neighbours
    in a map say nearly the same (Tompson et al., "Efficient object localization", CVPR 2015, section 3.2).
    Raises ValueError when share is not in [0, 1).
    """

    def __init__(self, share: float = 0.5, *, whole_maps: bool = False) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"share must be in [0, 1), got {share = }")
        self.share = share
        self.whole_maps = whole_maps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x * (1 - self.share)
        shape = (*x.shape[:2], *([1] * (x.dim() - 2))) if self.whole_maps else x.shape
        return x * (torch.rand(shape, device=x.device) >= self.share)

    def extra_repr(self) -> str:
        return f"share={self.share}" + (", whole_maps=True" if self.whole_maps else "")
