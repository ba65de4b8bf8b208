"""Training of the screen detector on simulated rooms and real televisions."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from export.detector_loss import DetectorWeights, detector_loss, fitted_loss, screen_targets
from export.networks.dense import DenseConfig
from export.networks.quad_fit import QuadFit
from export.networks.screen_detector import ScreenDetectorNetwork
from export.scene_data import SceneBatches
from export.scenes import SceneSources
from export.training import RunConfig, Trainer, load_checkpoint
from pipeline.prefetch import read_ahead

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class DetectorTrainingConfig(RunConfig):
    """One run. pictures: of a batch. dropout: share of the last maps that is dropped in training.

    start: sha256 of the bundle whose weights it starts from; empty for random ones.
    """

    steps: int = 4200
    learning_rate: float = 4e-3
    pictures: int = 16
    dropout: float = 0.1
    loss: DetectorWeights = field(default_factory=DetectorWeights)
    network: DenseConfig = field(default_factory=DenseConfig)
    start: str = ""


def preset_config(preset: str, steps: int | None, seed: int, start: str = "") -> DetectorTrainingConfig:
    """The configuration of a preset, "cpu" or "gpu". steps: instead of the preset's. start: see the configuration."""
    config = DetectorTrainingConfig(seed=seed, start=start, learning_rate=2e-3 if start else 4e-3)
    if preset == "gpu":
        config = replace(config, steps=20_000, pictures=48)
    return replace(config, steps=steps) if steps else config


class DetectorTrainer(Trainer):
    """Learns where screens are; see `Trainer`. ahead: batches of scenes drawn ahead in a thread of their own, 0: none.

    A thread, not a process: a process forked from one whose libraries hold threads stops for ever now and then.
    start: a network to go on from, instead of random weights.
    """

    def __init__(
        self,
        config: DetectorTrainingConfig,
        sources: SceneSources,
        folder: Path,
        device: str = "cpu",
        ahead: int = 3,
        start: ScreenDetectorNetwork | None = None,
    ) -> None:
        torch.manual_seed(config.seed)
        self.detector_config = config
        self._sources, self._ahead = sources, ahead
        self._batches: Iterator[Batch] | None = None
        self._fit = QuadFit()
        super().__init__(config, start or ScreenDetectorNetwork(config.network, config.dropout), folder, device)

    def loss(self) -> torch.Tensor:
        config = self.detector_config
        if self._batches is None:  # after a checkpoint was read, so that it goes on with the right batch
            scenes = iter(SceneBatches(self._sources, config.pictures, config.seed, self.step))
            self._batches = read_ahead(scenes, self._ahead) if self._ahead else scenes
        pictures, corners, present = (part.to(self.device) for part in next(self._batches))
        with self.autocast():
            maps = self.network(pictures)
        height, width = maps.inside.shape[2:]
        quads = corners / config.network.stride
        targets = screen_targets(quads, present, height, width)
        of_cells = detector_loss(maps, targets, config.loss)
        return of_cells + fitted_loss(self._fit(maps), quads, present, config.loss)


def load_detector(folder: Path) -> ScreenDetectorNetwork:
    """The network of a run, ready for use. Raises InputError when there is none."""
    state = load_checkpoint(folder)
    sizes = state["config"]["network"]
    network = ScreenDetectorNetwork(DenseConfig(**{**sizes, "channels": tuple(sizes["channels"])}))
    network.load_state_dict(state["network"])
    return network.eval()
