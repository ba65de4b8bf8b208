"""Simulated pictures of screens in rooms, and of rooms without one, with the truth: training of the screen detector.

Drawn fast rather than exactly (a few milliseconds a picture): light is linear, surfaces are flat, a picture is
composed back to front. `edge.virtual_phone` is another, slower and independent simulation, and checks this one.
"""

# H and W picture size in pixels

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from export.panels import Light, black, desktop, film_box, glare, moire, overlay, screen_box, slide, tint
from pipeline.frames import RgbImage

Quad = npt.NDArray[np.float64]  # (4, 2), x and y, clockwise from top left
GAMMA = 2.2
PANEL_ASPECTS = (*(16 / 9,) * 6, *(16 / 10,) * 2, 4 / 3, 4 / 3, 21 / 9, 1.0, 3 / 4, 9 / 16, 9 / 19.5)
REAL_SHARE = 0.3  # of the scenes that are made of a real photograph of a screen, where there are any
SLIDE_SHARE = 0.18  # of what screens show
LEAST_IN_VIEW = 0.45  # of the film's picture; less is no screen to find
LEAST_WIDTH = 0.12  # of the picture's width, or of its height, that the film's takes up
TEXTURE_MARGIN = 0.1  # of the panel's width, round it in its texture: bezel and shadow


@dataclass(frozen=True)
class SceneSources:
    """What scenes are made of, each a list of uint8 (h, w, 3) RGB pictures of any size.

    films: what screens show. rooms: photographs without a screen.
    televisions, corners: photographs of televisions and where the film's picture is in each, (4, 2) pixels.
    photos, photo_corners: the same of other screens, of computers and phones.
    """

    films: Sequence[RgbImage] = field(repr=False)
    rooms: Sequence[RgbImage] = field(repr=False)
    televisions: Sequence[RgbImage] = field(default=(), repr=False)
    corners: Sequence[Quad] = field(default=(), repr=False)
    photos: Sequence[RgbImage] = field(default=(), repr=False)
    photo_corners: Sequence[Quad] = field(default=(), repr=False)

    def real_screen(self, rng: np.random.Generator) -> tuple[RgbImage, Quad]:
        """A photograph of a television, or as often of another screen, and its corners."""
        televisions = bool(self.televisions) and (not self.photos or rng.random() < 0.5)
        pictures, quads = (self.televisions, self.corners) if televisions else (self.photos, self.photo_corners)
        which = int(rng.integers(len(pictures)))
        return pictures[which], quads[which]


@dataclass(frozen=True)
class Scene:
    """image: uint8 (H, W, 3) RGB. screen: (4, 2) pixels, clockwise from top left, see `screen_box`; None for none."""

    image: RgbImage = field(repr=False)
    screen: Quad | None


