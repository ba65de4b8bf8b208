"""The recogniser as it is exported: a picture of a film in, the probability of each label out."""

# N pictures, V views of a picture, L labels

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from export.networks.classifier import ClassifierNetwork
from export.recogniser_training import heads
from export.vocabulary import Vocabulary

HEIGHT, WIDTH = 64, 128  # of a picture; its width is halved for the view of the whole


class LabelCalibration(NamedTuple):
    """slope, offset: float32 (L,); the probability of a label is sigmoid(slope logit + offset)."""

    slope: torch.Tensor
    offset: torch.Tensor


class RecogniserGraph(nn.Module):
    """uint8 pictures (N, 64, 128, 3) RGB -> probabilities float32 (N, L), each label on its own.

    The network looks at the whole, made square, and at three squares side by side; what it says of a label is the mean
    of the four logits. (Of those tried on held-out films, the mean ranked frames best, before the highest and the
    whole's alone.) A parent is at least as likely as each of its children.
    """

    slope: torch.Tensor
    offset: torch.Tensor
    kin: torch.Tensor

    def __init__(self, network: ClassifierNetwork, vocabulary: Vocabulary, calibration: LabelCalibration) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("slope", calibration.slope)
        self.register_buffer("offset", calibration.offset)
        kin = torch.eye(len(vocabulary.labels))  # kin[p, c]: c is p itself or a child of p
        for child, parent in vocabulary.parents.items():
            kin[vocabulary.labels.index(parent), vocabulary.labels.index(child)] = 1
        self.register_buffer("kin", kin)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        chance = torch.sigmoid(self.slope * self.logits(frames) + self.offset)
        return (chance.unsqueeze(1) * self.kin).amax(dim=2)

    def logits(self, frames: torch.Tensor) -> torch.Tensor:
        """Of the labels, before they are calibrated, (N, L)."""
        pictures = frames.permute(0, 3, 1, 2).float() / 255  # (N, 3, 64, 128)
        return torch.stack([heads(self.network(view)).labels for view in views(pictures)]).mean(dim=0)


def views(pictures: torch.Tensor) -> list[torch.Tensor]:
    """The whole, and left, middle and right: (N, 3, 64, 128) -> V of (N, 3, 64, 64)."""
    squares = [pictures[..., start : start + HEIGHT] for start in (0, HEIGHT // 2, HEIGHT)]
    return [functional.avg_pool2d(pictures, (1, 2)), *squares]
