"""Sparse-Hash: a max-pooling CNN whose head is a few unrolled shrinkage steps, giving 32 bits.

Masci, A. Bronstein, M. Bronstein, Sprechmann, Sapiro, "Sparse similarity-preserving hashing", arXiv 1312.5479:
the head unrolls ISTA (Gregor and LeCun, "Learning fast approximations of sparse coding", ICML 2010, section 3):
b = W x, z_0 = shrink(b), z_{t+1} = shrink(b + S z_t), h = tanh(z_T), with W, S and the thresholds learned.
"""

# N batch, S side of the input in pixels, C channels, B bits

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from export.networks.maxout import Maxout
from pipeline.codes import CODE_BITS

PIECES = 2  # of every maxout unit


@dataclass(frozen=True)
class SparseHashConfig:
    """Size of the network.

    side: input side in pixels, a multiple of 16 (four 2x2 max-poolings).
    channels: feature maps after each of the four maxout stages.
    features: width of the fully connected maxout layer.
    shrinkage_steps: unrolled ISTA steps after the first shrinkage.
    dropout: share of the features dropped in training.
    local_contrast: side in pixels of the window of `local_contrast`, the second input; odd, or 0 for none.
    """

    side: int = 64
    channels: tuple[int, int, int, int] = (16, 48, 96, 128)
    features: int = 160
    shrinkage_steps: int = 2
    dropout: float = 0.1
    local_contrast: int = 13

    def __post_init__(self) -> None:
        if self.side % 16:
            raise ValueError(f"side must be a multiple of 16, got {self.side = }")
        if self.local_contrast and self.local_contrast % 2 == 0:
            raise ValueError(f"local_contrast must be odd or 0, got {self.local_contrast = }")

    @classmethod
    def of_card(cls, sizes: dict[str, Any]) -> "SparseHashConfig":
        """As a card or a checkpoint says it; those from before the second input do not name it."""
        return cls(**{"local_contrast": 0, **sizes, "channels": tuple(sizes["channels"])})


class HashOutput(NamedTuple):
    """h (N, B): relaxed code in (-1, 1). v (N, B): net input of the last shrinkage; bit k is v[k] > 0."""

    h: torch.Tensor
    v: torch.Tensor


