"""Training material: films and still photographs as small luma pictures, split by film."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError
from pipeline.media import read_frames

THUMB_HEIGHT, THUMB_WIDTH = 96, 160  # pixels; twice the network's side and the shape of most films
FILM_SUFFIXES = {".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v"}
STILL_SUFFIXES = {".jpg", ".jpeg", ".png"}
PAN_STEPS = 6  # pictures that a synthetic pan over a still photograph gives

Thumbs = npt.NDArray[np.uint8]  # (F, THUMB_HEIGHT, THUMB_WIDTH)


@dataclass(frozen=True)
class Moments:
    """Moments of many films.

    thumbs: uint8 (F, 96, 160) luma. film: int64 (F,) number of the film. seconds: float64 (F,).
    names: file name of each film.
    """

    thumbs: Thumbs = field(repr=False)
    film: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.film)

    def take(self, chosen: npt.NDArray[np.int64]) -> "Moments":
        """The moments at these places."""
        return Moments(self.thumbs[chosen], self.film[chosen], self.seconds[chosen], self.names)

    def of_films(self, chosen: npt.NDArray[np.bool_]) -> "Moments":
        """The moments of the films for which chosen (bool, one a film) is true; film numbers stay."""
        keep = chosen[self.film]
        return Moments(self.thumbs[keep], self.film[keep], self.seconds[keep], self.names)


def films_in(folder: Path) -> list[Path]:
    """The films of a folder, by name. Raises InputError when there is none."""
    return _files_in(folder, FILM_SUFFIXES, "film")


def held_out(names: tuple[str, ...], share: float) -> npt.NDArray[np.bool_]:
    """Which films are kept from training: a fixed choice by name, so that it never changes between runs."""
    digests = [hashlib.sha256(name.encode()).digest()[0] for name in names]
    return np.array([digest < share * 256 for digest in digests], dtype=bool)


def load_moments(films: list[Path], stills: list[Path] | None = None) -> Moments:
    """Reads films, and still photographs as short synthetic pans."""
    thumbs: list[Thumbs] = []
    seconds: list[npt.NDArray[np.float64]] = []
    names: list[str] = []
    for path in films:
        frames = [(_thumb(frame.image), frame.pts_seconds) for frame in read_frames(path, max_side=320)]
        thumbs.append(np.stack([thumb for thumb, _ in frames]))
        seconds.append(np.array([pts for _, pts in frames]))
        names.append(path.name)
    for path in stills or []:
        thumbs.append(_pan(path))
        seconds.append(np.arange(PAN_STEPS, dtype=np.float64))
        names.append(path.name)
    film = np.repeat(np.arange(len(names)), [len(part) for part in thumbs])
    return Moments(np.concatenate(thumbs), film, np.concatenate(seconds), tuple(names))


def stills_in(folder: Path) -> list[Path]:
    """The photographs of a folder, by name. Raises InputError when there is none."""
    return _files_in(folder, STILL_SUFFIXES, "photograph")


def thumbs_of(pictures: npt.NDArray[np.uint8]) -> Thumbs:
    """Pictures, RGB (P, 3, H, W), as luma of the shape of thumbs, whatever shape they were."""
    return np.stack([_thumb(np.ascontiguousarray(picture.transpose(1, 2, 0))) for picture in pictures])


def _files_in(folder: Path, suffixes: set[str], noun: str) -> list[Path]:
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in suffixes)
    if not files:
        raise InputError(f"no {noun} in {folder}; give a folder that holds some")
    return files


def _thumb(image: npt.NDArray[np.uint8]) -> Thumbs:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (THUMB_WIDTH, THUMB_HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _pan(path: Path) -> Thumbs:
    """A slow pan and zoom over a photograph, its path drawn from the file's name."""
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise InputError(f"{path} is not a picture; remove it from the folder")
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:8], "little"))
    height, width = grey.shape
    start, stop = rng.uniform(0, 1, (2, 2))
    first_zoom, last_zoom = rng.uniform(0.5, 0.8, 2).tolist()
    zooms = np.linspace(first_zoom, last_zoom, PAN_STEPS)
    pictures = []
    for step, zoom in zip(np.linspace(0, 1, PAN_STEPS), zooms, strict=True):
        window_w = min(zoom * width, height * THUMB_WIDTH / THUMB_HEIGHT)
        window_h = window_w * THUMB_HEIGHT / THUMB_WIDTH
        along = start * (1 - step) + stop * step
        left, top = int(along[0] * (width - window_w)), int(along[1] * (height - window_h))
        window = grey[top : top + int(window_h), left : left + int(window_w)]
        pictures.append(cv2.resize(window, (THUMB_WIDTH, THUMB_HEIGHT), interpolation=cv2.INTER_AREA))
    return np.stack(pictures).astype(np.uint8)