class SceneMaker:
    """Draws scenes at random. size: (H, W) of the pictures, pixels. difficulty: 0 clean .. 1 as bad as phones get."""

    def __init__(self, sources: SceneSources, rng: np.random.Generator, difficulty: float = 1.0) -> None:
        self._sources = sources
        self._rng = rng
        self._difficulty = difficulty

    def draw(self, size: tuple[int, int]) -> Scene:
        """One scene: a simulated room with a screen, a real screen with its own or another film, or no screen."""
        rng, kind = self._rng, self._rng.random()
        if (self._sources.televisions or self._sources.photos) and kind < REAL_SHARE:
            scene = self._real(size)
            if scene is not None:
                return scene
        if kind > 0.82:
            return Scene(self._develop(self._room(size), None), None)
        quad = screen_quad(rng, size)
        room = self._room(size)
        screen = self._screen(room, quad)
        return Scene(self._develop(room, screen), screen)

    def _film(self) -> RgbImage:
        """What a screen shows: a picture, now and then a slide, whose own straight lines are not the screen's."""
        picture = _pick(self._rng, self._sources.films)
        return slide(self._rng, picture) if self._rng.random() < SLIDE_SHARE else picture

    def _room(self, size: tuple[int, int]) -> Light:
        """Surroundings under their own light, with decoys: pictures, windows, doors, screens that are off."""
        rng = self._rng
        kind = rng.random()
        if kind < 0.75 and self._sources.rooms:
            room = _linear(_random_crop(rng, _pick(rng, self._sources.rooms), size))
        elif kind < 0.85:
            room = _linear(_random_crop(rng, _pick(rng, self._sources.films), size))
        else:
            room = _plain_wall(rng, size)
        for _ in range(int(rng.integers(0, 4)) if rng.random() < 0.6 else 0):
            self._decoy(room)
        room *= np.float32(np.exp(rng.uniform(np.log(0.01), np.log(1.0)))) * tint(rng, 0.25)
        return room

    def _decoy(self, room: Light) -> None:
        """Something flat with four sides that is no screen, painted into the room."""
        rng, size = self._rng, room.shape[:2]
        quad = screen_quad(rng, size, widths=(0.08, 0.5), tilt=35.0, in_view=0.2)
        kind = rng.integers(5)
        if kind == 0:  # a framed picture: paper, darker and flatter than a screen, often in a mount
            art = _linear(_random_crop(rng, _pick(rng, self._sources.films), (96, 128)))
            face = art * np.float32(rng.uniform(0.3, 0.8)) + np.float32(rng.uniform(0, 0.12))
            mount = int(rng.integers(0, 14))
            face = _bordered(face, (mount,) * 4, (0.7,) * 3)
            edge, color = int(rng.integers(2, 10)), rng.uniform(0.01, 0.6) * tint(rng, 0.4)
            face = _bordered(face, (edge,) * 4, color.tolist())
        elif kind == 1:  # a window: bright and smooth, with bars
            face = np.ones((96, 96, 3), np.float32) * np.linspace(1, rng.uniform(0.4, 1.2), 96)[:, None, None]
            face = face * np.float32(rng.uniform(0.8, 5)) * tint(rng, 0.15)
            for bar in rng.integers(1, 95, rng.integers(0, 4)):
                face[:, bar : bar + 3] = rng.uniform(0.2, 0.9)
                face[int(bar) : int(bar) + 3] = rng.uniform(0.2, 0.9)
        elif kind == 2:  # a screen that is off, a mirror, a black board: dark with a weak reflection
            face = _linear(_random_crop(rng, _pick(rng, self._sources.rooms or self._sources.films), (96, 128)))
            dim = np.asarray(cv2.GaussianBlur(face, (0, 0), 3), np.float32)
            face = dim * np.float32(rng.uniform(0, 0.15)) + np.float32(0.004)
        elif kind == 3:  # a door, a cupboard, a sheet: one tone
            face = np.full((96, 96, 3), rng.uniform(0.02, 1.0), np.float32) * tint(rng, 0.4)
            face += np.float32(0.03) * rng.standard_normal(face.shape, np.float32)
        else:  # shelves: stripes of many colours
            shades = rng.uniform(0.02, 0.8, (4, 24, 3)).astype(np.float32)
            face = np.asarray(cv2.resize(shades, (128, 96), interpolation=cv2.INTER_NEAREST), np.float32)
        _paint(room, np.ascontiguousarray(face, np.float32), quad)

    def _screen(self, room: Light, quad: Quad) -> Quad:
        """Puts a lit screen of this outline into the room, in place; returns its corners, see `screen_box`."""
        rng = self._rng
        film = self._film()
        projector = rng.random() < 0.12
        width = int(np.clip(np.linalg.norm(quad[1] - quad[0]) * 1.3, 32, 420))
        aspect = _aspect_of(quad)
        panel = np.zeros((max(int(width / aspect), 16), width, 3), np.float32)
        whole = np.array([width, len(panel), width, len(panel)])
        box, windowed = film_box(rng, panel.shape[:2], windows=not projector)
        if not _can_be_found(_inside(quad, np.array(box) / whole), room.shape[:2]):
            box, windowed = (0, 0, width, len(panel)), False
        x0, y0, x1, y1 = box
        if windowed:
            desktop(rng, panel, box, *(_linear(_pick(rng, self._sources.films)) for _ in range(2)))
        picture = _linear(_shrunk(_zoomed(rng, film), (x1 - x0, y1 - y0)))
        picture **= np.float32(np.exp(rng.normal(0, 0.25)))
        panel[y0:y1, x0:x1] = picture
        if rng.random() < 0.35:
            overlay(rng, panel[y0:y1, x0:x1])
        panel *= np.float32(np.exp(rng.uniform(np.log(0.25), np.log(1.6)))) * tint(rng, 0.12)
        dark = black(rng, panel.shape[:2])
        panel += dark
        if rng.random() < 0.4:
            glare(rng, panel)
        if rng.random() < 0.4:
            moire(rng, panel)
        if projector:
            lit = np.ascontiguousarray(panel)
            _paint(room, lit, quad, added=True)
        else:
            _paint(room, *_with_bezel(rng, panel, quad))
        if not projector and rng.random() < 0.35:
            _stand(rng, room, quad)
        room += np.array(cv2.mean(panel)[:3]) * np.float32(rng.uniform(0, 0.08))  # its light on the walls
        return _inside(quad, np.array(screen_box(box, dark, windowed or projector)) / whole)

    def _real(self, size: tuple[int, int]) -> Scene | None:
        """A real photograph, moved and zoomed; in two of three its screen shows another film."""
        rng = self._rng
        photo, corners = self._sources.real_screen(rng)
        light = _linear(photo)
        if rng.random() < 0.65:
            film = _linear(_zoomed(rng, self._film()))
            film *= np.float32(np.exp(rng.uniform(np.log(0.3), np.log(1.2)))) * tint(rng, 0.15)
            side = int(np.clip(np.linalg.norm(corners[1] - corners[0]) * 1.2, 32, 400))
            panel = np.zeros((max(int(side / _aspect_of(corners)), 16), side, 3), np.float32)
            x0, y0, x1, y1 = box = film_box(rng, panel.shape[:2], windows=False)[0]
            panel[y0:y1, x0:x1] = cv2.resize(film, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
            panel += (dark := black(rng, panel.shape[:2]))
            middle = corners.mean(0)
            grown = middle + (corners - middle) * 1.012  # over what the old picture leaves at its edge
            _paint(light, panel, grown)
            found = screen_box(box, dark)
            corners = _inside(corners, np.array(found) / np.array([side, len(panel), side, len(panel)]))
        for _ in range(8):
            warp = _random_view(rng, photo.shape[:2], corners, size)
            screen = cv2.perspectiveTransform(corners[None], warp)[0]
            if _can_be_found(screen, size):
                break
        else:
            return None
        view = cv2.warpPerspective(light, warp, size[::-1], flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        if rng.random() < 0.5:
            view, screen = view[:, ::-1], screen[[1, 0, 3, 2]] * (-1, 1) + (size[1], 0)
        view = np.ascontiguousarray(view) * tint(rng, 0.2)
        return Scene(self._develop(view, screen), screen)

    def _develop(self, light: Light, screen: Quad | None) -> RgbImage:
        """Things in the way, lens, exposure, sensor and compression."""
        rng, hard = self._rng, self._difficulty
        if rng.random() < 0.3 * hard:
            _occlude(rng, light, screen)
        if rng.random() < 0.5:
            veil = cv2.GaussianBlur(
                cv2.resize(light, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA), (0, 0), 3
            )
            share = np.float32(rng.uniform(0, 0.15) * hard)
            light = light * (1 - share) + cv2.resize(veil, light.shape[1::-1]) * share
        if rng.random() < 0.6 * hard:
            light = _blur(rng, light)
        level = np.quantile(light.mean(axis=2), rng.uniform(0.8, 0.99)) + 1e-3
        light = light * np.float32(rng.uniform(0.5, 1.5) / level * rng.uniform(0.3, 1.0))
        if rng.random() < 0.3 * hard:
            rows = np.arange(len(light), dtype=np.float32)[:, None, None] / len(light)
            light = light * (
                1 + np.float32(rng.uniform(0, 0.3)) * np.sin(rows * rng.uniform(3, 40) + rng.uniform(0, 6))
            )
        light += rng.standard_normal(light.shape, np.float32) * np.float32(rng.uniform(0, 0.02) ** 1.2 * hard)
        tone = np.clip(light, 0, 1) ** np.float32(1 / GAMMA * np.exp(rng.normal(0, 0.15)))
        tone += rng.standard_normal(tone.shape, np.float32) * np.float32(rng.uniform(0, 0.05) * hard)
        image = np.clip(tone * 255, 0, 255).astype(np.uint8)
        if rng.random() < 0.5:
            quality = int(rng.integers(20, 90))
            image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
        return np.asarray(image, np.uint8)


def screen_quad(
    rng: np.random.Generator,
    size: tuple[int, int],
    widths: tuple[float, float] = (0.22, 1.35),
    tilt: float = 48.0,
    in_view: float = LEAST_IN_VIEW,
) -> Quad:
    """Corners of a flat screen before a pinhole camera, (4, 2) pixels, clockwise from its top left.

    widths: of its outline, of the picture's width, or of its height for an upright one.
    tilt: degrees, at most, between its normal and the line of sight.
    in_view: least share of it inside the picture.
    """
    height, width = size
    for _ in range(40):
        aspect = PANEL_ASPECTS[int(rng.integers(len(PANEL_ASPECTS)))]
        flat = np.array([[-1, -1 / aspect], [1, -1 / aspect], [1, 1 / aspect], [-1, 1 / aspect]]) / 2
        yaw = np.radians(rng.uniform(-1, 1) * tilt * rng.choice((0.25, 1.0)))
        pitch = np.radians(rng.normal(0, 8)) * min(tilt / 20, 1.5)
        roll = np.radians(rng.normal(0, 5 if rng.random() < 0.85 else 14))
        turn = np.asarray(cv2.Rodrigues(np.array([pitch, 0, 0]))[0] @ cv2.Rodrigues(np.array([0, yaw, 0]))[0])
        space = np.column_stack([flat, np.zeros(4)]) @ turn.T
        focal = 0.5 / np.tan(np.radians(rng.uniform(40, 75)) / 2)
        wanted = np.exp(rng.uniform(*np.log(widths)))
        distance = 1.0
        for _ in range(6):
            seen = focal * space[:, :2] / np.maximum(space[:, 2:] + distance, 0.05)
            distance *= (np.ptp(seen[:, 0]) if aspect >= 1 else np.ptp(seen[:, 1]) * width / height) / wanted
        if distance < 0.6:
            continue
        seen = seen @ np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]]) * width
        quad = seen - seen.mean(0) + rng.uniform(0, 1, 2) * (width, height)
        if wanted > 0.7:  # a large screen is aimed at
            quad = seen - seen.mean(0) + (0.5 + rng.normal(0, 0.12, 2)) * (width, height)
        if _share_in_view(quad, size) >= in_view and cv2.isContourConvex(quad.astype(np.float32)):
            return np.asarray(quad, np.float64)
    inset = np.array([[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]])
    return inset * (width, height)


