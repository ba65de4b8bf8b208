"""What stands round the screen of the virtual phone: a room, its reflections in the glass, heads in the way.

World frame: origin at the panel's middle, x right, y down, z into the wall; the unit is the panel's width.
All light is linear; a white wall in the room's own light is near 1.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.frames import Frame, RgbImage

FloatImage = npt.NDArray[np.float32]  # (H, W), (H, W, 3)
Array = npt.NDArray[np.float64]
Color = tuple[float, float, float]
Box = tuple[int, int, int, int]  # x0, y0, x1, y1, pixels, half open

WALL_LEFT, WALL_RIGHT = -2.7, 2.3  # panel widths: where the side walls stand
CEILING, FLOOR = -1.25, 0.95  # panel widths, y downward
WALL_DEPTH = 0.05  # panel widths between the panel's face and the wall
SIDE_LENGTH = 8.0  # panel widths of side wall, floor and ceiling that are drawn, towards the viewer
TEXELS = 0.2  # of wall in a panel width, for each pixel across the view that is drawn
SIDE_TEXELS = 0.07  # of side wall, floor and ceiling, seen at a grazing angle
PHOTO_GAMMA = 2.2
PANEL_ASPECT = 9 / 16  # height of the panel, in its widths
REFRESH_HZ = 60.0  # of the display
PANEL_GAMMA = 2.2
PHOTOSITE = 0.45  # of the pixel pitch: what one line-skipped pixel of phone video integrates, hence moire
GRID_HARMONICS = 12
GRID_STEP, GRID_WIDEST = 0.05, 6.0  # panel pixels a camera pixel: grid of the pattern's table


def as_float(image: npt.ArrayLike) -> FloatImage:
    """The image as float32, without a copy when it is already."""
    return np.asarray(image, np.float32)


@dataclass(frozen=True)
class _Canvas:
    """A wall to paint on, in panel widths, from (left, top)."""

    pixels: FloatImage
    left: float
    top: float
    texels: int

    def box(self, x0: float, y0: float, x1: float, y1: float) -> FloatImage:
        """The part of the wall inside the rectangle; writing to it paints. May be empty."""
        columns = [max(0, round((x - self.left) * self.texels)) for x in (x0, x1)]
        rows = [max(0, round((y - self.top) * self.texels)) for y in (y0, y1)]
        return self.pixels[rows[0] : rows[1], columns[0] : columns[1]]

    def fill(self, x0: float, y0: float, x1: float, y1: float, color: Color) -> None:
        self.box(x0, y0, x1, y1)[:] = color

    def shade(self, x0: float, y0: float, x1: float, y1: float, softness: float, factor: float) -> None:
        """Multiplies a soft rectangle: factor < 1 is a shadow, > 1 light. softness: panel widths."""
        mask = np.zeros(self.pixels.shape[:2], np.float32)
        _Canvas(mask, self.left, self.top, self.texels).box(x0, y0, x1, y1)[:] = factor - 1
        mask = _soften(mask, softness * self.texels)
        np.multiply(self.pixels, (1 + mask)[..., None], out=self.pixels)


def _soften(image: FloatImage, sigma: float) -> FloatImage:
    """Gaussian blur of any size at the cost of a small one: done on a reduced image. sigma: pixels."""
    height, width = image.shape[:2]
    factor = max(1, min(int(sigma / 2), height // 4, width // 4))
    small = cv2.resize(image, (max(1, width // factor), max(1, height // factor)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(sigma / factor, 0.3), borderType=cv2.BORDER_REPLICATE)
    return as_float(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _texture(rng: np.random.Generator, height: int, width: int, sigma: float) -> FloatImage:
    """Blotches of standard deviation 1, (height, width). sigma: pixels, their size."""
    blotches = _soften(rng.standard_normal((height, width), np.float32), sigma)
    return as_float((blotches - blotches.mean()) / (blotches.std() + 1e-6))


def _paint_color(rng: np.random.Generator, low: float, high: float, colorfulness: float) -> Color:
    level = rng.uniform(low, high)
    r, g, b = np.clip(level * (1 + colorfulness * rng.uniform(-1, 1, 3)), 0.005, 1)
    return float(r), float(g), float(b)


def _wood(rng: np.random.Generator, height: int, width: int) -> FloatImage:
    """Planks along x with grain, (height, width, 3)."""
    tone = np.array(_paint_color(rng, 0.05, 0.35, 0.1)) * (1.15, 0.95, 0.7)
    grain = cv2.resize(rng.standard_normal((height, max(2, width // 40)), np.float32), (width, height))
    planks = np.repeat(rng.uniform(0.8, 1.2, height // 24 + 1), 24)[:height, None]
    return as_float((tone * (planks * (1 + 0.12 * grain))[..., None]).clip(0.01, 1))


def _picture(rng: np.random.Generator, target: FloatImage) -> None:
    """Paints something picture-like into a frame or a decoy screen, in place: colour fields with edges."""
    height, width = target.shape[:2]
    if not height or not width:
        return
    target[:] = _paint_color(rng, 0.1, 0.7, 0.4)
    for _ in range(7):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        radius = rng.uniform(0.1, 0.4) * height
        patch = np.ascontiguousarray(target)
        cv2.circle(patch, (int(x), int(y)), max(1, int(radius)), _paint_color(rng, 0.02, 0.9, 0.6), -1)
        target[:] = patch


def _window(rng: np.random.Generator, canvas: _Canvas, x: float, y: float, night: bool) -> None:
    """A window with sky and panes, about 0.8 x 0.9 panel widths, a decoy brighter than the wall."""
    frame = _paint_color(rng, 0.5, 0.9, 0.05)
    canvas.fill(x, y, x + 0.8, y + 0.9, frame)
    sky = 0.03 if night else rng.uniform(1.5, 4)
    for i in range(2):
        for j in range(2):
            pane = canvas.box(x + 0.04 + 0.38 * i, y + 0.04 + 0.43 * j, x + 0.38 + 0.38 * i, y + 0.43 + 0.43 * j)
            fade = np.linspace(1, 0.6, len(pane))[:, None, None] if len(pane) else 1.0
            pane[:] = sky * np.array((0.85, 0.95, 1.1)) * fade


def _furniture(rng: np.random.Generator, canvas: _Canvas) -> None:
    """The stand below the panel with things on it, a shelf of books, framed pictures, a lamp."""
    half, top = rng.uniform(0.5, 0.9), rng.uniform(0.36, 0.5)
    stand = canvas.box(-half, top, half, FLOOR)
    stand[:] = _wood(rng, *stand.shape[:2])
    for k in range(rng.integers(2, 5)):  # drawers
        x = -half + 0.03 + k * half / 2
        canvas.shade(x, top + 0.06, x + half / 2 - 0.05, FLOOR - 0.08, 0.01, 0.75)
    for _ in range(rng.integers(1, 6)):  # boxes, a speaker, a vase on the stand, beside the panel
        x, height, width = rng.uniform(-half, half), rng.uniform(0.02, 0.12), rng.uniform(0.04, 0.2)
        canvas.fill(x, top - height, x + width, top, _paint_color(rng, 0.01, 0.6, 0.5))
    for side in (-1, 1):
        for _ in range(rng.integers(0, 3)):  # framed pictures
            x, y, w = side * rng.uniform(0.75, 1.9) - 0.2, rng.uniform(-0.9, -0.1), rng.uniform(0.2, 0.5)
            canvas.shade(x + 0.01, y + 0.02, x + w + 0.02, y + 0.7 * w + 0.02, 0.02, 0.6)
            canvas.fill(x, y, x + w, y + 0.7 * w, _paint_color(rng, 0.02, 0.5, 0.4))
            _picture(rng, canvas.box(x + 0.03, y + 0.03, x + w - 0.03, y + 0.7 * w - 0.03))
    shelf = rng.choice((-1.7, 1.1))
    if rng.random() < 0.6:
        canvas.fill(shelf, -0.5, shelf + 0.7, FLOOR, _paint_color(rng, 0.02, 0.3, 0.3))
        for level in np.arange(-0.45, FLOOR - 0.2, 0.29):
            x = shelf + 0.03
            while x < shelf + 0.62:
                thick, high = rng.uniform(0.015, 0.06), rng.uniform(0.14, 0.25)
                canvas.fill(x, level + 0.25 - high, x + thick, level + 0.25, _paint_color(rng, 0.02, 0.4, 0.45))
                x += thick + 0.004
    if rng.random() < 0.6:
        x = rng.uniform(0.85, 1.0) * rng.choice((-1, 1))
        canvas.shade(x - 0.15, -0.5, x + 0.15, 0.1, 0.3, 2.5)
        canvas.fill(x - 0.1, -0.3, x + 0.1, -0.08, (3.0, 2.2, 1.3))
        canvas.fill(x - 0.01, -0.08, x + 0.01, 0.9, (0.05, 0.05, 0.05))


def _back_wall(rng: np.random.Generator, texels: int) -> FloatImage:
    height, width = round((FLOOR - CEILING) * texels), round((WALL_RIGHT - WALL_LEFT) * texels)
    wall = np.empty((height, width, 3), np.float32)
    wall[:] = _paint_color(rng, 0.3, 0.85, 0.12)
    if rng.random() < 0.35:  # wallpaper or panelling: stripes of a hand's width
        period = max(2, int(rng.uniform(0.05, 0.3) * texels))
        wall *= np.where(np.arange(width) % period < period // 2, 1.0, rng.uniform(0.75, 0.95))[:, None]
    canvas = _Canvas(wall, WALL_LEFT, CEILING, texels)
    if rng.random() < 0.6:
        _window(rng, canvas, rng.choice((-1.75, 0.95)) + rng.uniform(-0.1, 0.1), -1.0, bool(rng.random() < 0.4))
    _furniture(rng, canvas)
    canvas.fill(WALL_LEFT, FLOOR - 0.06, WALL_RIGHT, FLOOR, (0.6, 0.58, 0.55))  # skirting board
    canvas.shade(-0.53, -0.28, 0.53, 0.36, 0.04, 0.55)  # the panel's own shadow
    texture = 1 + 0.02 * _texture(rng, height, width, 1.0) + 0.06 * _texture(rng, height, width, 0.4 * texels)
    wall *= texture[..., None]
    return wall


def _plain_face(rng: np.random.Generator, height: int, width: int, color: Color) -> FloatImage:
    face = np.empty((height, width, 3), np.float32)
    face[:] = color
    face *= (1 + 0.04 * _texture(rng, height, width, 1.0) + 0.1 * _texture(rng, height, width, 60.0))[..., None]
    return face


def _side_wall(rng: np.random.Generator, texels: int) -> FloatImage:
    """z from the back wall to the viewer along x; a door or pictures on it."""
    size = (round((FLOOR - CEILING) * texels), round(SIDE_LENGTH * texels))
    wall = _plain_face(rng, *size, _paint_color(rng, 0.3, 0.8, 0.12))
    canvas = _Canvas(wall, 0.0, CEILING, texels)
    for start in (0.3, 1.7, 3.4):
        if rng.random() < 0.5:
            canvas.fill(start, -0.7, start + 0.75, FLOOR, _paint_color(rng, 0.05, 0.7, 0.2))
        else:
            canvas.fill(start, -0.6, start + 0.5, -0.2, _paint_color(rng, 0.05, 0.4, 0.3))
            _picture(rng, canvas.box(start + 0.04, -0.56, start + 0.46, -0.24))
    return wall


def draw_room(rng: np.random.Generator, rays: FloatImage, eye: Array) -> FloatImage:
    """A room as seen from the eye, (H, W, 3), linear.

    rays: float32 (H, W, 3), the world direction of each pixel, any length. eye: (3,), the viewer's place.
    """
    texels, side_texels = (max(8, round(share * rays.shape[1])) for share in (TEXELS, SIDE_TEXELS))
    depth = round(SIDE_LENGTH * side_texels)
    across = round((WALL_RIGHT - WALL_LEFT) * side_texels)
    floor = np.repeat(np.repeat(_wood(rng, depth // 2, across // 2), 2, 0), 2, 1)
    if rng.random() < 0.5:
        floor = _plain_face(rng, depth, across, _paint_color(rng, 0.05, 0.4, 0.2))
    ceiling = _plain_face(rng, depth, across, _paint_color(rng, 0.6, 0.9, 0.03))
    # face, axis of its normal, its place on that axis, (axis, origin, sign, texels) of its columns and rows
    along_x, along_y = (0, WALL_LEFT, 1, side_texels), (1, CEILING, 1, side_texels)
    along_z = (2, WALL_DEPTH, -1, side_texels)
    faces = (
        (_back_wall(rng, texels), 2, WALL_DEPTH, (0, WALL_LEFT, 1, texels), (1, CEILING, 1, texels)),
        (_side_wall(rng, side_texels), 0, WALL_LEFT, along_z, along_y),
        (_side_wall(rng, side_texels), 0, WALL_RIGHT, along_z, along_y),
        (floor, 1, FLOOR, along_x, along_z),
        (ceiling, 1, CEILING, along_x, along_z),
    )
    seen = np.zeros(rays.shape, np.float32)
    nearest = np.full(rays.shape[:2], np.inf, np.float32)
    for face, axis, place, columns, rows in faces:
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = as_float((place - eye[axis]) / rays[..., axis])
        closer = (distance > 0) & (distance < nearest)
        nearest[closer] = distance[closer]
        maps = [
            as_float((eye[a] + np.where(closer, distance, 0) * rays[..., a] - origin) * sign * texels - 0.5)
            for a, origin, sign, texels in (columns, rows)
        ]
        x, y = maps[0].clip(-9, 9999), maps[1].clip(-9, 9999)
        painted = cv2.remap(face, x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
        cv2.copyTo(painted, closer.astype(np.uint8), seen)
    height, width = rays.shape[:2]  # room light falls off round the brightest place
    dx = (np.arange(width) / width - rng.uniform(0, 1)) * 2
    dy = (np.arange(height) / height - rng.uniform(-0.2, 0.5)) * 2 * height / width
    fall = rng.uniform(0.2, 0.7) * (dx[None] ** 2 + dy[:, None] ** 2)
    return as_float(seen / (1 + fall[..., None] / 0.5))


def photo_room(photo: RgbImage, height: int, width: int) -> FloatImage:
    """A photograph scaled to cover (height, width), its middle kept, in linear light, mean near 0.3."""
    scale = max(height / photo.shape[0], width / photo.shape[1])
    size = (max(width, round(photo.shape[1] * scale)), max(height, round(photo.shape[0] * scale)))
    scaled = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    table = as_float((np.arange(256) / 255) ** PHOTO_GAMMA)
    linear = as_float(cv2.LUT(scaled[top : top + height, left : left + width], table))
    return linear * np.float32(0.3 / max(0.05, float(linear.mean())))


def draw_reflections(rng: np.random.Generator, height: int, width: int, box: Box) -> FloatImage:
    """What the panel's glass mirrors, (height, width), peak near 1: lamps as soft blobs, a window with panes.

    box: x0, y0, x1, y1 in pixels, where the panel is; the reflections lie over it.
    """
    x0, y0, x1, y1 = box
    size = max(8, x1 - x0)
    mirrored = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(x0, x1), rng.uniform(y0, y1)
        blob = np.zeros_like(mirrored)
        radius = rng.uniform(0.01, 0.05) * size
        cv2.ellipse(blob, (int(x), int(y)), (int(radius * 1.5) + 1, int(radius) + 1), 0, 0, 360, 1.0, -1)
        halo = _soften(blob, radius * 3)
        mirrored += _soften(blob, radius * 0.4) * rng.uniform(0.5, 1) + halo / (halo.max() + 1e-6) * 0.25
    x, y = rng.uniform((x0 - 0.1 * size, y0 - 0.1 * size), (x1 - 0.1 * size, y1))
    w = rng.uniform(0.12, 0.4) * size
    lean = rng.uniform(-0.25, 0.25, 2) * w
    quad = np.array([(x, y), (x + w, y + lean[0]), (x + w, y + 1.1 * w + lean[1]), (x, y + 1.1 * w)])
    pane = np.zeros_like(mirrored)
    cv2.fillPoly(pane, [quad.round().astype(np.int32)], 1.0)
    for a, b in ((quad[:2].mean(0), quad[2:].mean(0)), (quad[[0, 3]].mean(0), quad[1:3].mean(0))):
        start, end = a.round().astype(int).tolist(), b.round().astype(int).tolist()
        cv2.line(pane, start, end, 0.0, max(1, int(0.07 * w)))
    mirrored += _soften(pane, 0.02 * w + 0.5) * rng.uniform(0.25, 0.7)
    return mirrored.clip(0, 1.2)


def draw_heads(rng: np.random.Generator, height: int, width: int, box: Box, share: float) -> FloatImage:
    """Opacity (height, width), 0..1, of heads and shoulders before the screen, out of focus.

    box: x0, y0, x1, y1 in pixels, where the panel is. share: how much of its height the heads reach up.
    """
    x0, _, x1, y1 = box
    rise = share * (y1 - box[1])
    opacity = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(1, 3)):
        x, top = rng.uniform(x0, x1), y1 - rise * rng.uniform(0.8, 1)
        radius = max(3.0, 0.13 * (x1 - x0)) * rng.uniform(0.8, 1.2)
        middle = (int(x), int(top + 1.25 * radius))
        cv2.ellipse(opacity, middle, (int(radius), int(1.25 * radius)), 0, 0, 360, 1.0, -1)
        reach, shoulder = int(2.4 * radius), int(top + 4.2 * radius)
        cv2.ellipse(opacity, (int(x), shoulder), (reach, int(2 * radius)), 0, 0, 360, 1.0, -1)
        opacity[max(0, shoulder) :, max(0, int(x) - reach) : max(0, int(x) + reach)] = 1
    return _soften(opacity, 0.004 * width + 0.5).clip(0, 1)


PANEL_CORNERS = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]) * (1, PANEL_ASPECT)


class Television:
    """The television: bezel, black bars, the film's picture in light, and the sub-pixel grid before it.

    Places in the panel's plane are in panel widths from its middle.
    """

    def __init__(self, rng: np.random.Generator, texels: int, aspect: float, cosine: float, light: float):
        """texels: width of the panel's texture. aspect: the film's height by its width. cosine: of the angle
        from which the panel is seen. light: of a white wall, of the panel's white."""
        self.width = texels
        self.height = round(self.width * PANEL_ASPECT)
        self.bezel = max(1, round(self.width * float(rng.uniform(0.008, 0.035))))
        width, height = self.width, round(self.width * aspect)
        if height > self.height:
            width, height = round(self.height / aspect), self.height
        left, top = (self.width - width) // 2, (self.height - height) // 2
        self._rect = (left, top, width, height)
        corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * (width, height) + (left, top)
        self.picture = (corners - np.array((self.width, self.height)) / 2) / self.width  # (4, 2)
        self._black = 0.001 + 0.006 * float(rng.random()) + 0.015 * light  # leak; the room's light
        off_axis = np.array((1.1, 1.2, 1.5)) * rng.uniform(1.0, 2.5)
        self._white = cosine**off_axis * (1, 1, 1 + 0.1 * rng.uniform(-1, 1))
        self._table = as_float((np.arange(256) / 255) ** PANEL_GAMMA)
        self._kept: dict[int, tuple[Frame, FloatImage]] = {}
        edge = 2 * (self.bezel + 1)
        self._blank = np.zeros((self.height + edge, self.width + edge, 3), np.float32)
        self._blank[1:-1, 1:-1] = light * rng.choice((0.02, 0.04, 0.1, 0.5)) * rng.uniform(0.9, 1.1)
        self._screen(self._blank)[:] = self._black
        self.cover = np.zeros(self._blank.shape[:2], np.float32)
        self.cover[1:-1, 1:-1] = 1
        unit = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
        self.corners = unit * self.cover.shape[::-1] / self.width

    def _screen(self, texture: FloatImage) -> FloatImage:
        edge = self.bezel + 1
        return texture[edge:-edge, edge:-edge]

    def light(self, frame: Frame) -> FloatImage:
        """A film frame -> linear light of the television, float32 (cover's shape, 3).

        Kept for the two or three phone frames that see the same film frame.
        """
        if id(frame) in self._kept:
            return self._kept[id(frame)][1]
        left, top, width, height = self._rect
        method = cv2.INTER_AREA if frame.image.shape[1] > width else cv2.INTER_LINEAR
        linear = cv2.LUT(cv2.resize(frame.image, (width, height), interpolation=method), self._table)
        shown = cv2.multiply(linear, np.array((*(self._white * (1 - self._black)), 0.0)))
        texture = self._blank.copy()
        self._screen(texture)[top : top + height, left : left + width] += as_float(shown)
        self._kept = {**dict(list(self._kept.items())[-3:]), id(frame): (frame, texture)}
        return texture

    def texels(self, plane: list[FloatImage]) -> list[FloatImage]:
        """Plane coordinates -> texture coordinates as OpenCV counts them, centre of the first texel at 0."""
        height, width = self.cover.shape
        return [plane[0] * self.width + (width - 1) / 2, plane[1] * self.width + (height - 1) / 2]


