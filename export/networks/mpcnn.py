"""The max-pooling CNN of the IDSIA contests, built from its notation.

Ciresan, Meier, Schmidhuber, "Multi-column deep neural networks for image classification", CVPR 2012 (arXiv 1202.2745),
section 3: `1x29x29-20C4-MP2-40C5-MP3-150N-10N` takes 1 map of 29x29 pixels through 20 maps of valid 4x4 convolutions,
max-pooling over disjoint 2x2 squares, 40 maps of 5x5, max-pooling over 3x3, and 150 hidden units to 10 outputs.
"""

# N patches, C maps, S side of the window, O outputs

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from export.networks.dropout import BinomialDropout
from export.networks.lwta import Lwta
from export.networks.maxout import Maxout

MNIST = "1x29x29-20C4-MP2-40C5-MP3-150N-10N"  # one column of the CVPR 2012 committee
TRAFFIC_SIGNS = "3x48x48-100C7-MP2-150C4-MP2-250C4-MP2-300N-43N"  # one column, Neural Networks 32, 2012
N4 = "1x95x95-48C4-MP2-48C5-MP2-48C4-MP2-48C4-MP2-200N-2N"  # membranes, NIPS 2012
# Of the talk's N3 a window of 65x65 is known, and from a public Caffe file that it has three stages of 48 maps, 200
# hidden units and 2 outputs. The kernels are ours: that file's 5x5 leave a part of the window unused, these do not.
N3 = "1x65x65-48C4-MP2-48C4-MP2-48C5-MP2-200N-2N"


class Convolution(NamedTuple):
    """maps: after the competition. kernel: its side, pixels."""

    maps: int
    kernel: int


class Pooling(NamedTuple):
    """size: side of the squares, of which each gives its largest value."""

    size: int


class Full(NamedTuple):
    """units: each sees all that comes in."""

    units: int


Layer = Convolution | Pooling | Full


class Plan(NamedTuple):
    """What a notation says. maps: of the window. side: of the window, pixels. The last layer is `Full`."""

    maps: int
    side: int
    layers: tuple[Layer, ...]

    @property
    def step(self) -> int:
        """Product of the poolings: how far apart patches are whose maps fall on the same grid, pixels."""
        return math.prod(layer.size for layer in self.layers if isinstance(layer, Pooling))


def parse(notation: str) -> Plan:
    """Reads a notation such as `1x29x29-20C4-MP2-40C5-MP3-150N-10N`.

    Raises ValueError when a part is not understood, when a convolution or a pooling comes after a fully connected
    layer, when the last part is not one, or when a map is smaller than a kernel or no multiple of its pooling.
    """
    first, *others = notation.split("-")
    window = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)x([1-9]\d*)", first)
    if window is None or window[2] != window[3]:
        raise ValueError(f"{notation!r} must begin with a square window such as 1x29x29, got {first!r}")
    layers = tuple(_layer(part, notation) for part in others)
    full = [isinstance(layer, Full) for layer in layers]
    if not full or not full[-1] or full != sorted(full):
        raise ValueError(f"{notation!r} must end with its fully connected layers, such as 150N-10N")
    plan = Plan(int(window[1]), int(window[2]), layers)
    _sides(plan, notation)
    return plan


def _layer(part: str, notation: str) -> Layer:
    made: tuple[tuple[str, Callable[..., Layer]], ...] = (
        (r"([1-9]\d*)C([1-9]\d*)", Convolution),
        (r"MP([1-9]\d*)", Pooling),
        (r"([1-9]\d*)N", Full),
    )
    for pattern, kind in made:
        match = re.fullmatch(pattern, part)
        if match:
            return kind(*map(int, match.groups()))
    raise ValueError(f"{part!r} in {notation!r} is none of 20C4 (maps, kernel), MP2 (pooling) and 150N (units)")