def _share_in_view(quad: Quad, size: tuple[int, int]) -> float:
    height, width = size
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    area = abs(cv2.contourArea(quad.astype(np.float32)))
    if area < 1:
        return 0.0
    return float(cv2.intersectConvexConvex(quad.astype(np.float32), frame)[0]) / area


def _can_be_found(quad: Quad, size: tuple[int, int]) -> bool:
    """Whether enough of it is in view, and it is not too small."""
    large = np.ptp(quad[:, 0]) > LEAST_WIDTH * size[1] or np.ptp(quad[:, 1]) > LEAST_WIDTH * size[0]
    return bool(large) and _share_in_view(quad, size) > LEAST_IN_VIEW


def _aspect_of(quad: Quad) -> float:
    across = np.linalg.norm(quad[1] - quad[0]) + np.linalg.norm(quad[2] - quad[3])
    down = np.linalg.norm(quad[3] - quad[0]) + np.linalg.norm(quad[2] - quad[1])
    return float(np.clip(float(across) / max(float(down), 1.0), 0.4, 3))


def _inside(quad: Quad, box: npt.NDArray[np.float64]) -> Quad:
    """The corners of a box of the unit square, x0, y0, x1, y1, where the unit square is seen as `quad`."""
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    warp = cv2.getPerspectiveTransform(unit, quad.astype(np.float32))
    x0, y0, x1, y1 = box
    places = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return np.asarray(cv2.perspectiveTransform(places[None], warp)[0], np.float64)


