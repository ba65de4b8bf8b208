"""Training of the recogniser: two sets of classes and a vocabulary of labels, learned together by one network.

The classes teach features (softmax, of the set that a picture is from); the labels are what the bundle says: each on
its own (sigmoid), since a frame shows a person and a car, with what is unknown of a picture left out of the loss.
"""

# N pictures, L labels, S side in pixels

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from export.distortion import Distortion
from export.networks.classifier import ClassifierConfig, ClassifierNetwork
from export.recogniser_data import JudgedFrames, RecogniserData, picture_targets
from export.training import RunConfig, Trainer
from export.vocabulary import SHOWN, UNKNOWN, vocabulary
from pipeline.errors import InputError

TINY_CLASSES, CIFAR_CLASSES = 200, 10


class Heads(NamedTuple):
    """Logits. tiny: (N, 200), of Tiny ImageNet's classes. cifar: (N, 10). labels: (N, L), each for itself."""

    tiny: torch.Tensor
    cifar: torch.Tensor
    labels: torch.Tensor


def heads(outputs: torch.Tensor) -> Heads:
    """The parts of the network's outputs, (N, 210 + L)."""
    sizes = [TINY_CLASSES, CIFAR_CLASSES, len(vocabulary().labels)]
    tiny, cifar, labels = torch.split(outputs, sizes, dim=1)
    return Heads(tiny, cifar, labels)


def _network() -> ClassifierConfig:
    outputs = TINY_CLASSES + CIFAR_CLASSES + len(vocabulary().labels)
    return ClassifierConfig(3, ((16,), (32,), (64,), (112,), (192,)), outputs, dropout=0.2)


@dataclass(frozen=True, kw_only=True)
class RecogniserTrainingConfig(RunConfig):
    """One run.

    tiny, cifar, frames: pictures of each kind in a batch. sizes: up to which share of the steps pictures have which
    side: small ones first, which cost a quarter. smoothing: of the classes' target probabilities.
    labels: weight of the labels' loss against that of the classes.
    """

    task: str = "recogniser"
    steps: int = 12_000
    learning_rate: float = 3e-3
    weight_decay: float = 5e-3
    tiny: int = 56
    cifar: int = 16
    frames: int = 24
    sizes: tuple[tuple[float, int], ...] = ((0.5, 32), (0.8, 48), (1.0, 64))
    smoothing: float = 0.1
    labels: float = 0.3
    network: ClassifierConfig = field(default_factory=_network)
    picture: Distortion = field(
        default_factory=lambda: Distortion(degrees=8, scale=0.12, crop=0.3, mirror=True, padding="reflection")
    )
    frame: Distortion = field(
        default_factory=lambda: Distortion(degrees=4, scale=0.1, crop=0.4, mirror=True, padding="reflection")
    )


