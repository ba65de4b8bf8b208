"""The detector's one graph: a picture in, corners and confidence out."""

# N batch, H and W picture size in pixels

from typing import NamedTuple

import torch
from torch import nn

from export.networks.quad_fit import QuadFit
from export.networks.screen_detector import ScreenDetectorNetwork


class DetectorOutput(NamedTuple):
    """corners: float32 (N, 4, 2), pixels of the picture given. confidence: float32 (N,), 0..1."""

    corners: torch.Tensor
    confidence: torch.Tensor


class DetectorGraph(nn.Module):
    """Normalisation, network, corners and calibrated confidence.

    frames: uint8 (N, H, W, 3) RGB of any size; best about 320 pixels on the longer side.
    slope, offset: confidence = 1 / (1 + exp(-(slope * overlap + offset))), see `QuadFit` for the overlap.
    """

    def __init__(self, network: ScreenDetectorNetwork, slope: float, offset: float) -> None:
        super().__init__()
        self.network = network
        self.fit = QuadFit()
        self.slope, self.offset = slope, offset

    def forward(self, frames: torch.Tensor) -> DetectorOutput:
        found = self.fit(self.network(frames))
        return DetectorOutput(
            found.corners * float(self.network.config.stride),
            torch.sigmoid(self.slope * found.confidence + self.offset),
        )
