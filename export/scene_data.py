"""Pictures that scenes are made of, read from folders, and a part of them held out."""

import csv
import hashlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import torch

from export.data import films_in, held_out, stills_in
from export.pairs import ScreenPair, read_pairs, read_picture
from export.scenes import Quad, Scene, SceneMaker, SceneSources
from pipeline.errors import InputError
from pipeline.frames import RgbImage
from pipeline.indexing import open_film
from pipeline.media import probe

FRAMES_A_FILM = 8
HELD_OUT_FILMS = 0.1  # as for the encoder, so that no film is seen by one and held out for the other
HELD_OUT_PICTURES = 0.2  # of photographs and of television recordings
HELD_OUT_PAIRS = 0.4  # of photographs of other screens
SAME_PICTURE = 8.0  # mean grey levels; of pairs whose pictures differ less the screens showed the same
WITH_A_SCREEN = {"room_006.jpg", "room_032.jpg", "0117.jpg", "0110.jpg"}  # lit ones; rooms looked at one by one
# (H, W), multiples of 4
SCENE_SIZES = ((144, 256), (180, 320), (192, 256), (240, 136), (144, 256), (168, 300), (256, 192))


def load_scene_sources(
    films: Path, stills: Path, rooms: Path, televisions: Path, pairs: Path | None = None
) -> tuple[SceneSources, SceneSources]:
    """Reads the folders; returns what to train on and what is held out.

    televisions: a CSV file `file,x0,y0,...,x3,y3` beside a folder of its name that holds the pictures; held out by
    recording, which is the file's name without its last digits. pairs: a folder for `read_pairs`.
    Raises InputError for what is missing.
    """
    paths = films_in(films)
    unseen = held_out(tuple(path.name for path in paths), HELD_OUT_FILMS)
    shown: tuple[list[RgbImage], list[RgbImage]] = ([], [])
    for path, out in zip(paths, unseen, strict=True):
        shown[bool(out)].extend(_film_frames(path))
    for path in stills_in(stills):
        shown[_is_held_out(path.name)].append(read_picture(path))
    places: tuple[list[RgbImage], list[RgbImage]] = ([], [])
    for path in stills_in(rooms):
        if path.name in WITH_A_SCREEN:
            continue
        places[_is_held_out(path.name)].append(read_picture(path))
    real: tuple[tuple[list[RgbImage], list[Quad]], ...] = ([], []), ([], [])
    for path, corners in read_corners(televisions):
        pictures, quads = real[_is_held_out(path.stem.rstrip("0123456789"))]
        pictures.append(read_picture(path))
        quads.append(corners)
    photographed = read_pairs(pairs) if pairs else []
    checked = {pair.name for pair in held_out_pairs(photographed)}
    parts = [[pair for pair in photographed if (pair.name in checked) is out] for out in (False, True)]
    others = [([pair.photo for pair in part], [pair.corners for pair in part]) for part in parts]
    training, checking = (SceneSources(shown[k], places[k], *real[k], *others[k]) for k in (False, True))
    return training, checking


def held_out_pairs(pairs: list[ScreenPair]) -> list[ScreenPair]:
    """Those that the detector is not trained on; all that show the same picture are, or none."""
    small = [cv2.resize(pair.original, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32) for pair in pairs]
    first = [next(k for k, other in enumerate(small) if np.abs(other - one).mean() < SAME_PICTURE) for one in small]
    return [pair for pair, k in zip(pairs, first, strict=True) if _is_held_out(pairs[k].name, HELD_OUT_PAIRS)]


def read_corners(table: Path) -> list[tuple[Path, Quad]]:
    """The pictures of a CSV file and the corners of the film's picture in each, (4, 2) pixels."""
    try:
        with table.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        return [
            (table.with_suffix("") / row["file"], np.array([[float(row[f"{x}{k}"]) for x in "xy"] for k in range(4)]))
            for row in rows
        ]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{table} is not a table of corners ({error}); give one with file,x0,y0,...,x3,y3") from None


class SceneBatches:
    """Batches of scenes without end, from step `first` on; batch i follows from (seed, i) alone.

    Each: pictures uint8 (N, H, W, 3), corners float32 (N, 4, 2) in pixels, present bool (N,).
    """

    def __init__(self, sources: SceneSources, pictures: int, seed: int, first: int = 0) -> None:
        self.sources, self.pictures, self.seed, self.first = sources, pictures, seed, first

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        for step in count(self.first):
            yield self.batch(step)

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The batch of one step."""
        rng = np.random.default_rng((self.seed, step))
        size = SCENE_SIZES[int(rng.integers(len(SCENE_SIZES)))]
        maker = SceneMaker(self.sources, rng)
        return collate([maker.draw(size) for _ in range(self.pictures)])


def collate(scenes: list[Scene]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scenes of one size as a batch, see `SceneBatches`."""
    nowhere = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    pictures = np.stack([scene.image for scene in scenes])
    corners = np.stack([nowhere if scene.screen is None else scene.screen for scene in scenes])
    present = np.array([scene.screen is not None for scene in scenes])
    return torch.from_numpy(pictures), torch.from_numpy(corners.astype(np.float32)), torch.from_numpy(present)


def _film_frames(path: Path) -> list[RgbImage]:
    """A few frames over the length of a film, without its black bars."""
    length = probe(path).duration_seconds or 1.0
    wanted = np.linspace(0.03, 0.97, FRAMES_A_FILM) * length
    frames, inside = open_film(path)
    found: list[RgbImage] = []
    for frame in frames:
        if len(found) < len(wanted) and frame.pts_seconds >= wanted[len(found)]:
            found.append(frame.image)
    if inside is None:
        return found
    (x0, y0), (x1, y1) = inside[0].astype(int), inside[2].astype(int)
    return [np.ascontiguousarray(image[y0:y1, x0:x1]) for image in found]


def _is_held_out(name: str, share: float = HELD_OUT_PICTURES) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] < share * 256
