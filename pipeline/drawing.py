"""Pictures of what the program sees."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from pipeline.codes import CODE_BITS, MarginArray
from pipeline.encoder import Corners
from pipeline.errors import InputError
from pipeline.frames import RgbImage
from pipeline.recogniser import Labels

TILE_WIDTH = 480  # pixels of a frame on a sheet
STRIP_HEIGHT = 56  # pixels below a frame for its code and margins
COLUMNS = 3
MOST_LETTERS = 60  # in a tile's width
OUTLINE = (80, 255, 120)
TEXT = (235, 235, 235)
ONE, ZERO = (255, 190, 60), (90, 130, 255)  # colours of set and unset bits
SURE_MARGIN = 5.0  # nats; a bit as sure as that fills its bar


@dataclass(frozen=True)
class SeenFrame:
    """A frame and what was made of it.

    screen: corners in pixels of `image`, None when there is none. scale: pixels of the source a pixel of `image`.
    """

    source: str
    at_seconds: float
    image: RgbImage = field(repr=False)
    screen: Corners | None
    screen_confidence: float
    code: int
    margins: MarginArray = field(repr=False)  # float32 (32,)
    labels: Labels = field(default_factory=list)
    scale: float = 1.0


def outline_screen(image: RgbImage, screen: Corners | None) -> RgbImage:
    """A copy of the picture with the screen's outline, its top left corner marked by a dot."""
    drawn = image.copy()
    if screen is not None:
        thickness = max(2, image.shape[1] // 240)
        inside = np.clip(screen, 0, np.array([image.shape[1] - 1, image.shape[0] - 1]))
        points = np.round(inside).astype(np.int32)
        cv2.polylines(drawn, [points], True, OUTLINE, thickness, cv2.LINE_AA)
        cv2.circle(drawn, (int(points[0][0]), int(points[0][1])), thickness * 3, OUTLINE, -1, cv2.LINE_AA)
    return drawn


def sheet(frames: Sequence[SeenFrame]) -> RgbImage:
    """All frames on one picture, each above its code and the margins of its bits. At least one frame."""
    height = max(round(TILE_WIDTH * frame.image.shape[0] / frame.image.shape[1]) for frame in frames)
    tiles = [_tile(frame, height) for frame in frames]
    columns = min(COLUMNS, len(tiles))
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.vstack(rows)


def save_picture(image: RgbImage, path: Path) -> None:
    """Writes a PNG or JPEG, by the ending. Raises InputError when the path cannot be written."""
    try:
        done, data = cv2.imencode(path.suffix or ".png", image[:, :, ::-1])
    except cv2.error:
        done = False
    if not done:
        raise InputError(f"{path}: pictures are written as .png or .jpg; give such a name")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def _tile(frame: SeenFrame, height: int) -> RgbImage:
    tile = np.zeros((height + STRIP_HEIGHT, TILE_WIDTH, 3), np.uint8)
    picture = outline_screen(frame.image, frame.screen)
    shown = cv2.resize(picture, (TILE_WIDTH, round(TILE_WIDTH * picture.shape[0] / picture.shape[1])))
    tile[: shown.shape[0]] = shown
    label = f"{Path(frame.source).name[:28]}  {frame.at_seconds:.2f} s  0x{frame.code:08x}"
    _write(tile, label, height + 16)
    if frame.labels:
        tile[height - 22 : height] //= 3  # darker, so that the letters can be read
        _write(tile, ", ".join(f"{name} {share:.2f}" for name, share in frame.labels)[:MOST_LETTERS], height - 7)
    width = (TILE_WIDTH - 12) // CODE_BITS
    for bit in range(CODE_BITS):
        left = 6 + bit * width
        full = STRIP_HEIGHT - 26
        bar = max(1, round(full * min(float(frame.margins[bit]) / SURE_MARGIN, 1.0)))
        colour = ONE if frame.code >> bit & 1 else ZERO
        bottom = height + STRIP_HEIGHT - 4
        cv2.rectangle(tile, (left, bottom - bar), (left + width - 3, bottom), colour, -1)
    return tile


def _write(tile: RgbImage, text: str, bottom: int) -> None:
    plain = text.encode("ascii", "replace").decode()  # the letters that the font has
    cv2.putText(tile, plain, (6, bottom), cv2.FONT_HERSHEY_SIMPLEX, 0.45, TEXT, 1, cv2.LINE_AA)
