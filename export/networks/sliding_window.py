"""A network that answers for every patch of a picture, one patch after the other: what scanning means.

`fragments` and `dilated` give the same answers in one pass; they are tested against this.
"""

# N pictures, C maps, H and W their size in pixels, S side of the window, O outputs, h = H - S + 1, w = W - S + 1

import torch
from torch import nn

from export.networks.mpcnn import Mpcnn


class SlidingWindow(nn.Module):
    """Pictures (N, C, H, W) -> outputs (N, O, h, w): at (y, x) for the patch whose first pixel is (y, x).

    batch: patches that go through the network at once. Raises ValueError when the window does not fit.
    """

    def __init__(self, network: Mpcnn, batch: int = 256) -> None:
        super().__init__()
        self.network = network
        self.batch = batch

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        check_window(pictures, self.network)
        side = self.network.window[1]
        patches = pictures.unfold(2, side, 1).unfold(3, side, 1)  # (N, C, h, w, S, S), not copied yet
        count, _, height, width = patches.shape[:4]
        patches = patches.permute(0, 2, 3, 1, 4, 5)
        places = torch.split(torch.arange(count * height * width, device=pictures.device), self.batch)
        answers = [self.network(patches[self._place(part, height, width)]) for part in places]  # (batch, O) each
        return torch.unflatten(torch.cat(answers), 0, (count, height, width)).permute(0, 3, 1, 2)

    @staticmethod
    def _place(index: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return index // (height * width), index // width % height, index % width


def check_window(pictures: torch.Tensor, network: Mpcnn) -> None:
    """Raises ValueError unless pictures are (N, C, H, W) in which the network's window fits."""
    maps, side, _ = network.window
    if pictures.dim() != 4 or pictures.shape[1] != maps or min(pictures.shape[2:]) < side:
        raise ValueError(f"pictures must be (N, {maps}, {side} or more, {side} or more), got {pictures.shape = }")