def _sides(plan: Plan, notation: str) -> list[int]:
    """Side of the maps after each convolution and pooling, of the window first."""
    sides = [plan.side]
    for layer in plan.layers:
        if isinstance(layer, Convolution):
            if layer.kernel > sides[-1]:
                raise ValueError(f"{notation!r}: kernel {layer.kernel} on a map of side {sides[-1]}")
            sides.append(sides[-1] - layer.kernel + 1)
        elif isinstance(layer, Pooling):
            if sides[-1] % layer.size:
                raise ValueError(f"{notation!r}: pooling {layer.size} on a map of side {sides[-1]}, no multiple of it")
            sides.append(sides[-1] // layer.size)
    return sides


class ScaledTanh(nn.Module):
    """1.7159 tanh(0.6666 x), any shape: LeCun et al., "Efficient backprop", 1998, section 4.4."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 1.7159 * torch.tanh(0.6666 * x)


class MaxPooling(nn.Module):
    """Largest value of disjoint squares of `size` cells: (N, C, H, W) -> (N, C, H // size, W // size)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(x, self.size)


class Activation(NamedTuple):
    """make: a layer of it. pieces: maps that go into each that comes out."""

    make: Callable[[], nn.Module]
    pieces: int = 1


ACTIVATIONS = {
    "tanh": Activation(ScaledTanh),
    "relu": Activation(nn.ReLU),
    "maxout": Activation(lambda: Maxout(2), pieces=2),
    "lwta": Activation(lambda: Lwta(2)),
}


@dataclass(frozen=True)
class MpcnnConfig:
    """One network. notation: see `parse`. activation: a key of `ACTIVATIONS`; the outputs have none.

    dropout: share of the values dropped before each fully connected layer, in training.
    Raises ValueError for what `parse` refuses, an activation it does not know, or maps that LWTA cannot pair.
    """

    notation: str = MNIST
    activation: str = "tanh"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")
        plan = parse(self.notation)
        hidden = [layer[0] for layer in plan.layers[:-1] if not isinstance(layer, Pooling)]
        if self.activation == "lwta" and any(maps % 2 for maps in hidden):
            raise ValueError(f"lwta needs even numbers of maps and units, got {self.notation!r}")

    @property
    def plan(self) -> Plan:
        """What the notation says."""
        return parse(self.notation)


class Mpcnn(nn.Module):
    """Patches (N, C, S, S) float -> outputs (N, O), without a softmax.

    stages: convolutions, their activations and poolings. full: what comes after them, on flat values.
    Raises ValueError when the patches are not as large as the notation says.
    """

    def __init__(self, config: MpcnnConfig) -> None:
        super().__init__()
        self.config = config
        self.window = (config.plan.maps, config.plan.side, config.plan.side)
        self.stages = nn.Sequential(*_stages(config))
        self.full = nn.Sequential(*_full(config))
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                # keeps the size of values: what relu and lwta take away the poolings give back
                nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
                assert layer.bias is not None  # noqa: S101  made with one, for the type checker
                nn.init.zeros_(layer.bias)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        if tuple(patches.shape[1:]) != self.window:
            raise ValueError(f"patches must be (N, {', '.join(map(str, self.window))}), got {patches.shape = }")
        outputs: torch.Tensor = self.full(self.stages(patches).flatten(1))
        return outputs


def _stages(config: MpcnnConfig) -> list[nn.Module]:
    activation = ACTIVATIONS[config.activation]
    layers: list[nn.Module] = []
    maps = config.plan.maps
    for layer in config.plan.layers:
        if isinstance(layer, Convolution):
            layers += [nn.Conv2d(maps, layer.maps * activation.pieces, layer.kernel), activation.make()]
            maps = layer.maps
        elif isinstance(layer, Pooling):
            layers.append(MaxPooling(layer.size))
    return layers


def _full(config: MpcnnConfig) -> list[nn.Module]:
    activation, plan = ACTIVATIONS[config.activation], config.plan
    *hidden, outputs = (layer.units for layer in plan.layers if isinstance(layer, Full))
    maps = [layer.maps for layer in plan.layers if isinstance(layer, Convolution)]
    units = (maps[-1] if maps else plan.maps) * _sides(plan, config.notation)[-1] ** 2
    drop = [BinomialDropout(config.dropout)] if config.dropout else []
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [*drop, nn.Linear(units, width * activation.pieces), activation.make()]
        units = width
    return [*layers, *drop, nn.Linear(units, outputs)]
