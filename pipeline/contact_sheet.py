"""A picture of many moments: a thumbnail of each, with what it is under it."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import InputError
from pipeline.frames import RgbImage

COLUMNS = 4
CELL_WIDTH, CELL_HEIGHT, TEXT_HEIGHT, GAP = 320, 180, 44, 12  # pixels
PAPER, INK, EMPTY = 24, (235, 235, 235), 60  # grey levels, and the colour of letters
_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
MOST_LETTERS = 42  # in a cell's width
MOST_CELLS = 400  # of a sheet: 35 megapixels; more are no overview


def draw_sheet(cells: Sequence[tuple[RgbImage | None, str, str]]) -> RgbImage:
    """A sheet, uint8 (H, W, 3), of (picture or None, first line, second line); at least one."""
    rows = -(-len(cells) // COLUMNS)
    height = GAP + rows * (CELL_HEIGHT + TEXT_HEIGHT + GAP)
    sheet = np.full((height, GAP + COLUMNS * (CELL_WIDTH + GAP), 3), PAPER, np.uint8)
    for k, (picture, *lines) in enumerate(cells):
        top = GAP + k // COLUMNS * (CELL_HEIGHT + TEXT_HEIGHT + GAP)
        left = GAP + k % COLUMNS * (CELL_WIDTH + GAP)
        sheet[top : top + CELL_HEIGHT, left : left + CELL_WIDTH] = _cell(picture)
        for row, line in enumerate(lines):
            plain = line.encode("ascii", "replace").decode()[:MOST_LETTERS]  # the letters that the font has
            cv2.putText(sheet, plain, (left, top + CELL_HEIGHT + 16 + 18 * row), _FONT, _SCALE, INK, 1, cv2.LINE_AA)
    return sheet


def write_sheet(path: Path, sheet: RgbImage) -> None:
    """Writes a sheet, as PNG or what the name says. Raises InputError when it cannot be written."""
    try:
        written = cv2.imwrite(str(path), sheet[:, :, ::-1])
    except cv2.error:
        written = False
    if not written:
        raise InputError(f"--sheet {path} cannot be written; give the name of a PNG in a folder that is there")


def _cell(picture: RgbImage | None) -> RgbImage:
    """The picture within a cell, between bars; a grey cell for none."""
    cell = np.full((CELL_HEIGHT, CELL_WIDTH, 3), EMPTY if picture is None else 0, np.uint8)
    if picture is None:
        return cell
    height, width = picture.shape[:2]
    scale = min(CELL_WIDTH / width, CELL_HEIGHT / height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)
    top, left = (CELL_HEIGHT - size[1]) // 2, (CELL_WIDTH - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = small
    return cell
