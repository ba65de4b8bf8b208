"""A max-pooling CNN that says what a picture shows: stages of convolutions that compete, each ending in a max-pooling.

Ciresan, Meier, Schmidhuber, "Multi-column deep neural networks for image classification", CVPR 2012 (arXiv 1202.2745),
section 2, with maxout or LWTA units and dropout in place of tanh, and batch normalisation after the competition.
"""

# N batch, C channels, H and W picture size, F features, O outputs

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from export.networks.dropout import BinomialDropout
from export.networks.lwta import Lwta
from export.networks.maxout import Maxout

COMPETITIONS = ("maxout", "lwta", "relu")


@dataclass(frozen=True)
class ClassifierConfig:
    """Size of the network.

    maps: of the picture, 1 or 3. stages: for each, the maps that its convolutions give after the competition; each
    ends in a max-pooling of 2. outputs: of the last layer. competition: of the units, see `COMPETITIONS`; two
    compete. side: of the picture in pixels; 0 takes any size and averages the last maps over the picture.
    features: units of a fully connected layer, after their competition; 0: none.
    dropout: share of the features that is dropped in training, and a quarter of it of each stage's maps.
    """

    maps: int
    stages: tuple[tuple[int, ...], ...]
    outputs: int
    competition: str = "maxout"
    side: int = 0
    features: int = 0
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if self.competition not in COMPETITIONS:
            raise ValueError(f"competition must be one of {COMPETITIONS}, got {self.competition!r}")
        if self.side and self.side < 1 << len(self.stages):
            raise ValueError(f"side must be at least {1 << len(self.stages)} for so many stages, got {self.side = }")

    @staticmethod
    def of(stored: "dict[str, object]") -> "ClassifierConfig":
        """From what `dataclasses.asdict` gave, lists in place of tuples allowed."""
        stages = tuple(tuple(stage) for stage in stored["stages"])  # type: ignore[attr-defined]
        return ClassifierConfig(**{**stored, "stages": stages})  # type: ignore[arg-type]


class Classified(NamedTuple):
    """outputs: float32 (N, O). net_inputs: float32 (N, 2 F or F), of the features before they compete.

    Without a fully connected layer, net_inputs are the averaged maps.
    """

    outputs: torch.Tensor
    net_inputs: torch.Tensor


class ClassifierNetwork(nn.Module):
    """Pictures (N, maps, H, W), any brightness and contrast -> outputs (N, O).

    Raises ValueError when the pictures have another number of maps, or another side than the configured one.
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        stages: list[nn.Module] = []
        incoming = config.maps
        for stage in config.stages:
            for outgoing in stage:
                stages += [_convolution(incoming, outgoing, config.competition), _competition(config.competition)]
                stages += [nn.BatchNorm2d(outgoing)]
                incoming = outgoing
            stages[-1:] = [nn.MaxPool2d(2), stages[-1]]  # a quarter of the values to normalise
            stages += [BinomialDropout(config.dropout / 4, whole_maps=True)]
        self.stages = nn.Sequential(*stages)
        flat = incoming * (config.side >> len(config.stages)) ** 2 if config.side else incoming
        self.gather: nn.Module = nn.Identity() if config.side else nn.AdaptiveAvgPool2d(1)
        self.mix = nn.Linear(flat, config.features * _units(config.competition)) if config.features else nn.Identity()
        self.compete = nn.Sequential(
            *([_competition(config.competition)] if config.features else []),
            nn.BatchNorm1d(config.features or flat),
            BinomialDropout(config.dropout),
        )
        self.head = nn.Linear(config.features or flat, config.outputs)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.classify(pictures).outputs

    def classify(self, pictures: torch.Tensor) -> Classified:
        """The outputs, and what the features compete with."""
        self._check(pictures)
        net_inputs = self.mix(self.gather(self.stages(normalise(pictures))).flatten(1))
        return Classified(self.head(self.compete(net_inputs)), net_inputs)

    def _check(self, pictures: torch.Tensor) -> None:
        side, maps = self.config.side, self.config.maps
        if pictures.shape[1] != maps or (side and tuple(pictures.shape[2:]) != (side, side)):
            raise ValueError(f"pictures must be (N, {maps}, {side or 'H'}, {side or 'W'}), got {pictures.shape = }")


def normalise(pictures: torch.Tensor) -> torch.Tensor:
    """Zero mean and unit deviation per picture, all maps together; a flat picture becomes zeros."""
    centred = pictures - pictures.mean(dim=(1, 2, 3), keepdim=True)
    deviation = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return centred / (deviation + 0.01)  # values in 0..1: 0.01 is 2.5 grey levels, sensor noise


def _units(competition: str) -> int:
    """Units that a convolution must give for one that is passed on."""
    return 2 if competition == "maxout" else 1


def _convolution(incoming: int, outgoing: int, competition: str) -> nn.Module:
    return nn.Conv2d(incoming, outgoing * _units(competition), 3, padding=1, bias=False)


def _competition(competition: str) -> nn.Module:
    made: dict[str, nn.Module] = {"maxout": Maxout(2), "lwta": Lwta(2), "relu": nn.ReLU()}
    return made[competition]
