"""Sub-network identifiers: which units win their competitions is a binary code of the picture, free with the answer.

Srivastava, Masci, Gomez, Schmidhuber, "Understanding locally competitive networks", ICLR 2015 (arXiv 1410.1165),
section 3: pictures that activate the same sub-network show the same. In blocks of two one bit says who won.
Here heads of 32 bits are compared on one set of features, those that a trained classifier's last layer gets: the
winners' mask of an LWTA layer that learns the classes, and Sparse-Hash, which learns pairs.
"""

# N pictures, F features, B = 32 bits

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from export.losses import LossWeights, sparse_hash_loss
from export.networks.classifier import ClassifierNetwork
from export.networks.dropout import BinomialDropout
from export.networks.lwta import Lwta, winners
from export.networks.sparse_hash import SparseHashHead
from export.training import RunConfig, Trainer
from pipeline.codes import CODE_BITS, pack_bits

TOGETHER = 500  # pictures whose features are computed together

Features = npt.NDArray[np.float32]  # (N, F)
Codes = npt.NDArray[np.uint32]  # (N,)
Classes = npt.NDArray[np.int64]  # (N,)


def features_of(network: ClassifierNetwork, pictures: npt.NDArray[np.uint8]) -> Features:
    """What the network's last layer gets, for uint8 pictures (N, C, H, W)."""
    parts = []
    with torch.no_grad():
        for at in range(0, len(pictures), TOGETHER):
            shown = torch.from_numpy(pictures[at : at + TOGETHER]).float() / 255
            parts.append(network.compete(network.classify(shown).net_inputs))
    return np.asarray(torch.cat(parts).numpy(), np.float32)


class SubmaskHead(nn.Module):
    """Features (N, F) -> logits of classes, by way of an LWTA layer of B blocks of two."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.mix = nn.Linear(features, 2 * CODE_BITS)
        self.compete = nn.Sequential(Lwta(2), BinomialDropout(0.5))
        self.head = nn.Linear(2 * CODE_BITS, classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.compete(self.mix(features)))
        return logits

    def codes(self, features: Features) -> Codes:
        """Bit k is set where the first unit of block k wins."""
        with torch.no_grad():
            won = winners(self.mix(torch.from_numpy(features)), 2)
        return pack_bits(won[:, ::2].numpy())


class HashHead(nn.Module):
    """Features (N, F) -> relaxed codes (N, B), see `export.networks.sparse_hash.SparseHashHead`."""

    def __init__(self, features: int, steps: int = 2) -> None:
        super().__init__()
        self.head = SparseHashHead(features, steps)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        h: torch.Tensor = self.head(features).h
        return h

    def codes(self, features: Features) -> Codes:
        """Bit k is set where net input k is above 0."""
        with torch.no_grad():
            return pack_bits((self.head(torch.from_numpy(features)).v > 0).numpy())


@dataclass(frozen=True, kw_only=True)
class HeadTrainingConfig(RunConfig):
    """One run. head: "submask" or "sparse-hash". pictures: of a batch."""

    head: str
    steps: int = 3000
    pictures: int = 256
    loss: LossWeights = field(default_factory=lambda: LossWeights(sparsity=0.01))


class HeadTrainer(Trainer):
    """Learns a head on features that stay as they are; see `Trainer`."""

    def __init__(self, config: HeadTrainingConfig, features: Features, classes: Classes, folder: Path) -> None:
        torch.manual_seed(config.seed)
        self.head_config = config
        self.features, self.classes = torch.from_numpy(features), torch.from_numpy(classes)
        width, kinds = features.shape[1], int(classes.max()) + 1
        head = SubmaskHead(width, kinds) if config.head == "submask" else HashHead(width)
        super().__init__(config, head, folder)

    def loss(self) -> torch.Tensor:
        config = self.head_config
        if config.head == "submask":
            at = self._drawn(config.pictures)
            return functional.cross_entropy(self.network(self.features[at]), self.classes[at])
        first = self._drawn(config.pictures)
        second = self._partners(first)
        h = self.network(self.features[torch.cat([first, second])])
        different = self.classes[first].unsqueeze(1) != self.classes[second].unsqueeze(0)
        return sparse_hash_loss(h[: len(first)], h[len(first) :], different, config.loss)

    def _drawn(self, count: int) -> torch.Tensor:
        return torch.randint(0, len(self.classes), (count,))

    def _partners(self, first: torch.Tensor) -> torch.Tensor:
        """For each picture another of its class."""
        order = torch.argsort(self.classes, stable=True)
        counts = torch.bincount(self.classes)
        starts = counts.cumsum(0) - counts
        of = self.classes[first]
        return order[starts[of] + (torch.rand(len(first)) * counts[of]).long()]


@dataclass(frozen=True)
class Retrieval:
    """mean_average_precision: of all pictures ranked by Hamming distance, those at one distance in no order.

    precision_radius_2: share of the right class among the pictures within two bits, 0 for a query with none, mean
    over queries; empty_radius_2: the share of such queries.
    """

    mean_average_precision: float
    precision_radius_2: float
    empty_radius_2: float


def retrieval(queries: Codes, asked: Classes, database: Codes, stored: Classes) -> Retrieval:
    """How well codes find pictures of the same class.

    asked, stored: classes of queries and database. Ties are broken as chance would: the expected precision is summed,
    as if the right ones of a distance were spread evenly among its pictures.
    """
    precisions, near, empty = [], [], 0
    for code, kind in zip(queries, asked, strict=True):
        distance = np.bitwise_count(database ^ code)
        right = stored == kind
        found = np.bincount(distance, minlength=CODE_BITS + 1)
        good = np.bincount(distance[right], minlength=CODE_BITS + 1)
        precisions.append(_average_precision(found, good))
        within = int(found[:3].sum())
        empty += within == 0
        near.append(good[:3].sum() / within if within else 0.0)
    return Retrieval(float(np.mean(precisions)), float(np.mean(near)), empty / len(queries))


def _average_precision(found: npt.NDArray[np.int64], good: npt.NDArray[np.int64]) -> float:
    """From the pictures at each distance, and the right ones among them."""
    before, before_good, total = 0, 0.0, 0.0
    for count, right in zip(found.tolist(), good.tolist(), strict=True):
        if right:
            rank = before + (np.arange(1, right + 1) - 0.5) * count / right + 0.5  # evenly spread
            total += float(((before_good + np.arange(1, right + 1)) / rank).sum())
        before, before_good = before + count, before_good + right
    return total / before_good if before_good else 0.0