class SubPixels:
    """The panel's sub-pixel grid: three colour stripes a pixel in a black matrix.

    columns: pixels across the panel. contrast: 0 none .. 1 bare stripes. sigma: the lens's blur, in pixels.
    """

    def __init__(self, columns: int, contrast: float, sigma: float) -> None:
        self._columns, self._grid = columns, _grid_tables(contrast, sigma)

    def seen(self, plane: list[FloatImage]) -> FloatImage:
        """What each camera pixel integrates of the sub-pixel pattern, (h, w, 3), mean 1; 1 off the panel.

        plane: x and y of each camera pixel on the panel's plane. Each takes the pattern's integral
        over its photosite, blurred by the lens; moire follows from this sampling.
        """
        outside = (np.abs(plane[0]) > 0.5) | (np.abs(plane[1]) > PANEL_ASPECT / 2)
        across, down = (plane[0] + 0.5) * self._columns, (plane[1] + PANEL_ASPECT / 2) * self._columns
        tables = []
        for table, place in zip(self._grid, (across, down), strict=True):
            pitch = _pitch(place) * (1 / GRID_STEP)
            phase = (place - np.floor(place)) * (table.shape[1] - 1)
            phase[outside] = -9
            one = (1.0, 1.0, 1.0, 1.0)
            tables.append(cv2.remap(table, phase, pitch, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, one))
        return as_float(cv2.multiply(tables[0], cv2.merge([tables[1]] * 3)))