def _paint(room: Light, face: Light, quad: Quad, alpha: Light | None = None, added: bool = False) -> None:
    """Paints a flat face into the room, in place, its corners at `quad`; `added`: as light on what is there."""
    height, width = face.shape[:2]
    edges = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
    warp = cv2.getPerspectiveTransform(edges, (quad - 0.5).astype(np.float32))
    size = room.shape[1::-1]
    seen = cv2.warpPerspective(face, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    solid = np.ones((height, width), np.float32) if alpha is None else alpha
    cover = cv2.warpPerspective(solid, warp, size, flags=cv2.INTER_LINEAR)[..., None]
    room *= 1 - cover if not added else np.float32(1)
    room += seen * cover


def _with_bezel(rng: np.random.Generator, panel: Light, quad: Quad) -> tuple[Light, Quad, Light]:
    """The panel in its bezel: face, corners of the face, and how opaque it is."""
    height, width = panel.shape[:2]
    thin = rng.uniform(0, 0.015) if rng.random() < 0.4 else rng.uniform(0.01, 0.07)
    left = right = top = round(thin * width)
    bottom = round((thin if rng.random() < 0.5 else rng.uniform(0, 0.12)) * width)
    shade = rng.uniform(0.002, 0.03) if rng.random() < 0.6 else rng.uniform(0.03, 0.7)
    color = (shade * tint(rng, 0.15)).tolist()
    face = _bordered(panel, (top, bottom, left, right), color)
    box = np.array([-left / width, -top / height, 1 + right / width, 1 + bottom / height])
    return face, _inside(quad, box), np.ones(face.shape[:2], np.float32)


def _bordered(face: Light, widths: Sequence[int], color: Sequence[float]) -> Light:
    """The face in a frame of one colour. widths: at top, bottom, left and right, pixels."""
    top, bottom, left, right = widths
    return np.asarray(cv2.copyMakeBorder(face, top, bottom, left, right, cv2.BORDER_CONSTANT, value=color), np.float32)


def _stand(rng: np.random.Generator, room: Light, quad: Quad) -> None:
    """What is below a screen: a laptop's keyboard, a stand, a sideboard."""
    drop, spread = rng.uniform(0.05, 0.7), rng.uniform(-0.35, 0.2)
    below = _inside(quad, np.array([-spread / 2, 1.03, 1 + spread / 2, 1.03 + drop]))
    tone = rng.uniform(0.005, 0.5) * tint(rng, 0.15)
    face = np.ones((24, 32, 3), np.float32) * tone
    if rng.random() < 0.5:
        face *= np.float32(1) + np.float32(0.5) * rng.standard_normal((24, 32, 1), np.float32).clip(-1, 1)
    _paint(room, face.astype(np.float32), below)


def _occlude(rng: np.random.Generator, light: Light, screen: Quad | None) -> None:
    """Heads, hands, plants before the screen or elsewhere, in place."""
    height, width = light.shape[:2]
    mask = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        if screen is not None and rng.random() < 0.7:
            along = rng.uniform(0, 1)
            side = int(rng.choice((2, 2, 0, 1, 3)))
            place = screen[side] * (1 - along) + screen[(side + 1) % 4] * along
        else:
            place = rng.uniform(0, 1, 2) * (width, height)
        radius = rng.uniform(0.03, 0.13) * width
        if rng.random() < 0.6:  # a head on its shoulders
            middle = (int(place[0]), int(place[1]))
            cv2.ellipse(mask, middle, (int(radius), int(radius * 1.3)), 0, 0, 360, 1.0, -1)
            shoulders = (middle[0], middle[1] + int(radius * 2.6))
            cv2.ellipse(mask, shoulders, (int(radius * 2.4), int(radius * 1.5)), 0, 0, 360, 1.0, -1)
        else:  # fingers, leaves, furniture
            points = place + rng.normal(0, radius, (int(rng.integers(3, 7)), 2))
            cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.float32)).astype(np.int32), 1.0)
    cover = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.3, 2.0))[..., None]
    tone = float(np.exp(rng.uniform(np.log(0.002), np.log(0.4)))) * float(light.mean() * 2 + 0.01) * tint(rng, 0.3)
    grain = 1 + 0.2 * cv2.resize(rng.standard_normal((8, 8), np.float32), (width, height))[..., None]
    light *= 1 - cover
    light += cover * tone * grain


