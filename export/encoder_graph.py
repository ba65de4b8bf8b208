"""The one graph: camera frames and screen corners in, codes and margins out."""

# N batch, H and W picture size in pixels, S side of the network's input, K supersampling factor, B bits

from typing import NamedTuple

import torch
from torch import nn

from export.networks.rectify import Rectifier, luma
from export.networks.sparse_hash import SparseHashNetwork
from pipeline.codes import CODE_BITS

SUPERSAMPLING = 4  # 64 x 4 = 256 samples a side: a 640-pixel picture is read without gaps


class EncoderOutput(NamedTuple):
    """codes: int64 (N,), 0 .. 2**32 - 1. margins: float32 (N, 32), log-odds that the bit survives the camera."""

    codes: torch.Tensor
    margins: torch.Tensor


class EncoderGraph(nn.Module):
    """Rectification, resize, normalisation, network, calibrated margins and bit packing.

    frames: uint8 (N, H, W, 3) RGB. corners: float32 (N, 4, 2), pixels, clockwise from the film's top left.
    slope, offset: float (B,), the calibration: margin = max(0, offset + slope * |net input|), in nats.
    """

    slope: torch.Tensor
    offset: torch.Tensor
    weights: torch.Tensor

    def __init__(self, network: SparseHashNetwork, slope: torch.Tensor, offset: torch.Tensor) -> None:
        super().__init__()
        self.rectifier = Rectifier(network.config.side, SUPERSAMPLING)
        self.network = network
        self.register_buffer("slope", slope.float())
        self.register_buffer("offset", offset.float())
        self.register_buffer("weights", 2 ** torch.arange(CODE_BITS, dtype=torch.int64))

    def forward(self, frames: torch.Tensor, corners: torch.Tensor) -> EncoderOutput:
        v = self.network(self.rectifier(luma(frames), corners)).v  # (N, B)
        codes = torch.where(v > 0, self.weights, torch.zeros_like(self.weights)).sum(dim=1)  # (N,)
        margins = torch.relu(self.offset + self.slope * v.abs())
        return EncoderOutput(codes, margins)