class RecogniserTrainer(Trainer):
    """Learns classes and labels together; see `Trainer`. Raises InputError when the data has other classes."""

    def __init__(
        self, config: RecogniserTrainingConfig, data: RecogniserData, folder: Path, device: str = "cpu"
    ) -> None:
        if len(data.tiny.names) != TINY_CLASSES or len(data.cifar.names) != CIFAR_CLASSES:
            raise InputError(
                f"the sets have {len(data.tiny.names)} and {len(data.cifar.names)} classes, "
                f"not {TINY_CLASSES} and {CIFAR_CLASSES}; give the whole sets"
            )
        torch.manual_seed(config.seed)
        self.recogniser_config = config
        self.data = data
        self.rng = np.random.default_rng(config.seed)
        self.generator = torch.Generator(device).manual_seed(config.seed)
        self._tiny_targets, self._cifar_targets = picture_targets(data.tiny), picture_targets(data.cifar)
        self._weights = _frame_weights(data.films)
        network = ClassifierNetwork(config.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        super().__init__(config, network, folder, device)

    def loss(self) -> torch.Tensor:
        config, data = self.recogniser_config, self.data
        tiny = self.rng.integers(0, len(data.tiny), config.tiny)
        cifar = self.rng.integers(0, len(data.cifar), config.cifar)
        frames = self.rng.choice(len(data.films.film), config.frames, p=self._weights)
        shown = torch.cat([
            self._shown(data.tiny.pictures[tiny], config.picture),
            self._shown(data.cifar.pictures[cifar], config.picture),
            self._shown(data.films.frames[frames], config.frame),
        ])  # fmt: skip
        with self.autocast():
            outputs = self.network(shown.contiguous(memory_format=torch.channels_last)).float()
        said = heads(outputs)
        targets = np.concatenate([
            self._tiny_targets[data.tiny.classes[tiny]],
            self._cifar_targets[data.cifar.classes[cifar]],
            data.films.targets[data.films.film[frames]],
        ])  # fmt: skip
        of_tiny = self._of_classes(said.tiny[: config.tiny], data.tiny.classes[tiny])
        of_cifar = self._of_classes(said.cifar[config.tiny : config.tiny + config.cifar], data.cifar.classes[cifar])
        share = config.cifar / config.tiny
        return of_tiny + share * of_cifar + config.labels * label_loss(said.labels, self._tensor(targets))

    def random_state(self) -> dict[str, Any]:
        return {
            **super().random_state(),
            "torch_random": self.generator.get_state(),
            "sampler_random": self.rng.bit_generator.state,
        }

    def restore_random(self, state: dict[str, Any]) -> None:
        super().restore_random(state)
        self.generator.set_state(state["torch_random"])
        self.rng.bit_generator.state = state["sampler_random"]

    @property
    def side(self) -> int:
        """Of the pictures at this step."""
        config = self.recogniser_config
        return next(side for share, side in config.sizes if self.step < share * config.steps or share >= 1)

    def _shown(self, pictures: npt.NDArray[np.uint8], distortion: Distortion) -> torch.Tensor:
        """Pictures (N, 3, H, W) as a film may show them: float32 (N, 3, S, S) in 0..1."""
        side = self.side
        given = self._tensor(pictures).float() / 255
        height, width = given.shape[2:]
        if height > side:
            given = functional.interpolate(given, (side, side * width // height), mode="area")
        grid = distortion.grid(torch.Size([len(given), 3, side, side]), self.generator, self.device)
        return coloured(distortion.apply(given, grid), self.generator)

    def _of_classes(self, logits: torch.Tensor, classes: npt.NDArray[np.int64]) -> torch.Tensor:
        smoothing = self.recogniser_config.smoothing
        return functional.cross_entropy(logits, self._tensor(classes), label_smoothing=smoothing)

    def _tensor(self, values: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(values).to(self.device)


def label_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each label on its own, summed over those of which something is known; mean over the batch.

    logits: (N, L). targets: int8 (N, L), see `export.vocabulary`.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, (targets == SHOWN).float(), reduction="none")
    return (losses * (targets != UNKNOWN)).sum(dim=1).mean()


def coloured(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Other light and colours for each picture, (N, 3, H, W) in 0..1: gamma, tint, and less or more saturation."""

    def drawn(least: float, most: float, maps: int = 1) -> torch.Tensor:
        shape = (len(pictures), maps, 1, 1)
        return least + (most - least) * torch.rand(shape, generator=generator, device=pictures.device)

    grey = pictures.mean(dim=1, keepdim=True)
    mixed = grey + (pictures - grey) * drawn(0.3, 1.4)
    return (mixed.clamp(1e-3, 1) ** drawn(0.6, 1.6) * drawn(0.85, 1.15, maps=3)).clamp(0, 1)


def _frame_weights(films: JudgedFrames) -> npt.NDArray[np.float64]:
    """How often each frame is drawn: clips of rare labels more often, long clips not in proportion."""
    shown = films.targets == SHOWN  # (films, L)
    rarity = 1 / np.sqrt(np.maximum(shown.sum(axis=0), 1))
    of_film = np.where(shown.any(axis=1), (shown * rarity).max(axis=1), rarity[shown.any(axis=0)].mean())
    frames = np.bincount(films.film, minlength=len(films.names))
    weights = (of_film / np.sqrt(np.maximum(frames, 1)))[films.film]
    normalised: npt.NDArray[np.float64] = weights / weights.sum()
    return normalised
