"""The detector's dense network applied to one patch at a time: what its one pass must equal."""

import torch
from torch import nn
from torch.nn import functional

from export.networks.dense import DenseConfig, DenseMaxPoolingCnn, DensePool


def before(config: DenseConfig) -> int:
    """Pixels of a cell's patch that lie before the cell's own first pixel.

    A cell i of the answer stands for the patch that begins at pixel `stride` i - `before` and is `field` long: each
    convolution of 3 reaches one step of its map back, and a max-pooling of 2 reaches only forward (Giusti et al.'s
    fragment of offset o holds the patches that begin at o modulo the product of the poolings; whole dilated maps
    keep all of them in their order). A map's step doubles with every pooling.
    """
    return sum(2 ** min(stage, config.pooled) for stage in range(len(config.channels)))


def patch_by_patch(made: DenseMaxPoolingCnn, patches: torch.Tensor) -> torch.Tensor:
    """The strided net without padding and dilation: patches (P, 3, F, F) -> features (P, C)."""
    x = patches
    for layer in made.stages:
        if isinstance(layer, nn.Conv2d):
            x = functional.conv2d(x, layer.weight)
        elif isinstance(layer, (nn.MaxPool2d, DensePool)):
            x = functional.max_pool2d(x, 2)
        else:
            x = layer(x)
    assert x.shape[2:] == (1, 1)  # the field is exactly as large as the net needs
    return x[:, :, 0, 0]
