"""Training of the Sparse-Hash encoder on pairs: the same moment, clean and through the simulated camera."""

# N moments of a batch, S side of the network's input

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from export.camera import Camera
from export.data import Moments
from export.losses import LossWeights, sparse_hash_loss
from export.networks.rectify import Rectifier
from export.networks.sparse_hash import SparseHashConfig, SparseHashNetwork
from export.training import RunConfig, Trainer, load_checkpoint
from pipeline.errors import InputError


@dataclass(frozen=True)
class HashTrainingConfig(RunConfig):
    """One run.

    films_per_batch x moments_per_film moments make a batch: moments of one film are each other's hard negatives.
    near_seconds: moments of one film closer than this are neither alike nor different.
    camera_strength, camera_spread: of the `Camera`; from a careful recording to one that hardly anything survives.
    start: sha256 of the bundle whose weights it starts from; empty for random ones.
    """

    steps: int = 3200
    films_per_batch: int = 48
    moments_per_film: int = 3
    near_seconds: float = 1.0
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
    """Learns codes from moments of films; see `Trainer`. start: a network to go on from, instead of random weights."""

    def __init__(
        self,
        config: HashTrainingConfig,
        moments: Moments,
        folder: Path,
        device: str = "cpu",
        start: SparseHashNetwork | None = None,
    ) -> None:
        torch.manual_seed(config.seed)
        self.hash_config = config
        self.sampler = _Sampler(moments, config)
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
    sizes = state["config"]["network"]
    network = SparseHashNetwork(SparseHashConfig(**{**sizes, "channels": tuple(sizes["channels"])}))
    network.load_state_dict(state["network"])
    return network.eval()


@dataclass(frozen=True)
class _Batch:
    """clean, shown: uint8 (N, H, W), the same moments as stored and as the camera finds them.

    different: bool (N, N), moments that must be told apart.
    """

    clean: npt.NDArray[np.uint8]
    shown: npt.NDArray[np.uint8]
    different: npt.NDArray[np.bool_]


class _Sampler:
    """Draws batches: several moments of each of several films."""

    NEIGHBOUR_SHARE = 0.3  # of the pairs, the camera sees the moment blended with a neighbouring frame
    SAME_PICTURE = 2.5  # mean grey levels; two moments of a film that differ less show the same picture

    def __init__(self, moments: Moments, config: HashTrainingConfig) -> None:
        self.moments = moments
        self.config = config
        self.rng = np.random.default_rng(config.seed)
        films, self.first, self.count = np.unique(moments.film, return_index=True, return_counts=True)
        if len(films) < 2:
            raise InputError("training needs at least two films; give a folder with more")
        self.weights = np.minimum(self.count, 200) ** 0.5  # long films more often, but not in proportion
        self.weights = self.weights / self.weights.sum()

    def draw(self) -> _Batch:
        films = self.rng.choice(len(self.first), min(self.config.films_per_batch, len(self.first)), False, self.weights)
        at = np.concatenate([self._moments_of(film) for film in films])
        thumbs, film, seconds = self.moments.thumbs, self.moments.film[at], self.moments.seconds[at]
        neighbour = np.clip(at + self.rng.choice([-1, 1], len(at)), 0, len(thumbs) - 1)
        neighbour = np.where(self.moments.film[neighbour] == film, neighbour, at)
        blend = self.rng.uniform(0, 1, (len(at), 1, 1)) * (
            self.rng.uniform(0, 1, (len(at), 1, 1)) < self.NEIGHBOUR_SHARE
        )
        clean = thumbs[at]
        shown = (clean * (1 - blend) + thumbs[neighbour] * blend).astype(np.uint8)
        same_film = film[:, None] == film[None]
        near = np.abs(seconds[:, None] - seconds[None]) < self.config.near_seconds
        return _Batch(clean, shown, ~(same_film & (near | self._same_picture(clean))))

    def _moments_of(self, film: int) -> npt.NDArray[np.int64]:
        at: npt.NDArray[np.int64] = self.first[film] + self.rng.integers(
            0, self.count[film], self.config.moments_per_film
        )
        return at

    def _same_picture(self, clean: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        small = clean[:, ::4, ::4].reshape(len(clean), -1).astype(np.float32)
        distance: npt.NDArray[np.float32] = np.stack([np.abs(small - one).mean(axis=1) for one in small])
        return distance < self.SAME_PICTURE
