"""What a simulated panel shows: where the film is on it, slides, overlays, its black, reflections and moire."""

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.frames import RgbImage

Light = npt.NDArray[np.float32]  # (H, W, 3), linear; a white wall in full room light is 1
FILM_ASPECTS = (16 / 9, 4 / 3, 1.85, 2.0, 2.39, 2.39, 2.39, 1.0, 9 / 16)  # films on panels with bars
BARRED_SHARE = 0.55  # of the panels whose film is not made for them


def film_box(rng: np.random.Generator, panel: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Where the film's picture is on the panel, x0, y0, x1, y1: all of it, or between black bars."""
    height, width = panel
    if rng.random() > BARRED_SHARE:
        return 0, 0, width, height
    ratio = FILM_ASPECTS[int(rng.integers(len(FILM_ASPECTS)))] / (16 / 9)
    bar_x, bar_y = (0, (1 - 1 / ratio) / 2) if ratio > 1 else ((1 - ratio) / 2, 0)
    return round(bar_x * width), round(bar_y * height), round((1 - bar_x) * width), round((1 - bar_y) * height)


def black(rng: np.random.Generator, panel: tuple[int, int]) -> Light:
    """The light of a panel where the film is black, and of the room on its glass, brighter towards one end."""
    level = np.exp(rng.uniform(np.log(2e-4), np.log(0.05)))
    ends = np.exp(rng.normal(0, 0.4, (2, 2))).astype(np.float32) * np.float32(level)
    slope = cv2.resize(ends, panel[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(slope[..., None] * tint(rng, 0.15), np.float32)


def slide(rng: np.random.Generator, picture: RgbImage) -> RgbImage:
    """A page of a lecture: a heading, lines of text, boxes, and perhaps a picture."""
    height, width = 216, 384
    paper, ink = rng.uniform(150, 256, 3), rng.uniform(0, 110, 3)
    if rng.random() < 0.3:
        paper, ink = ink, paper
    page = np.full((height, width, 3), paper, np.uint8)
    if rng.random() < 0.5:  # a heading's band
        cv2.rectangle(page, (0, 0), (width, int(height * rng.uniform(0.04, 0.2))), rng.uniform(0, 256, 3).tolist(), -1)
    for _ in range(int(rng.integers(0, 3))):  # a margin, a box
        x, y = (0 if rng.random() < 0.5 else int(rng.integers(side)) for side in (width, height))
        w, h = (side if rng.random() < 0.5 else int(rng.integers(side // 8, side)) for side in (width, height // 2))
        cv2.rectangle(page, (x, y), (x + w, y + h), rng.uniform(0, 256, 3).tolist(), -1 if rng.random() < 0.6 else 2)
    if rng.random() < 0.6:
        x, y = int(rng.integers(10, width // 2)), int(rng.integers(10, height // 2))
        page[y : y + 90, x : x + 160] = cv2.resize(picture, (160, 90), interpolation=cv2.INTER_AREA)
    size = rng.uniform(0.25, 0.6)
    for line in range(int(rng.integers(2, 12))):
        text = "".join(rng.choice(list("abcdefghiklmnoprstuvw   "), int(rng.integers(6, 40))))
        place = (int(rng.uniform(8, 40)), int(24 + line * 34 * size))
        cv2.putText(page, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, ink.tolist(), 1, cv2.LINE_AA)
    return page


def overlay(rng: np.random.Generator, film: Light) -> None:
    """A subtitle, a logo or a player's bar, in place."""
    height, width = film.shape[:2]
    scale = height / 400
    if rng.random() < 0.6:
        text = "".join(rng.choice(list("abcdefghiklmnoprstuvw   "), int(rng.integers(10, 34))))
        place = (int(width * rng.uniform(0.05, 0.3)), int(height * rng.uniform(0.82, 0.95)))
        letters = np.zeros((height, width), np.uint8)
        cv2.putText(letters, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(round(2 * scale), 1), cv2.LINE_AA)
        np.maximum(film, letters[..., None] * np.float32(1 / 255), out=film)
    if rng.random() < 0.5:
        x, y = int(rng.choice((0.04, 0.84)) * width), int(rng.choice((0.05, 0.85)) * height)
        film[y : y + height // 10, x : x + width // 9] = rng.uniform(0, 1, 3)
    if rng.random() < 0.3:
        film[int(height * rng.uniform(0.85, 0.97)) :] *= np.float32(rng.uniform(0.1, 0.6))
    if rng.random() < 0.3:  # a banner along one side: its inner edge is not the screen's
        side, share = int(rng.integers(4)), rng.uniform(0.03, 0.2)
        band = film if side < 2 else film.transpose(1, 0, 2)
        rows = max(int(len(band) * share), 1)
        (band[:rows] if side % 2 else band[-rows:])[:] = rng.uniform(0, 1, 3).astype(np.float32) ** 2


def glare(rng: np.random.Generator, panel: Light) -> None:
    """Reflections of lamps and windows in the glass, in place."""
    height, width = panel.shape[:2]
    spots = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        axes = (int(width * rng.uniform(0.02, 0.2)) + 1, int(height * rng.uniform(0.02, 0.3)) + 1)
        cv2.ellipse(spots, centre, axes, float(rng.uniform(0, 180)), 0, 360, float(rng.uniform(0.05, 1.0)), -1)
    panel += cv2.GaussianBlur(spots, (0, 0), width * rng.uniform(0.005, 0.06))[..., None] * tint(rng, 0.2)


def moire(rng: np.random.Generator, panel: Light) -> None:
    """Fringes of the panel's grid against the sensor's, in place."""
    height, width = panel.shape[:2]
    x, y = np.meshgrid(np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32))
    for color in range(3):
        u, v, bend = rng.normal(0, 14, 3)
        wave = np.sin(2 * np.pi * (u * x + v * y + bend * x * y * 0.3 + rng.uniform()))
        panel[..., color] *= 1 + np.float32(rng.uniform(0, 0.2)) * wave


def tint(rng: np.random.Generator, strength: float) -> npt.NDArray[np.float32]:
    return np.exp(rng.normal(0, strength, 3)).astype(np.float32)
