"""Labelled pictures: the public sets of digits and everyday things, as they lie in the data folder."""

# N pictures, C maps, H and W picture size

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError

MNIST_FILE = "mnist.npz"
CIFAR10_FILE = "cifar10.zip"
TINY_IMAGENET_FILE = "tiny_imagenet.zip"


@dataclass(frozen=True)
class LabelledPictures:
    """pictures: uint8 (N, C, H, W), RGB or grey. classes: int64 (N,), places in `names`."""

    pictures: npt.NDArray[np.uint8] = field(repr=False)
    classes: npt.NDArray[np.int64] = field(repr=False)
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, chosen: npt.NDArray[np.int64]) -> "LabelledPictures":
        """The pictures at these places."""
        return LabelledPictures(self.pictures[chosen], self.classes[chosen], self.names)


def mnist(folder: Path, part: str) -> LabelledPictures:
    """MNIST, (N, 1, 28, 28). part: "train" or "test". Raises InputError when `mnist.npz` is not there or damaged."""
    path = _file(folder, MNIST_FILE)
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            pictures, classes = arrays[f"x_{part}"], arrays[f"y_{part}"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not MNIST as an npz of x_train, y_train, x_test and y_test ({error})") from None
    return LabelledPictures(pictures[:, None], classes.astype(np.int64), tuple("0123456789"))


def cifar10(folder: Path, part: str) -> LabelledPictures:
    """CIFAR-10 from JPEG files, (N, 3, 32, 32). part: "train" or "test"."""
    return _zipped(_file(folder, CIFAR10_FILE), part, 32)


def tiny_imagenet(folder: Path, part: str) -> LabelledPictures:
    """A part of Tiny ImageNet, (N, 3, 64, 64), its classes by WordNet id. part: "train" or "val"."""
    return _zipped(_file(folder, TINY_IMAGENET_FILE), part, 64)


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise InputError(f"no {name} in {folder}; give the folder that holds it with --data")
    return folder / name


def _zipped(path: Path, part: str, side: int) -> LabelledPictures:
    """All pictures of PART/CLASS/NAME, by class and name. Raises InputError when the file is none such."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = sorted(name for name in archive.namelist() if _class_of(name, part))
            pictures = [_picture(archive.read(name), side) for name in entries]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a zip of {part}/CLASS/PICTURE of side {side} ({error})") from None
    if not pictures:
        raise InputError(f"{path} holds no picture in {part}/CLASS/; give the file as it was")
    names = tuple(sorted({_class_of(name, part) for name in entries}))
    classes = np.array([names.index(_class_of(name, part)) for name in entries], np.int64)
    return LabelledPictures(np.stack(pictures), classes, names)


def _class_of(name: str, part: str) -> str:
    """The folder of PART/CLASS/PICTURE; empty for any other entry."""
    parts = name.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == part and parts[2] else ""


def _picture(data: bytes, side: int) -> npt.NDArray[np.uint8]:
    """(3, side, side) RGB. Raises ValueError when the bytes are no picture."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("a picture in it cannot be read")
    if image.shape[:2] != (side, side):
        raise ValueError(f"a picture in it is {image.shape[1]} x {image.shape[0]}")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB).transpose(2, 0, 1), np.uint8)
