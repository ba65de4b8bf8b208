"""The talk's benchmarks on labelled pictures, as tasks of `vnome train` and `vnome score`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from export.classifier_training import ClassifierTrainer, ClassifierTrainingConfig, load_classifier
from export.distortion import Distortion
from export.labelled import LabelledPictures, cifar10, mnist
from export.networks.classifier import ClassifierConfig, ClassifierNetwork
from export.task import Scores, Sources, Task, scored
from export.training import Trainer

TOGETHER = 500  # pictures that are classified together

Probabilities = npt.NDArray[np.float32]  # (N, classes)


@dataclass(frozen=True)
class ClassifierTask(Task):
    """Pictures of classes, scored by the share of test pictures that get another class.

    load: reads a part of the set, "train" or "test". config: of the preset for a CPU; a GPU gets `gpu_steps` steps.
    mirrored: whether a picture and its mirror image show the same, so that both are asked.
    """

    load: Callable[[Path, str], LabelledPictures]
    config: ClassifierTrainingConfig
    gpu_steps: int
    mirrored: bool

    def trainer(self, sources: Sources, preset: str, steps: int | None, seed: int, device: str, out: Path) -> Trainer:
        """See `Task.trainer`."""
        config = replace(
            self.config, seed=seed, steps=steps or (self.gpu_steps if preset == "gpu" else self.config.steps)
        )
        return ClassifierTrainer(config, self.load(sources.need_data(), "train"), out, device)

    def score(self, runs: Sequence[Path], sources: Sources) -> Scores:
        """See `Task.score`. The committee averages probabilities, as Ciresan et al. 2012 do."""
        tested = self.load(sources.need_data(), "test")
        said = [probabilities(load_classifier(run), tested.pictures, self.mirrored) for run in runs]
        wrong = [one.argmax(axis=1) != tested.classes for one in said]
        together = np.mean(said, axis=0).argmax(axis=1) != tested.classes
        return scored(self.name, runs, wrong, together)


def probabilities(network: ClassifierNetwork, pictures: npt.NDArray[np.uint8], mirrored: bool) -> Probabilities:
    """Of the classes, for uint8 pictures (N, C, H, W); mirrored: the mean over picture and mirror image."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(pictures), TOGETHER):
            shown = torch.from_numpy(pictures[start : start + TOGETHER]).float() / 255
            chance = network(shown).softmax(dim=1)
            if mirrored:
                chance = (chance + network(shown.flip(3)).softmax(dim=1)) / 2
            parts.append(chance.numpy())
    return np.concatenate(parts)


MNIST = ClassifierTask(
    name="mnist",
    published="0.23 % (committee of 35, Ciresan et al. 2012)",
    load=mnist,
    config=ClassifierTrainingConfig(
        task="mnist",
        steps=7_200,  # 12 epochs
        network=ClassifierConfig(1, ((16,), (32,), (64,)), 10, side=28, features=128),
        distortion=Distortion(degrees=12, scale=0.12, shift=0.07, shear=0.15, elastic=1.2, smooth=4),
    ),
    gpu_steps=60_000,
    mirrored=False,
)
CIFAR10 = ClassifierTask(
    name="cifar10",
    published="9.38 % (maxout and dropout, augmented, Goodfellow et al. 2013)",
    load=cifar10,
    config=ClassifierTrainingConfig(
        task="cifar10",
        steps=3_000,  # 6 epochs
        learning_rate=4e-3,
        weight_decay=5e-3,
        network=ClassifierConfig(3, ((24,), (64, 64), (96, 96)), 10, dropout=0.2),
        distortion=Distortion(degrees=6, scale=0.1, shift=0.1, mirror=True, padding="reflection"),
    ),
    gpu_steps=60_000,
    mirrored=True,
)