def _blur(rng: np.random.Generator, light: Light) -> Light:
    """Defocus or a moving hand; sigma up to 1 % of the width."""
    size = light.shape[1] * rng.uniform(0, 0.008) ** 1.0
    if rng.random() < 0.6:
        return np.asarray(cv2.GaussianBlur(light, (0, 0), max(size, 0.2)), np.float32)
    length = max(int(size * 3), 1)
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length
    start, stop = (length - reach).round().astype(int), (length + reach).round().astype(int)
    cv2.line(kernel, start.tolist(), stop.tolist(), 1.0)
    return np.asarray(cv2.filter2D(light, -1, kernel / kernel.sum()), np.float32)


def _random_view(rng: np.random.Generator, photo: tuple[int, ...], corners: Quad, size: tuple[int, int]) -> Quad:
    """A projective map, (3, 3), from a photograph to a picture of `size` that shows the screen at a random scale."""
    height, width = size
    wanted = np.exp(rng.uniform(np.log(0.22), np.log(1.2))) * width
    extent = max(np.ptp(corners[:, 0]), np.ptp(corners[:, 1]) * width / height)
    scale = max(wanted / max(extent, 1), 0.7 * width / photo[1])
    middle = corners.mean(0)
    target = np.array([width, height]) * (0.5 + rng.uniform(-0.35, 0.35, 2) * min(1.0, 0.6 * width / wanted))
    if scale <= 0.75 * width / photo[1]:  # the whole photograph, as it is
        target = middle * scale
    unit = np.array([[0, 0], [photo[1], 0], [photo[1], photo[0]], [0, photo[0]]], np.float64)
    moved = (unit - middle) * scale
    roll = np.radians(rng.normal(0, 4))
    moved = moved @ np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]]) + target
    moved += rng.normal(0, 0.04, (4, 2)) * scale * photo[1]
    return np.asarray(cv2.getPerspectiveTransform(unit.astype(np.float32), moved.astype(np.float32)), np.float64)


