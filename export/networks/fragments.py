"""A max-pooling CNN scans a whole picture in one pass, with max-pooling fragments.

Giusti, Ciresan, Masci, Gambardella, Schmidhuber, "Fast image scanning with deep max-pooling convolutional neural
networks", ICIP 2013 (arXiv 1302.1700), section 2: convolutions are done once for the whole picture; a pooling of p
makes p * p fragments of each map, one for each shift, so that no patch is lost; at the end they are put in order.
Masci, Giusti, Ciresan, Fricout, Schmidhuber, "A fast learning algorithm for image segmentation with max-pooling
convolutional networks", ICIP 2013 (arXiv 1302.1690), section 2: gradients go back the same way.
"""

# N pictures, C maps, H and W their size in pixels, S side of the window, O outputs, h = H - S + 1, w = W - S + 1
# F fragments (p * p for each pooling p so far), m and n size of a fragment's maps

import torch
from torch import nn
from torch.nn import functional

from export.networks.dilated import kernel_of
from export.networks.mpcnn import MaxPooling, Mpcnn
from export.networks.sliding_window import check_window


class FragmentedMpcnn(nn.Module):
    """Pictures (N, C, H, W) -> outputs (N, O, h, w), those of `SlidingWindow`; the weights are the network's own.

    All fragments are one batch, and so as large as the largest: the last row and column of some hold what is not of
    the picture, and no patch's answer. In training dropout differs, as in `DilatedMpcnn`.
    Raises ValueError when the window does not fit.
    """

    def __init__(self, network: Mpcnn) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        check_window(pictures, self.network)
        x = pictures
        sizes: list[int] = []
        for layer in self.network.stages:
            if isinstance(layer, MaxPooling):
                sizes.append(layer.size)
                x = torch.cat(shifted_pools(x, layer.size))
            else:
                x = layer(x)  # (F N, C, m, n)
        for layer in self.network.full:
            if isinstance(layer, nn.Linear):
                x = functional.conv2d(x, kernel_of(layer, x.shape[1]), layer.bias)
            else:
                x = layer(x)
        side = self.network.window[1]
        height, width = pictures.shape[2] - side + 1, pictures.shape[3] - side + 1
        return interleave(x, sizes)[:, :, :height, :width]


def shifted_pools(x: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Max-pooling of (N, C, H, W) at each of the size * size shifts, row by row: (N, C, H // size, W // size) each.

    What the shifts reach beyond the last row and column is 0.
    """
    rows, columns = x.shape[2] // size * size, x.shape[3] // size * size
    grown = functional.pad(x, (0, size - 1, 0, size - 1))
    return [
        functional.max_pool2d(grown[:, :, down : down + rows, right : right + columns], size)
        for down in range(size)
        for right in range(size)
    ]


def interleave(x: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """Fragments (F N, O, m, n) of poolings of these sizes -> (N, O, m P, n P), P the product of the sizes.

    The last pooling's shifts are the outermost part of the batch, and the coarsest part of a patch's place.
    """
    outer = [size for size in reversed(sizes) for _ in ("down", "right")]
    x = torch.unflatten(x, 0, (*outer, -1))  # (p, p, ..., N, O, m, n)
    count = len(outer)
    x = x.permute(count, count + 1, count + 2, *range(0, count, 2), count + 3, *range(1, count, 2))
    return x.flatten(3 + len(sizes)).flatten(2, 2 + len(sizes))  # from (N, O, m, p, ..., n, p, ...)
