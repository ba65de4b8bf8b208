"""A small stack of slices whose membranes are easily told: dark lines on light ground."""

from pathlib import Path

import cv2
import numpy as np

from export.membrane_training import MembraneTrainingConfig
from export.membranes import LABELS, PICTURES, Membranes
from export.networks.mpcnn import MpcnnConfig

SMALL_NETWORK = MpcnnConfig("1x9x9-4C2-MP2-4C2-3N-2N", "maxout")


def small_stack(slices: int = 8, height: int = 40, width: int = 44) -> Membranes:
    """Slices with two lines of 3 pixels across each."""
    rng = np.random.default_rng(4)
    membrane = np.zeros((slices, height, width), bool)
    for mask in membrane:
        row, column = rng.integers(4, min(height, width) - 4, 2)
        mask[row : row + 3] = True
        mask[:, column : column + 3] = True
    noise = rng.integers(-15, 16, membrane.shape)
    return Membranes(np.asarray(np.where(membrane, 70, 170) + noise, np.uint8), membrane)


def small_config(steps: int = 3, seed: int = 0) -> MembraneTrainingConfig:
    """A run of seconds."""
    return MembraneTrainingConfig(steps=steps, seed=seed, learning_rate=1e-2, crops=2, side=20, network=SMALL_NETWORK)


def write_stack(stack: Membranes, folder: Path) -> None:
    """As `load_membranes` reads it."""
    for part in (PICTURES, LABELS):
        (folder / part).mkdir(parents=True)
    for number, (picture, membrane) in enumerate(zip(stack.pictures, stack.membrane, strict=True)):
        cv2.imwrite(str(folder / PICTURES / f"{number}.png"), picture)
        cv2.imwrite(str(folder / LABELS / f"{number}.png"), np.where(membrane, np.uint8(0), np.uint8(255)))
