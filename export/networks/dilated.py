"""A max-pooling CNN scans a whole picture in one pass, in the dilated form: the one that exports to ONNX.

The fragments of Giusti et al. (see `fragments`) stay interleaved in whole maps: a pooling moves by one cell, and what
follows it is dilated by the product of the poolings before it. Li, Zhao, Wang, "Highly efficient forward and backward
propagation of convolutional neural networks for pixelwise classification", arXiv 1412.4526, section 3: the same
values and the same gradients, without taking maps apart.
"""

# N pictures, C maps, H and W their size in pixels, S side of the window, O outputs, h = H - S + 1, w = W - S + 1

from functools import reduce

import torch
from torch import nn
from torch.nn import functional

from export.networks.mpcnn import MaxPooling, Mpcnn
from export.networks.sliding_window import check_window


def dilated_pool(x: torch.Tensor, size: int, dilation: int) -> torch.Tensor:
    """Largest of size x size cells that are `dilation` apart, at every cell.

    (N, C, H, W) -> (N, C, H - (size - 1) dilation, W - (size - 1) dilation).
    """
    for axis in (2, 3):  # shifted maps, for ONNX Runtime takes four times as long for a dilated MaxPool
        length = x.shape[axis] - (size - 1) * dilation
        x = reduce(torch.maximum, [x.narrow(axis, k * dilation, length) for k in range(size)])
    return x


class DilatedMpcnn(nn.Module):
    """Pictures (N, C, H, W) -> outputs (N, O, h, w), those of `SlidingWindow`; the weights are the network's own.

    In training dropout differs: here patches share their maps, and so what is dropped of them.
    Raises ValueError when the window does not fit.
    """

    def __init__(self, network: Mpcnn) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        check_window(pictures, self.network)
        x, dilation = pictures, 1
        for layer in self.network.stages:
            if isinstance(layer, nn.Conv2d):
                x = functional.conv2d(x, layer.weight, layer.bias, dilation=dilation)
            elif isinstance(layer, MaxPooling):
                x = dilated_pool(x, layer.size, dilation)
                dilation *= layer.size
            else:
                x = layer(x)
        return self._full(x, dilation)

    def _full(self, x: torch.Tensor, dilation: int) -> torch.Tensor:
        """Fully connected layers: the first is a convolution as large as the last maps of a patch, the others 1x1."""
        for layer in self.network.full:
            if isinstance(layer, nn.Linear):
                x = functional.conv2d(x, kernel_of(layer, x.shape[1]), layer.bias, dilation=dilation)
            else:
                x = layer(x)
        return x


def kernel_of(layer: nn.Linear, maps: int) -> torch.Tensor:
    """The weights of a fully connected layer on flat maps as those of a convolution, (units, maps, side, side)."""
    side = round((layer.in_features / maps) ** 0.5)
    return layer.weight.view(layer.out_features, maps, side, side)
