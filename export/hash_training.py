"""Training of the Sparse-Hash encoder on pairs: the same moment, clean and through the simulated camera."""

# N moments of a batch, S side of the network's input

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from export.camera import Camera
from export.data import Moments, Thumbs
from export.losses import LossWeights, sparse_hash_loss
from export.moment_sampler import MomentSampler
from export.networks.rectify import Rectifier
from export.networks.sparse_hash import SparseHashConfig, SparseHashNetwork
from export.training import RunConfig, Trainer, load_checkpoint


@dataclass(frozen=True)
class HashTrainingConfig(RunConfig):
    """One run.

    films_per_batch x moments_per_film moments make a batch: moments of one film are each other's hard negatives.
    near_seconds: moments of one film closer than this are neither alike nor different.
    single_pictures: how many pictures that belong to no film it also learns from.
    pictures_share: of the films of a batch, how many are pans over such pictures.
    camera_strength, camera_spread: of the `Camera`; from a careful recording to one that hardly anything survives.
    start: sha256 of the bundle whose weights it starts from; empty for random ones.
    """

    steps: int = 3200
    films_per_batch: int = 48
    moments_per_film: int = 3
    near_seconds: float = 1.0
    single_pictures: int = 0
    pictures_share: float = 0.4
    camera_strength: float = 1.1
    camera_spread: float = 0.6
    start: str = ""
    loss: LossWeights = field(default_factory=LossWeights)
    network: SparseHashConfig = field(default_factory=SparseHashConfig)


def preset_config(preset: str, steps: int | None, seed: int, start: str) -> HashTrainingConfig:
    """The configuration of a preset, "cpu" or "gpu". steps: instead of the preset's. start: see the configuration."""
    config = HashTrainingConfig(seed=seed, start=start, learning_rate=1e-3 if start else 2e-3)
    if preset == "gpu":
        config = replace(config, steps=20_000, films_per_batch=128, moments_per_film=4)
    return replace(config, steps=steps) if steps else config


class HashTrainer(Trainer):
    """Learns codes from moments of films; see `Trainer`.

    start: a network to go on from, instead of random weights. pictures: uint8 (P, 96, 160), to pan over.
    """

    def __init__(
        self,
        config: HashTrainingConfig,
        moments: Moments,
        folder: Path,
        device: str = "cpu",
        start: SparseHashNetwork | None = None,
        pictures: Thumbs | None = None,
    ) -> None:
        torch.manual_seed(config.seed)
        self.hash_config = config
        self.sampler = MomentSampler(moments, pictures, config)
        self.generator = torch.Generator(device).manual_seed(config.seed)
        self.camera = Camera(config.network.side, config.camera_strength, config.camera_spread)
        self.rectifier = Rectifier(config.network.side, 2)
        super().__init__(config, start or SparseHashNetwork(config.network), folder, device)

    def loss(self) -> torch.Tensor:
        batch = self.sampler.draw()
        clean = torch.from_numpy(batch.clean).to(self.device).float().unsqueeze(1) / 255
        shown = torch.from_numpy(batch.shown).to(self.device).float().unsqueeze(1) / 255
        different = torch.from_numpy(batch.different).to(self.device)
        with torch.no_grad():
            inputs = torch.cat([self._whole(clean), self.camera.photograph(shown, self.generator)])
        with self.autocast():
            h = self.network(inputs).h.float()
        return sparse_hash_loss(h[: len(clean)], h[len(clean) :], different, self.hash_config.loss)

    def random_state(self) -> dict[str, Any]:
        return {
            **super().random_state(),
            "torch_random": self.generator.get_state(),
            "sampler_random": self.sampler.rng.bit_generator.state,
        }

    def restore_random(self, state: dict[str, Any]) -> None:
        super().restore_random(state)
        self.generator.set_state(state["torch_random"])
        self.sampler.rng.bit_generator.state = state["sampler_random"]

    def _whole(self, pictures: torch.Tensor) -> torch.Tensor:
        """The whole picture as the screen, (N, 1, H, W) -> (N, 1, S, S)."""
        height, width = pictures.shape[2:]
        corners = torch.tensor([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]], device=self.device)
        whole: torch.Tensor = self.rectifier(pictures, corners.expand(len(pictures), 4, 2))
        return whole


def load_network(folder: Path) -> SparseHashNetwork:
    """The network of a run, ready for use. Raises InputError when there is none."""
    state = load_checkpoint(folder)
    network = SparseHashNetwork(SparseHashConfig.of_card(state["config"]["network"]))
    network.load_state_dict(state["network"])
    return network.eval()
