"""Small stand-ins for the public sets, in the same files: every class is a colour or a place of a bright square."""

import zipfile
from pathlib import Path

import cv2
import numpy as np

from export.labelled import CIFAR10_FILE, MNIST_FILE, TINY_IMAGENET_FILE
from export.vocabulary import class_targets
from tests.media_samples import write_film

CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
JUDGED_FILMS = {  # name in film_labels.tsv -> colour; the first is among the held-out ones
    "editing_inputs_assets_blackswan.mp4": (200, 40, 40),
    "editing_inputs_coke.mp4": (30, 160, 60),
    "editing_inputs_data_truck_unheard_of.mp4": (10, 10, 10),  # was not judged
    "editing_inputs_data_man_running.mp4": (60, 60, 200),
}


def digits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise (N, 28, 28) with a bright square, whose place is the class."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 10, count)
    pictures = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    for picture, kind in zip(pictures, classes, strict=True):
        row, column = divmod(int(kind), 4)
        picture[2 + 8 * row : 9 + 8 * row, 1 + 6 * column : 7 + 6 * column] = 220
    return pictures, classes.astype(np.uint8)


def write_sets(folder: Path, pictures: int = 2) -> Path:
    """All three sets. pictures: of each class of the two zipped ones, and a hundred times as many digits."""
    folder.mkdir(exist_ok=True)
    train, test = digits(100 * pictures, 0), digits(50, 1)
    np.savez(folder / MNIST_FILE, x_train=train[0], y_train=train[1], x_test=test[0], y_test=test[1])
    write_zip(folder / CIFAR10_FILE, CIFAR_CLASSES, ("train", "test"), 32, pictures)
    names = tuple(name for name in class_targets() if name not in CIFAR_CLASSES)
    write_zip(folder / TINY_IMAGENET_FILE, names, ("train", "val"), 64, pictures)
    return folder


def write_zip(path: Path, names: tuple[str, ...], parts: tuple[str, str], side: int, pictures: int) -> None:
    """PART/CLASS/NUMBER.jpg, each class of a colour of its own."""
    with zipfile.ZipFile(path, "w") as archive:
        for part in parts:
            for kind, name in enumerate(names):
                colour = [(kind * step) % 256 for step in (37, 91, 151)]
                _, data = cv2.imencode(".jpg", np.full((side, side, 3), colour, np.uint8))
                for k in range(pictures):
                    archive.writestr(f"{part}/{name}/{k}.jpg", data.tobytes())
        archive.writestr("classes.tsv", "read me")


def write_judged_films(folder: Path) -> Path:
    """Three-second films of one colour, under the names of films that were judged, and one that was not."""
    folder.mkdir(exist_ok=True)
    for name, colour in JUDGED_FILMS.items():
        write_film(folder / name, [np.full((48, 64, 3), colour, np.uint8)] * 75, [40 * k for k in range(75)])
    return folder
