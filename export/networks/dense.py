"""A max-pooling CNN that scans a whole picture at once, in the dilated form.

Giusti, Ciresan, Masci, Gambardella, Schmidhuber, "Fast image scanning with deep max-pooling convolutional neural
networks", ICIP 2013: after a max-pooling of 2 every shift is kept, so that the net's answer for each patch of the
picture comes out of one pass. Instead of separate fragments the maps stay whole: a pooling moves by one cell and what
follows it is dilated by the product of the earlier poolings, as in `dilated`; here the first stages keep their stride.
"""

# N batch, C channels, H and W picture size, h and w map size

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from export.networks.dilated import dilated_pool
from export.networks.maxout import Maxout


@dataclass(frozen=True)
class DenseConfig:
    """Size of the network.

    channels: maps after each stage of convolution and maxout. strided: the first stages whose max-pooling moves by 2,
    so that patches are answered every 2 ** strided pixels; the later ones move by 1 and dilate what follows.
    pooled: stages that end in a max-pooling; those after them go on without.
    """

    channels: tuple[int, ...] = (8, 20, 32, 40, 40, 40, 40)
    strided: int = 2
    pooled: int = 5

    @property
    def stride(self) -> int:
        """Pixels between the patches that are answered."""
        return 1 << self.strided

    @property
    def field(self) -> int:
        """Side of the patch that an answer depends on, pixels."""
        side, step = 1, 1
        for stage in range(len(self.channels)):
            side += 2 * step  # a convolution of 3
            if stage < self.pooled:
                side += step  # a pooling of 2
                step *= 2
        return side


class DensePool(nn.Module):
    """Max-pooling of 2 at every shift: the larger of a cell and its neighbour `dilation` cells on, both ways."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grown = functional.pad(x, (0, self.dilation, 0, self.dilation), mode="constant", value=-1e4)
        return dilated_pool(grown, 2, self.dilation)


class DenseMaxPoolingCnn(nn.Module):
    """Pictures (N, 3, H, W) of any size -> features (N, C, H // stride, W // stride), one patch a cell.

    What lies outside the picture counts as 0 in each stage.
    """

    def __init__(self, config: DenseConfig, incoming: int = 3) -> None:
        super().__init__()
        self.config = config
        stages: list[nn.Module] = []
        dilation = 1
        for stage, outgoing in enumerate(config.channels):
            stages += [
                nn.Conv2d(incoming, 2 * outgoing, 3, padding=dilation, dilation=dilation, bias=False),
                Maxout(2),
            ]
            if stage < config.strided:
                stages.append(nn.MaxPool2d(2))
            elif stage < config.pooled:
                stages.append(DensePool(dilation))
                dilation *= 2
            stages.append(nn.BatchNorm2d(outgoing))
            incoming = outgoing
        self.stages = nn.Sequential(*stages)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.stages(pictures)
        return features