def _random_crop(rng: np.random.Generator, image: RgbImage, size: tuple[int, int]) -> RgbImage:
    """A part of the picture with the aspect of `size`, scaled to it, perhaps mirrored."""
    height, width = image.shape[:2]
    scale = min(height / size[0], width / size[1]) * rng.uniform(0.5, 1.0)
    h, w = max(int(size[0] * scale), 2), max(int(size[1] * scale), 2)
    y, x = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    part = image[y : y + h, x : x + w]
    shown = cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR)
    return np.asarray(shown[:, ::-1] if rng.random() < 0.5 else shown, np.uint8)


def _shrunk(image: RgbImage, size: tuple[int, int]) -> RgbImage:
    """The picture at a width and height in pixels."""
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _zoomed(rng: np.random.Generator, film: RgbImage) -> RgbImage:
    """The film's frame, or a part of it, perhaps mirrored: more variety from the same frames."""
    if rng.random() < 0.4:
        height, width = film.shape[:2]
        share = rng.uniform(0.5, 1)
        y, x = (int(rng.uniform(0, side * (1 - share))) for side in (height, width))
        film = film[y : y + int(height * share), x : x + int(width * share)]
    return np.ascontiguousarray(film[:, ::-1]) if rng.random() < 0.5 else film


def _plain_wall(rng: np.random.Generator, size: tuple[int, int]) -> Light:
    """A painted wall with uneven light, perhaps a floor."""
    coarse = rng.uniform(0.4, 1.0, (3, 4, 1)).astype(np.float32) * rng.uniform(0.05, 0.9, 3).astype(np.float32)
    wall = np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), np.float32).clip(0.005)
    if rng.random() < 0.5:
        wall[int(size[0] * rng.uniform(0.6, 0.95)) :] *= rng.uniform(0.1, 1.5, 3).astype(np.float32)
    return wall


def _pick(rng: np.random.Generator, pictures: Sequence[RgbImage]) -> RgbImage:
    return pictures[int(rng.integers(len(pictures)))]


_LINEAR = ((np.arange(256) / 255) ** GAMMA).astype(np.float32)


def _linear(image: RgbImage) -> Light:
    return _LINEAR[image]
