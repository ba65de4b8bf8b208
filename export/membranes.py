"""Pictures of nervous tissue with the membranes of its cells marked, as the ISBI 2012 challenge gave them.

Ciresan, Giusti, Gambardella, Schmidhuber, "Deep neural networks segment neuronal membranes in electron microscopy
images", NIPS 2012: 30 neighbouring slices of 512x512 pixels; whole slices are held out here, for the challenge's own
test slices come without labels.
"""

# N slices, H and W their size in pixels

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError

PICTURES, LABELS = "train_image", "train_label"
HELD_OUT_SLICES = 6  # the last of the stack; the first of them is a neighbour of the last that is trained on

Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Membranes:
    """pictures: uint8 (N, H, W). membrane: bool (N, H, W), whether a pixel is of a membrane, not inside a cell."""

    pictures: Grey = field(repr=False)
    membrane: Mask = field(repr=False)

    def __post_init__(self) -> None:
        if self.pictures.ndim != 3 or self.pictures.shape != self.membrane.shape:
            raise ValueError(f"one mark a pixel of (N, H, W), got {self.pictures.shape = }, {self.membrane.shape = }")

    def __len__(self) -> int:
        return len(self.pictures)

    def split(self, held_out: int = HELD_OUT_SLICES) -> tuple["Membranes", "Membranes"]:
        """What to train on, and the last `held_out` slices. Raises InputError when nothing is left to train on."""
        if not 0 < held_out < len(self):
            raise InputError(f"{len(self)} slices cannot spare {held_out} to be held out; give the whole stack")
        first = len(self) - held_out
        return (
            Membranes(self.pictures[:first], self.membrane[:first]),
            Membranes(self.pictures[first:], self.membrane[first:]),
        )


def load_membranes(folder: Path) -> Membranes:
    """Reads `train_image/N.png` and `train_label/N.png` of a folder, N = 0, 1, ...; in labels cells are white.

    Raises InputError when a folder or a file is missing, a picture cannot be read or is of another size, or a label
    is not black and white.
    """
    names = _names(folder / PICTURES)
    if names != _names(folder / LABELS):
        raise InputError(f"{folder}: {PICTURES} and {LABELS} hold different files; give the folder of ISBI 2012")
    pictures = [_read(folder / PICTURES / name) for name in names]
    labels = [_read(folder / LABELS / name) for name in names]
    for name, picture, label in zip(names, pictures, labels, strict=True):
        if picture.shape != pictures[0].shape or label.shape != pictures[0].shape:
            raise InputError(f"{folder}: {name} is not as large as the others; slices must be of one size")
        if not set(np.unique(label)) <= {0, 255}:
            raise InputError(f"{folder / LABELS / name} is not black and white; give the labels of ISBI 2012")
    return Membranes(np.stack(pictures), np.stack(labels) == 0)


def _names(folder: Path) -> list[str]:
    """The slices of a folder, in the order of the stack."""
    names = [path.name for path in folder.glob("*.png") if path.stem.isdecimal()] if folder.is_dir() else []
    if not names:
        raise InputError(f"no slices 0.png, 1.png, ... in {folder}; give the folder of ISBI 2012, as isbi2012")
    return sorted(names, key=lambda name: int(Path(name).stem))


def _read(path: Path) -> Grey:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise InputError(f"{path} is not a picture; copy it anew")
    return np.asarray(picture, np.uint8)
