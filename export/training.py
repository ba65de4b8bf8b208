"""Training of the Sparse-Hash encoder on pairs: the same moment, clean and through the simulated camera."""

# N moments of a batch, S side of the network's input

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
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
from pipeline.errors import InputError
from pipeline.folders import make_folder

CHECKPOINT = "checkpoint.pt"
SAVE_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class TrainingConfig:
    """One training run. learning_rate is the peak of a one-cycle schedule.

    films_per_batch x moments_per_film moments make a batch: moments of one film are each other's hard negatives.
    near_seconds: moments of one film closer than this are neither alike nor different.
    """

    steps: int = 3000
    films_per_batch: int = 48
    moments_per_film: int = 3
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    near_seconds: float = 1.0
    camera_strength: float = 1.0
    seed: int = 0
    loss: LossWeights = field(default_factory=LossWeights)
    network: SparseHashConfig = field(default_factory=SparseHashConfig)


@dataclass
class Progress:
    """What the training loop reports after every step."""

    step: int
    steps: int
    loss: float
    seconds_left: float


class Trainer:
    """Owns network, optimiser and random state; `run` goes on from where a checkpoint stopped.

    Raises InputError when the folder holds a run of another configuration.
    """

    def __init__(self, config: TrainingConfig, moments: Moments, folder: Path, device: str = "cpu") -> None:
        self.config = config
        self.folder = folder
        self.device = torch.device(device)
        torch.manual_seed(config.seed)
        self.sampler = _Sampler(moments, config)
        self.generator = torch.Generator(self.device).manual_seed(config.seed)
        self.network = SparseHashNetwork(config.network).to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=config.learning_rate, total_steps=config.steps, pct_start=0.15
        )
        self.camera = Camera(config.network.side, config.camera_strength)
        self.rectifier = Rectifier(config.network.side, 2)
        self.step = 0
        if (folder / CHECKPOINT).exists():
            self._resume()

    def run(self, report: Callable[[Progress], None]) -> SparseHashNetwork:
        """Trains to the last step; saves at the end, every minute, and when interrupted."""
        make_folder(self.folder)
        started, first_step, saved = time.monotonic(), self.step, time.monotonic()
        self.network.train()
        try:
            while self.step < self.config.steps:
                loss = self._one_step()
                spent = time.monotonic() - started
                left = spent / (self.step - first_step) * (self.config.steps - self.step)
                report(Progress(self.step, self.config.steps, loss, left))
                if time.monotonic() - saved > SAVE_EVERY_SECONDS:
                    self._save()
                    saved = time.monotonic()
        finally:
            self._save()
        return self.network

    def _one_step(self) -> float:
        batch = self.sampler.draw()
        clean = torch.from_numpy(batch.clean).to(self.device).float().unsqueeze(1) / 255
        shown = torch.from_numpy(batch.shown).to(self.device).float().unsqueeze(1) / 255
        different = torch.from_numpy(batch.different).to(self.device)
        with torch.no_grad():
            inputs = torch.cat([self._whole(clean), self.camera.photograph(shown, self.generator)])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            h = self.network(inputs).h.float()
        loss = sparse_hash_loss(h[: len(clean)], h[len(clean) :], different, self.config.loss)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return loss.item()

    def _whole(self, pictures: torch.Tensor) -> torch.Tensor:
        """The whole picture as the screen, (N, 1, H, W) -> (N, 1, S, S)."""
        height, width = pictures.shape[2:]
        corners = torch.tensor([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]], device=self.device)
        whole: torch.Tensor = self.rectifier(pictures, corners.expand(len(pictures), 4, 2))
        return whole

    def _save(self) -> None:
        state = {
            "config": asdict(self.config),
            "step": self.step,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "torch_random": self.generator.get_state(),
            "dropout_random": torch.get_rng_state(),
            "sampler_random": self.sampler.rng.bit_generator.state,
        }
        part = self.folder / f"{CHECKPOINT}.part"
        torch.save(state, part)
        part.replace(self.folder / CHECKPOINT)

    def _resume(self) -> None:
        state = load_checkpoint(self.folder)
        if state["config"] != asdict(self.config):
            raise InputError(f"{self.folder} holds a run of another configuration; give another --out folder")
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["torch_random"])
        torch.set_rng_state(state["dropout_random"])
        self.sampler.rng.bit_generator.state = state["sampler_random"]


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """The state that `Trainer` saved. Raises InputError when there is none."""
    path = folder / CHECKPOINT
    if not path.is_file():
        raise InputError(f"no training run in {folder} ({CHECKPOINT} is missing); run vnome train --out {folder}")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


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

    def __init__(self, moments: Moments, config: TrainingConfig) -> None:
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