class MaxPoolingCnn(nn.Module):
    """Convolution, maxout, max-pooling, four times: (N, I, S, S) -> (N, C, S / 16, S / 16)."""

    def __init__(self, inputs: int, channels: tuple[int, ...], pieces: int = PIECES) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        incoming = inputs
        for depth, outgoing in enumerate(channels):
            kernel = 5 if depth == 0 else 3
            stages += [
                nn.Conv2d(incoming, outgoing * pieces, kernel, padding=kernel // 2),
                Maxout(pieces),
                nn.MaxPool2d(2),
                nn.BatchNorm2d(outgoing),  # after the competition: an eighth of the values to normalise
            ]
            incoming = outgoing
        self.stages = nn.Sequential(*stages)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.stages(x)
        return features


class SparseHashHead(nn.Module):
    """Features (N, F) -> relaxed code, by unrolled ISTA with learned dictionary, feedback and thresholds.

    The net input W x is batch-normalised without gain, so that each bit is set for about half of the world.
    """

    def __init__(self, features: int, steps: int) -> None:
        super().__init__()
        self.dictionary = nn.Linear(features, CODE_BITS, bias=False)
        self.balance = nn.BatchNorm1d(CODE_BITS, affine=False)
        self.feedback = nn.Linear(CODE_BITS, CODE_BITS, bias=False)
        self.threshold = nn.Parameter(torch.full((CODE_BITS,), 0.05))
        self.steps = steps
        nn.init.zeros_(self.feedback.weight)

    def forward(self, x: torch.Tensor) -> HashOutput:
        b = self.balance(self.dictionary(x))  # (N, B)
        v = b
        for _ in range(self.steps):
            v = b + self.feedback(self._shrink(v))  # (N, B)
        return HashOutput(torch.tanh(self._shrink(v)), v)

    def _shrink(self, v: torch.Tensor) -> torch.Tensor:
        return torch.sign(v) * torch.relu(torch.abs(v) - torch.relu(self.threshold))


class SparseHashNetwork(nn.Module):
    """Rectified luma (N, 1, S, S), any brightness and contrast -> `HashOutput`.

    Raises ValueError when the input is not (N, 1, S, S) of the configured side.
    """

    def __init__(self, config: SparseHashConfig) -> None:
        super().__init__()
        self.config = config
        self.body = MaxPoolingCnn(2 if config.local_contrast else 1, config.channels)
        flat = config.channels[-1] * (config.side // 16) ** 2
        self.mix = nn.Sequential(
            nn.Flatten(),
            nn.Linear(flat, config.features * PIECES),
            Maxout(PIECES),
            nn.BatchNorm1d(config.features),
            nn.Dropout(config.dropout),
        )
        self.head = SparseHashHead(config.features, config.shrinkage_steps)

    def forward(self, luma: torch.Tensor) -> HashOutput:
        side = self.config.side
        if tuple(luma.shape[1:]) != (1, side, side):
            raise ValueError(f"luma must be (N, 1, {side}, {side}), got {luma.shape = }")
        output: HashOutput = self.head(self.mix(self.body(self.inputs(luma))))
        return output

    def inputs(self, luma: torch.Tensor) -> torch.Tensor:
        """What the first convolution gets: contrast, and local contrast. (N, 1, S, S) -> (N, 1 or 2, S, S)."""
        whole = normalise(luma)
        window = self.config.local_contrast
        return torch.cat([whole, local_contrast(luma, window)], dim=1) if window else whole


def normalise(luma: torch.Tensor) -> torch.Tensor:
    """Zero mean and unit deviation per picture; a flat picture becomes zeros. (N, 1, S, S) -> the same."""
    centred = luma - luma.mean(dim=(2, 3), keepdim=True)
    deviation = centred.square().mean(dim=(2, 3), keepdim=True).sqrt()
    return centred / (deviation + 0.01)  # luma in 0..1: 0.01 is 2.5 grey levels, sensor noise


def local_contrast(luma: torch.Tensor, window: int) -> torch.Tensor:
    """Each pixel against the window around it, in deviations of that window: what is left of a burnt-out picture.

    Jarrett, Kavukcuoglu, Ranzato, LeCun, "What is the best multi-stage architecture for object recognition?",
    ICCV 2009, section 2.1, local contrast normalisation; here in a flat window, cut off at the picture's edge.
    luma: (N, 1, S, S) in 0..1 -> the same shape. window: side in pixels, odd.
    """

    def mean(x: torch.Tensor) -> torch.Tensor:
        half = window // 2
        down = functional.avg_pool2d(x, (window, 1), 1, (half, 0), count_include_pad=False)
        return functional.avg_pool2d(down, (1, window), 1, (0, half), count_include_pad=False)

    centred = luma - mean(luma)
    deviation = mean(centred.square()).clamp(min=1e-8).sqrt()  # a flat window has a gradient, too
    return centred / (deviation + 0.02)  # luma in 0..1: 0.02 is 5 grey levels, noise and blocks of a camera


def grown(network: SparseHashNetwork, config: SparseHashConfig) -> SparseHashNetwork:
    """A network with more units, or with the second input, that codes as the given one until it is trained on.

    Chen, Goodfellow, Shlens, "Net2Net: accelerating learning via knowledge transfer", ICLR 2016, keep the function by
    splitting units. Here new units begin with random weights, and nobody listens to them yet: so no two are alike.
    Raises ValueError when the network does not fit into one of that configuration.
    """
    if not _fits(network.config, config):
        raise ValueError(f"{network.config} does not fit into {config}")
    larger = SparseHashNetwork(config)
    state = larger.state_dict()
    for name, values in network.state_dict().items():
        layer = larger.get_submodule(name.rpartition(".")[0])
        maxed = layer is larger.mix[1] or isinstance(layer, nn.Conv2d)
        if values.dim():
            _take_over(state[name], values, PIECES if maxed else 1)
    return larger.train(network.training)


def _fits(config: SparseHashConfig, larger: SparseHashConfig) -> bool:
    same = (config.side, config.shrinkage_steps) == (larger.side, larger.shrinkage_steps)
    second_input = config.local_contrast in (0, larger.local_contrast)
    sizes = zip((*config.channels, config.features), (*larger.channels, larger.features), strict=True)
    return same and second_input and all(one <= other for one, other in sizes)


def _take_over(larger: torch.Tensor, values: torch.Tensor, pieces: int) -> None:
    """Parameters (pieces x units, ...) written over the first units of each piece, whose further inputs become 0."""
    units = len(values) // pieces
    own = larger.view(pieces, -1, *larger.shape[1:])[:, :units]
    if values.dim() > 1:
        own = own.zero_()[:, :, : values.shape[1]]
    own.copy_(values.reshape(pieces, units, *values.shape[1:]))
