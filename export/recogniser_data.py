"""What the recogniser learns from: pictures of classes, and frames of clips that were judged by eye."""

# N pictures, L labels

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from export.data import films_in
from export.labelled import LabelledPictures, cifar10, tiny_imagenet
from export.vocabulary import class_targets, film_targets
from pipeline.errors import InputError
from pipeline.media import read_frames

FRAME_HEIGHT, FRAME_WIDTH = 72, 128  # pixels of the stored frames
FRAMES_A_SECOND = 1.0


@dataclass(frozen=True)
class JudgedFrames:
    """frames: uint8 (N, 3, 72, 128) RGB. film: int64 (N,), place in `names`. targets: int8 (films, L).

    names: file name of each film.
    """

    frames: npt.NDArray[np.uint8] = field(repr=False)
    film: npt.NDArray[np.int64] = field(repr=False)
    targets: npt.NDArray[np.int8] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)

    def of_films(self, chosen: npt.NDArray[np.bool_]) -> "JudgedFrames":
        """The frames of the films for which chosen (bool, one a film) is true."""
        keep, number = chosen[self.film], np.cumsum(chosen) - 1
        names = tuple(name for name, there in zip(self.names, chosen, strict=True) if there)
        return JudgedFrames(self.frames[keep], number[self.film[keep]], self.targets[chosen], names)


@dataclass(frozen=True)
class RecogniserData:
    """tiny, cifar: labelled pictures. films: judged frames. Their labels are those of `export.vocabulary`."""

    tiny: LabelledPictures
    cifar: LabelledPictures
    films: JudgedFrames


def load_recogniser_data(folder: Path, films: Path, part: str) -> RecogniserData:
    """Reads the sets of a data folder and the judged clips of a folder of films. part: "train" or "test".

    Raises InputError when a file is missing or damaged, or no film of the folder was judged.
    """
    tiny = tiny_imagenet(folder, "train" if part == "train" else "val")
    return RecogniserData(tiny, cifar10(folder, part), judged_frames(films))


def judged_frames(folder: Path) -> JudgedFrames:
    """One frame a second of each judged clip of a folder."""
    judged = film_targets()
    paths = [path for path in films_in(folder) if path.name in judged]
    if not paths:
        raise InputError(f"no film of {folder} is in film_labels.tsv, which says what clips show; give those films")
    frames = [
        [_small(frame.image) for frame in read_frames(path, max_fps=FRAMES_A_SECOND, max_side=320)] for path in paths
    ]
    film = np.repeat(np.arange(len(paths)), [len(part) for part in frames])
    names = tuple(path.name for path in paths)
    targets = np.stack([judged[name] for name in names])
    return JudgedFrames(np.stack([one for part in frames for one in part]), film, targets, names)


def picture_targets(labelled: LabelledPictures) -> npt.NDArray[np.int8]:
    """What the pictures of each class show, int8 (classes, L). Raises InputError when a class is not in the table."""
    known = class_targets()
    missing = [name for name in labelled.names if name not in known]
    if missing:
        raise InputError(f"class {missing[0]!r} is not in class_labels.tsv; give the classes that it names")
    return np.stack([known[name] for name in labelled.names])


def _small(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    small = cv2.resize(image, (FRAME_WIDTH, FRAME_HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(small.transpose(2, 0, 1), np.uint8)
