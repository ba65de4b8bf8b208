"""What the browser's fake camera sees: films off a screen, each picture with its number on it, and the truth."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg

from edge.virtual_phone import VirtualPhone, film_clip, preset
from pipeline.frames import RgbImage
from pipeline.media import read_frames

FPS = 30  # at which Chromium plays a file of JPEG pictures, over and over
WIDTH, HEIGHT = 640, 360  # pixels
CELL, CELLS = 16, 16  # pixels a cell of the bar code, at the lower left; the first is always lit, then 15 bits
SEED = 3  # a phone whose screen leaves the bar code free
QUALITY = 90  # of the JPEG
BLACK, WHITE = 0, 255


@dataclass(frozen=True)
class Instant:
    """The truth of one picture. screen: float32 (4, 2), corners of the film, 0..1 of the picture."""

    film: str
    film_seconds: float
    screen: npt.NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True)
class Filmed:
    """Pictures that follow one another. first: the number that the first one carries."""

    first: int
    instants: tuple[Instant, ...] = field(repr=False)
    pictures: tuple[bytes, ...] = field(repr=False)

    @property
    def end(self) -> int:
        """The number after the last one."""
        return self.first + len(self.pictures)

    def image(self, place: int) -> RgbImage:
        """One of the pictures, uint8 (H, W, 3)."""
        return np.asarray(simplejpeg.decode_jpeg(self.pictures[place]), np.uint8)


def film_a_screen(film: Path, first: int, seconds: float | None = None) -> Filmed:
    """A phone films a film that plays on a screen. seconds: of the film, from its start; None: all of it."""
    phone = VirtualPhone(preset("easy", width=WIDTH, height=HEIGHT), SEED)
    size = np.array((WIDTH, HEIGHT), np.float32)
    instants, pictures = [], []
    for number, shot in enumerate(film_clip(phone, read_frames(film, max_side=None), seconds=seconds), first):
        assert shot.screen[:, 1].max() < HEIGHT - CELL, "the screen covers the bar code"
        instants.append(Instant(film.stem, shot.film_seconds, shot.screen / size))
        pictures.append(_numbered(shot.image, number))
    return Filmed(first, tuple(instants), tuple(pictures))


def write_clip(path: Path, parts: Sequence[Filmed]) -> Path:
    """A file for the fake camera: these, one after the other."""
    path.write_bytes(b"".join(picture for part in parts for picture in part.pictures))
    return path


def _numbered(image: RgbImage, number: int) -> bytes:
    lit = [True, *(bool(number >> bit & 1) for bit in range(CELLS - 1))]
    strip = np.repeat(np.where(lit, WHITE, BLACK), CELL)
    image = np.ascontiguousarray(image)
    image[HEIGHT - CELL :, : CELL * CELLS] = strip[None, :, None]
    return bytes(simplejpeg.encode_jpeg(image, quality=QUALITY))
