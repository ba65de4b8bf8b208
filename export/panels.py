"""What a simulated panel shows: where the film is on it, slides, overlays, its black, reflections and moire."""

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.frames import RgbImage

Light = npt.NDArray[np.float32]  # (H, W, 3), linear; a white wall in full room light is 1
FILM_ASPECTS = (16 / 9, 4 / 3, 1.85, 2.0, 2.39, 2.39, 2.39, 1.0, 3 / 4, 9 / 16)  # films on panels with bars
WINDOW_SHARE = 0.22  # of the panels, whose film is in a window, a page or a viewer
BARRED_SHARE = 0.45  # of the panels, whose film is not made for them; without windows both shares are barred
LEAST_LIT = 0.002  # light of bars that can be told from a bezel
LEAST_OF_PANEL = 0.6  # of its area: a film between bars that takes up less is found without them


def film_box(
    rng: np.random.Generator, panel: tuple[int, ...], windows: bool = True
) -> tuple[tuple[int, int, int, int], bool]:
    """Where the film's picture is on the panel, x0, y0, x1, y1: all of it, between bars, or in a window.

    windows: whether there may be one. Returns the box, and whether it is a window.
    """
    height, width = panel
    kind = rng.random()
    windowed = windows and kind < WINDOW_SHARE
    if not windowed and kind > WINDOW_SHARE + BARRED_SHARE:
        return (0, 0, width, height), False
    ratio = FILM_ASPECTS[int(rng.integers(len(FILM_ASPECTS)))] * height / width
    across, down = (1.0, 1 / ratio) if ratio > 1 else (ratio, 1.0)
    size = rng.uniform(0.5, 0.97) if windowed else 1.0
    wide, high = max(round(across * size * width), 8), max(round(down * size * height), 8)
    at = rng.uniform(0, 1, 2) if windowed and rng.random() < 0.5 else (0.5, 0.5)
    x0, y0 = round((width - wide) * at[0]), round((height - high) * at[1])
    return (x0, y0, x0 + wide, y0 + high), windowed


def screen_box(box: tuple[int, int, int, int], dark: Light, windowed: bool = False) -> tuple[int, int, int, int]:
    """What counts as the screen, x0, y0, x1, y1: the panel with its bars, or the film alone.

    Where a film ends and its bars begin nobody can see in a dark scene; `pipeline.letterbox` finds it in the course of
    time. The film alone counts in a window, where it is much smaller than its panel, as on an upright phone, and where
    bars are as black as nothing, as a projector's. dark: light of the panel where the film is black, see `black`.
    """
    x0, y0, x1, y1 = box
    height, width = dark.shape[:2]
    small = (x1 - x0) * (y1 - y0) < LEAST_OF_PANEL * height * width
    return box if windowed or small or dark.mean() < LEAST_LIT else (0, 0, width, height)


def desktop(
    rng: np.random.Generator, panel: Light, box: tuple[int, int, int, int], picture: Light, other: Light
) -> None:
    """What a computer or a phone shows around a window, in place; the film is painted later.

    box: of the film, x0, y0, x1, y1. picture: for the desk's background. other: for small pictures beside the film.
    """
    height, width = panel.shape[:2]
    x0, y0, x1, _ = box
    kind = rng.random()
    if kind < 0.6:  # a viewer's black
        panel[:] = np.float32(np.exp(rng.uniform(np.log(5e-4), np.log(0.04)))) * tint(rng, 0.2)
    elif kind < 0.85:  # a page's white
        panel[:] = np.float32(rng.uniform(0.4, 1.0)) * tint(rng, 0.05)
    else:
        panel[:] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    ink = np.float32(rng.uniform(0.2, 0.9) if panel.mean() < 0.2 else rng.uniform(0, 0.3))
    for _ in range(int(rng.integers(0, 5)) if kind < 0.85 else 0):  # small pictures
        wide = max(int((x1 - x0) * rng.uniform(0.08, 0.35)), 4)
        high = max(int(wide * rng.uniform(0.5, 1.0)), 4)
        _put(panel, np.asarray(cv2.resize(other, (wide, high), interpolation=cv2.INTER_AREA), np.float32), rng)
    for _ in range(int(rng.integers(0, 12))):  # lines of text
        wide, high = max(int(width * rng.uniform(0.05, 0.4)), 2), max(int(height * rng.uniform(0.006, 0.02)), 1)
        words = (rng.random((1, wide, 1)) < 0.7).astype(np.float32)
        _put(panel, np.repeat(ink * words, 3, axis=2).repeat(high, axis=0), rng)
    if rng.random() < 0.4:  # the window's title
        high = max(int(height * rng.uniform(0.02, 0.07)), 1)
        panel[max(y0 - high, 0) : y0, x0:x1] = np.float32(rng.uniform(0, 1) ** 2) * tint(rng, 0.1)
    if rng.random() < 0.5:  # a task bar with its icons
        high = max(int(height * rng.uniform(0.03, 0.08)), 2)
        panel[-high:] = np.float32(rng.uniform(0, 0.8) ** 3) * tint(rng, 0.1)
        icon = max(high // 2, 1)
        for x in rng.integers(0, max(width - icon, 1), int(rng.integers(3, 14))):
            panel[-high + icon // 2 : -high + icon // 2 + icon, x : x + icon] = rng.uniform(0, 1, 3)


def _put(panel: Light, face: Light, rng: np.random.Generator) -> None:
    """Puts a small face somewhere on the panel, in place."""
    face = face[: panel.shape[0], : panel.shape[1]]
    y, x = (int(rng.integers(0, side - part + 1)) for side, part in zip(panel.shape[:2], face.shape[:2], strict=True))
    panel[y : y + face.shape[0], x : x + face.shape[1]] = face


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
    if rng.random() < 0.4:  # a lamp itself, with its halo
        lamp = np.zeros((height, width), np.float32)
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        cv2.circle(lamp, centre, max(int(width * rng.uniform(0.008, 0.05)), 1), float(rng.uniform(0.5, 4)), -1)
        halo = cv2.GaussianBlur(lamp, (0, 0), width * rng.uniform(0.02, 0.12))
        panel += (np.asarray(lamp + halo * np.float32(rng.uniform(0.5, 3))))[..., None] * tint(rng, 0.1)


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
