"""The recogniser as a task: what it learns from, and how well its labels rank pictures that it never saw."""

# N pictures, L labels

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from export.classifier_training import load_classifier
from export.data import held_out
from export.networks.classifier import ClassifierNetwork
from export.recogniser_data import RecogniserData, load_recogniser_data, picture_targets
from export.recogniser_training import RecogniserTrainer, RecogniserTrainingConfig, heads
from export.task import Scores, Sources, Task
from export.training import Trainer
from export.vocabulary import SHOWN, UNKNOWN, vocabulary
from pipeline.errors import InputError

HELD_OUT_SHARE = 0.1  # of the judged films, never trained on
SIDE = 64  # of the pictures, as at the end of training
TOGETHER = 200  # pictures that are recognised together

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Recognised:
    """What a network says of pictures that it never saw.

    logits: (N, L), of the labels. targets: int8 (N, L), see `export.vocabulary`.
    tiny_wrong, cifar_wrong: bool, for each test picture of the two sets, whether its likeliest class is another.
    of_films: bool (N,), which pictures are frames of films.
    """

    logits: Logits
    targets: npt.NDArray[np.int8]
    tiny_wrong: npt.NDArray[np.bool_]
    cifar_wrong: npt.NDArray[np.bool_]
    of_films: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RecogniserTask(Task):
    """See `export.recogniser_training`."""

    def trainer(self, sources: Sources, preset: str, steps: int | None, seed: int, device: str, out: Path) -> Trainer:
        """See `Task.trainer`."""
        config = RecogniserTrainingConfig(seed=seed)
        if preset == "gpu":
            config = replace(config, steps=60_000, sizes=((1.0, SIDE),))
        config = replace(config, steps=steps) if steps else config
        data = load_recogniser_data(sources.need_data(), sources.need_films(), "train")
        unseen = held_out(data.films.names, HELD_OUT_SHARE)
        return RecogniserTrainer(config, replace(data, films=data.films.of_films(~unseen)), out, device)

    def score(self, runs: Sequence[Path], sources: Sources) -> Scores:
        """See `Task.score`. Labels are scored by their mean average precision, classes by their errors."""
        data = unseen_data(sources)
        said = [recognised(load_classifier(run), data) for run in runs]
        mean = replace(said[0], logits=np.mean([one.logits for one in said], axis=0))
        return {
            "task": self.name,
            "metric": "mean average precision of the labels, and errors of the classes",
            "runs": [{"run": str(run), **_figures(one)} for run, one in zip(runs, said, strict=True)],
            "committee": {"of": len(runs), "labels_map": mean_average_precision(mean.logits, mean.targets)},
        }


def unseen_data(sources: Sources) -> RecogniserData:
    """Test pictures of both sets, and the held-out films. Raises InputError when there are none of these."""
    data = load_recogniser_data(sources.need_data(), sources.need_films(), "test")
    unseen = held_out(data.films.names, HELD_OUT_SHARE)
    if not unseen.any():
        raise InputError(f"no film of {sources.films} is among the held-out ones; give the folder that was trained on")
    return replace(data, films=data.films.of_films(unseen))


def recognised(network: ClassifierNetwork, data: RecogniserData) -> Recognised:
    """What a network says of these pictures, each whole picture at once."""
    tiny, cifar, frames = (
        outputs_of(network, pictures) for pictures in (data.tiny.pictures, data.cifar.pictures, data.films.frames)
    )
    every = [heads(part) for part in (tiny, cifar, frames)]
    targets = [
        picture_targets(data.tiny)[data.tiny.classes],
        picture_targets(data.cifar)[data.cifar.classes],
        data.films.targets[data.films.film],
    ]
    return Recognised(
        torch.cat([part.labels for part in every]).numpy(),
        np.concatenate(targets),
        every[0].tiny.argmax(dim=1).numpy() != data.tiny.classes,
        every[1].cifar.argmax(dim=1).numpy() != data.cifar.classes,
        np.repeat([False, False, True], [len(part) for part in targets]),
    )


def outputs_of(network: ClassifierNetwork, pictures: npt.NDArray[np.uint8]) -> torch.Tensor:
    """The network's outputs for uint8 pictures (N, 3, H, W), made square."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(pictures), TOGETHER):
            shown = torch.from_numpy(pictures[start : start + TOGETHER]).float() / 255
            parts.append(network(functional.interpolate(shown, (SIDE, SIDE), mode="area")))
    return torch.cat(parts)


def mean_average_precision(logits: Logits, targets: npt.NDArray[np.int8]) -> float:
    """Mean over the labels that some picture shows; pictures of which nothing is known are left out."""
    of_labels = [average_precision(logits[:, k], targets[:, k]) for k in range(targets.shape[1])]
    return float(np.mean([one for one in of_labels if one is not None]))


def average_precision(scores: npt.NDArray[np.float32], targets: npt.NDArray[np.int8]) -> float | None:
    """Mean precision at the places of the pictures that show the label, best first; None when none does."""
    order = np.argsort(-scores[targets != UNKNOWN], kind="stable")
    shown = (targets[targets != UNKNOWN] == SHOWN)[order]
    if not shown.any():
        return None
    precision = np.cumsum(shown) / np.arange(1, len(shown) + 1)
    return float(precision[shown].mean())


def _figures(said: Recognised) -> dict[str, Any]:
    films = said.of_films
    return {
        "labels_map": mean_average_precision(said.logits, said.targets),
        "labels_map_of_films": mean_average_precision(said.logits[films], said.targets[films]),
        "tiny_imagenet_error_percent": round(100 * float(said.tiny_wrong.mean()), 2),
        "cifar10_error_percent": round(100 * float(said.cifar_wrong.mean()), 2),
        "labels": len(vocabulary().labels),
    }


RECOGNISER = RecogniserTask(name="recogniser", published="none: the vocabulary is VNOME's own")