def _pitch(place: FloatImage) -> FloatImage:
    """Panel pixels that a step of one camera pixel covers, (h, w), smooth; at most GRID_WIDEST."""
    height, width = place.shape
    coarse = place[:: max(1, height // 12), :: max(1, width // 16)]
    if min(coarse.shape) < 2:
        return np.full(place.shape, GRID_WIDEST, np.float32)
    rows, columns = np.gradient(coarse, max(1, height // 12), max(1, width // 16))
    steps = np.minimum(np.hypot(rows, columns), GRID_WIDEST - GRID_STEP)
    return as_float(cv2.resize(as_float(steps), (width, height), interpolation=cv2.INTER_LINEAR))


def _grid_tables(contrast: float, sigma: float) -> tuple[FloatImage, FloatImage]:
    """The pattern across (pitches, phases, 3 colours) and down (pitches, phases), as a camera pixel sees it.

    By Fourier series: harmonic n of a stripe of width d loses sinc(n w a) to a photosite of a pitches and
    exp(-2 (pi n w sigma)^2) to the lens, where w is the panel pixels a camera pixel.
    """
    pitch = np.arange(0, GRID_WIDEST + GRID_STEP, GRID_STEP)[:, None]
    phase = np.linspace(0, 1, 65)[None]

    def stripes(middle: float, duty: float) -> FloatImage:
        total = np.ones((len(pitch), phase.shape[1]))
        for n in range(1, GRID_HARMONICS + 1):
            loss = np.sinc(n * pitch * PHOTOSITE) * np.exp(-2 * (np.pi * n * pitch * sigma) ** 2)
            total += 2 * contrast * np.sinc(n * duty) * loss * np.cos(2 * np.pi * n * (phase - middle))
        return as_float(total)

    across = np.stack([stripes(middle, 0.27) for middle in (1 / 6, 3 / 6, 5 / 6)], axis=2)
    return as_float(across), stripes(0.5, 0.85)


@dataclass(frozen=True)
class Shown:
    """A film frame and when it is lit on the display, [since, until) in phone seconds."""

    frame: Frame
    since: float
    until: float


class Player:
    """A film playing on a 60 Hz display: at each refresh the latest frame whose time has come."""

    def __init__(self, frames: Iterable[Frame], start_seconds: float, speed: float, phase: float) -> None:
        self._source = iter(frames)
        self._start, self._speed, self._phase = start_seconds, speed, phase
        self._lit: deque[tuple[Frame, float]] = deque()
        self._gap, self._ended = 1 / 24, False
        self._pull()
        if not self._lit:
            raise ValueError("there are no film frames to show")

    def _pull(self) -> None:
        frame = next(self._source, None)
        if frame is None:
            self._ended = True
            return
        due = (frame.pts_seconds - self._start) / self._speed
        lit = np.ceil((due - self._phase) * REFRESH_HZ - 1e-6) / REFRESH_HZ + self._phase
        if self._lit:
            self._gap = max(1e-3, (frame.pts_seconds - self._lit[-1][0].pts_seconds) / self._speed)
        if due <= 0:
            self._lit.clear()
        self._lit.append((frame, float(lit) if due > 0 else -np.inf))

    def shown(self, since: float, until: float) -> list[Shown]:
        """What is lit during the span, in order; the last frame stays on after the film's end."""
        while not self._ended and self._lit[-1][1] <= until:
            self._pull()
        while len(self._lit) > 1 and self._lit[1][1] <= since:
            self._lit.popleft()
        ends = [*[lit for _, lit in self._lit][1:], np.inf]
        found = [Shown(f, lit, end) for (f, lit), end in zip(self._lit, ends, strict=True) if lit < until]
        return found or [Shown(self._lit[0][0], -np.inf, np.inf)]

    def over(self, moment: float) -> bool:
        """Whether the last frame has been on for the length of a frame."""
        last, lit = self._lit[-1]
        start = lit if np.isfinite(lit) else (last.pts_seconds - self._start) / self._speed
        return self._ended and moment >= start + self._gap


class Lens:
    """Pixels to rays and back: a pinhole with radial distortion 1 + k1 r^2."""

    def __init__(self, width: int, height: int, view_degrees: float, k1: float) -> None:
        self.focal = width / (2 * np.tan(np.radians(view_degrees) / 2))  # pixels
        self.k1, self.middle = k1, np.array((width / 2, height / 2))
        self.x, self.y = self.rays(width, height, 0)  # (H, W) each

    def rays(self, width: int, height: int, margin: int) -> tuple[FloatImage, FloatImage]:
        """x and y of the ray (x, y, 1) of every pixel, float32 (height + 2 margin, width + 2 margin) each."""
        dx = ((np.arange(-margin, width + margin) + 0.5) - self.middle[0]) / self.focal
        dy = ((np.arange(-margin, height + margin) + 0.5) - self.middle[1]) / self.focal
        seen = dx[None] ** 2 + dy[:, None] ** 2
        scale = np.ones_like(seen)
        for _ in range(12):  # fixed point of r = r' / (1 + k1 r^2)
            scale = 1 / (1 + self.k1 * seen * scale**2)
        return as_float(dx[None] * scale), as_float(dy[:, None] * scale)

    def project(self, directions: Array) -> Array:
        """Directions (N, 3) -> pixels (N, 2)."""
        flat = directions[:, :2] / directions[:, 2:]
        bent = flat * (1 + self.k1 * (flat**2).sum(axis=1, keepdims=True))
        return np.asarray(bent * self.focal + self.middle, float)
