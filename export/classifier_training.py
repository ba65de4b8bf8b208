"""Training of a max-pooling CNN on labelled pictures, each distorted anew whenever it is shown."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from export.distortion import Distortion
from export.labelled import LabelledPictures
from export.networks.classifier import ClassifierConfig, ClassifierNetwork
from export.training import RunConfig, Trainer, load_checkpoint


@dataclass(frozen=True, kw_only=True)
class ClassifierTrainingConfig(RunConfig):
    """One run.

    task: what it learns. pictures: of a batch. smoothing: of the target probabilities, against overfitting.
    """

    task: str
    network: ClassifierConfig
    distortion: Distortion = field(default_factory=Distortion)
    pictures: int = 100
    smoothing: float = 0.0


class ClassifierTrainer(Trainer):
    """Learns the classes of labelled pictures; see `Trainer`. Every picture comes once an epoch, in a drawn order."""

    def __init__(
        self, config: ClassifierTrainingConfig, labelled: LabelledPictures, folder: Path, device: str = "cpu"
    ) -> None:
        torch.manual_seed(config.seed)
        self.classifier_config = config
        self.pictures = torch.from_numpy(labelled.pictures)
        self.classes = torch.from_numpy(labelled.classes)
        self.generator = torch.Generator(device).manual_seed(config.seed)
        network = ClassifierNetwork(config.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        super().__init__(config, network, folder, device)

    def loss(self) -> torch.Tensor:
        config = self.classifier_config
        at = self._batch()
        pictures = self.pictures[at].to(self.device).float() / 255
        shown = config.distortion(pictures, self.generator).contiguous(memory_format=torch.channels_last)
        with self.autocast():
            outputs = self.network(shown)
        return functional.cross_entropy(
            outputs.float(), self.classes[at].to(self.device), label_smoothing=config.smoothing
        )

    def random_state(self) -> dict[str, Any]:
        return {**super().random_state(), "torch_random": self.generator.get_state()}

    def restore_random(self, state: dict[str, Any]) -> None:
        super().restore_random(state)
        self.generator.set_state(state["torch_random"])

    def _batch(self) -> torch.Tensor:
        """Which pictures come at this step: the order of an epoch follows from its number and the seed."""
        config = self.classifier_config
        steps = len(self.classes) // config.pictures
        epoch, step = divmod(self.step, max(steps, 1))
        order = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
        shuffled = torch.randperm(len(self.classes), generator=order)
        return shuffled[step * config.pictures : (step + 1) * config.pictures]


def load_classifier(folder: Path) -> ClassifierNetwork:
    """The network of a run, ready for use. Raises InputError when there is none."""
    state = load_checkpoint(folder)
    network = ClassifierNetwork(ClassifierConfig.of(state["config"]["network"]))
    network.load_state_dict(state["network"])
    return network.eval()
