"""Training that anyone can repeat: seeded, resumable, saved when interrupted, with the time left.

A `Trainer` owns a network, its optimiser and its schedule; what it learns from is its subclasses' business.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import InputError
from pipeline.folders import make_folder

CHECKPOINT = "checkpoint.pt"
SAVE_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class RunConfig:
    """What every run has. learning_rate is the peak of a one-cycle schedule."""

    steps: int = 3000
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 0


@dataclass
class Progress:
    """What the training loop reports after every step."""

    step: int
    steps: int
    loss: float
    seconds_left: float


class Trainer(ABC):
    """Owns network, optimiser and schedule; `run` goes on from where a checkpoint in the folder stopped.

    config: a dataclass with `steps`, `learning_rate` and `weight_decay`, written into the checkpoint.
    Raises InputError when the folder holds a run of another configuration.
    """

    def __init__(self, config: "RunConfig", network: torch.nn.Module, folder: Path, device: str = "cpu") -> None:
        self.config = config
        self.folder = folder
        self.device = torch.device(device)
        self.network = network.to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=config.learning_rate, total_steps=config.steps, pct_start=0.15
        )
        self.step = 0
        if (folder / CHECKPOINT).exists():
            self._resume()

    @abstractmethod
    def loss(self) -> torch.Tensor:
        """The loss of the next batch, a scalar with its gradient."""

    def random_state(self) -> dict[str, Any]:
        """What must be restored so that a run that goes on draws what it would have drawn."""
        return {"dropout_random": torch.get_rng_state()}

    def restore_random(self, state: dict[str, Any]) -> None:
        """Undoes what `random_state` saved."""
        torch.set_rng_state(state["dropout_random"])

    def run(self, report: Callable[[Progress], None]) -> None:
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

    def autocast(self) -> torch.autocast:
        """bfloat16 where the device multiplies it faster than float32: CUDA, and CPUs with AMX."""
        fast = self.device.type == "cuda" or _cpu_multiplies_bfloat16()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=fast)

    def _one_step(self) -> float:
        loss = self.loss()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return loss.item()

    def _save(self) -> None:
        state = {
            "config": asdict(self.config),
            "step": self.step,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            **self.random_state(),
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
        self.restore_random(state)


def _cpu_multiplies_bfloat16() -> bool:
    """Whether this processor has matrix units for it (AMX); without them bfloat16 is slower than float32."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """The state that `Trainer` saved. Raises InputError when there is none."""
    path = folder / CHECKPOINT
    if not path.is_file():
        raise InputError(f"no training run in {folder} ({CHECKPOINT} is missing); run vnome train --out {folder}")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
