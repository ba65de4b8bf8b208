"""Training of the screen detector on simulated rooms and real televisions."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from export.detector_loss import DetectorWeights, detector_loss, screen_targets
from export.networks.dense import DenseConfig
from export.networks.screen_detector import ScreenDetectorNetwork
from export.scene_data import SceneBatches
from export.scenes import SceneSources
from export.training import RunConfig, Trainer, load_checkpoint
from pipeline.prefetch import read_ahead

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class DetectorTrainingConfig(RunConfig):
    """One run. pictures: of a batch. dropout: share of the last maps that is dropped in training."""

    steps: int = 4200
    learning_rate: float = 4e-3
    pictures: int = 16
    dropout: float = 0.1
    loss: DetectorWeights = field(default_factory=DetectorWeights)
    network: DenseConfig = field(default_factory=DenseConfig)


def preset_config(preset: str, steps: int | None, seed: int) -> DetectorTrainingConfig:
    """The configuration of a preset, "cpu" or "gpu". steps: instead of the preset's."""
    config = DetectorTrainingConfig(seed=seed)
    if preset == "gpu":
        config = replace(config, steps=20_000, pictures=48)
    return replace(config, steps=steps) if steps else config


class DetectorTrainer(Trainer):
    """Learns where screens are; see `Trainer`. ahead: batches of scenes drawn ahead in a thread of their own, 0: none.

    A thread, not a process: a process forked from one whose libraries hold threads stops for ever now and then.
    """

    def __init__(
        self, config: DetectorTrainingConfig, sources: SceneSources, folder: Path, device: str = "cpu", ahead: int = 3
    ) -> None:
        torch.manual_seed(config.seed)
        self.detector_config = config
        self._sources, self._ahead = sources, ahead
        self._batches: Iterator[Batch] | None = None
        super().__init__(config, ScreenDetectorNetwork(config.network, config.dropout), folder, device)

    def loss(self) -> torch.Tensor:
        config = self.detector_config
        if self._batches is None:  # after a checkpoint was read, so that it goes on with the right batch
            scenes = iter(SceneBatches(self._sources, config.pictures, config.seed, self.step))
            self._batches = read_ahead(scenes, self._ahead) if self._ahead else scenes
        pictures, corners, present = (part.to(self.device) for part in next(self._batches))
        with self.autocast():
            maps = self.network(pictures)
        height, width = maps.inside.shape[2:]
        targets = screen_targets(corners / config.network.stride, present, height, width)
        return detector_loss(maps, targets, config.loss)


def load_detector(folder: Path) -> ScreenDetectorNetwork:
    """The network of a run, ready for use. Raises InputError when there is none."""
    state = load_checkpoint(folder)
    sizes = state["config"]["network"]
    network = ScreenDetectorNetwork(DenseConfig(**{**sizes, "channels": tuple(sizes["channels"])}))
    network.load_state_dict(state["network"])
    return network.eval()
