"""A virtual phone: films a film that plays on a screen in a room, with the truth of what it filmed.

The light's way, in this order: film -> display (refresh) -> panel (gamma, black, viewing angle, pixels) ->
room and reflections -> hand -> lens -> rolling shutter -> exposure -> sensor -> 8 bits -> H.264.
Places in the phone's picture are pixels with (0, 0) at the outer edge of the first one. Light is linear; 1 is
the panel's white. Everything follows from the seed.
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import count
from pathlib import Path

import av
import cv2
import numpy as np

from edge import rooms
from edge.rooms import PANEL_CORNERS, Array, Box, FloatImage, Lens, as_float
from pipeline.errors import MediaError
from pipeline.frames import Frame, RgbImage

Range = tuple[float, float]

CLIP_WIDTH, CLIP_HEIGHT = 854, 480  # pixels: a clip as phones send it on
REFERENCE_WIDTH = 1280  # pixels: blurs are given at this picture width and scale with it
ROOM_MARGIN = 0.15  # of the picture, drawn beyond each of its edges so that the hand may move
LENS_SIGMA = 0.12  # pixels: blur of a focused lens before the sensor samples
MAINS_HZ = 100.0  # lamps flicker at twice the 50 Hz of the mains
GLOW = 0.06  # of the screen's mean light, what the room sends back
METERED_LEVEL = 0.22  # linear: the auto exposure brings the metered mean here
METERED_HIGHLIGHT = 1.2  # nor may the brightest fiftieth pass this; the sensor clips at 1
MOST_STOPS = 3.4  # of gain
EXPOSURE_LAG_SECONDS = 0.5
VIDEO_CLOCK_HZ = 90_000


@dataclass(frozen=True)
class PhoneSettings:
    """How the phone films. Pairs are ranges from which the seed draws.

    Raises ValueError for an odd or tiny picture, which H.264 cannot hold.
    """

    width: int = 1280
    height: int = 720
    fps: float = 30.0
    fill: Range = (0.7, 0.9)  # width of the panel's outline, of the picture's width
    tilt_degrees: Range = (0.0, 8.0)  # between the panel's normal and the line of sight
    roll_degrees: float = 2.0  # at most, either way
    aim: float = 0.5  # how far off the middle, of the free room beside the screen; over 1 leaves the view
    shake: float = 0.4  # 1: a standing hand, drifting by about half a degree with a tremor of 8 to 12 Hz
    exposure_seconds: Range = (1 / 120, 1 / 60)
    readout_seconds: float = 0.018  # of the rolling shutter, first to last line
    defocus_pixels: Range = (0.0, 0.4)  # sigma at 1280 wide, more often near the first
    distortion: float = 0.02  # at most, radial k1, either sign
    panel_columns: int = 1366
    grid: float = 0.35  # contrast of the sub-pixels, 0 none .. 1 bare stripes
    glare: Range = (0.0, 0.03)  # brightest reflection, of the panel's white
    room_light: Range = (0.06, 0.4)  # a white wall, of the panel's white
    exposure_stops: float = 0.3  # exposure wrong by at most this, either way
    auto_exposure: bool = True
    cast: float = 0.06  # white balance error of red and blue, at most
    contrast: float = 0.25  # of the tone curve, 0 none .. 1 a full S
    noise: float = 0.6  # 1: 1.4 % shot noise at white without gain
    flicker: float = 0.02  # depth of backlight and lamp flicker
    bloom: float = 0.02  # share of the light that the lens scatters
    vignette: float = 0.35  # 1 / (1 + this tan^2) of the light is lost off the axis
    heads: Range = (0.0, 0.0)  # of the panel's height, hidden by heads
    sharpening: float = 0.4
    bits_per_pixel: float = 0.25  # of the H.264 stream

    def __post_init__(self) -> None:
        if self.width < 32 or self.height < 32 or self.width % 2 or self.height % 2:
            raise ValueError(f"the picture's sides must be even and over 31, got {self.width}x{self.height}")


EASY = PhoneSettings()
# fmt: off
HARD = PhoneSettings(
    fill=(0.45, 0.75), tilt_degrees=(12, 29), roll_degrees=6, aim=0.8, shake=1.5,
    exposure_seconds=(1 / 100, 1 / 40),
    readout_seconds=0.022, defocus_pixels=(0.05, 1.3), distortion=0.04, grid=0.6, glare=(0.08, 0.3),
    room_light=(0.02, 0.6), exposure_stops=0.8, cast=0.15, contrast=0.4, noise=1.5, flicker=0.08, bloom=0.06,
    bits_per_pixel=0.1,
)
SEVERE = PhoneSettings(
    fill=(0.3, 0.55), tilt_degrees=(28, 45), roll_degrees=14, aim=1.25, shake=2.5,
    exposure_seconds=(1 / 60, 1 / 30),
    readout_seconds=0.028, defocus_pixels=(0.4, 2.2), distortion=0.06, grid=0.8, glare=(0.3, 0.9),
    room_light=(0.008, 0.8), exposure_stops=1.2, cast=0.3, contrast=0.5, noise=2.5, flicker=0.2, bloom=0.12,
    heads=(0.1, 0.4), bits_per_pixel=0.045,
)
CLEAN = PhoneSettings(
    roll_degrees=0, aim=0, shake=0, exposure_seconds=(1e-4, 1e-4), readout_seconds=0, defocus_pixels=(0, 0),
    distortion=0, grid=0, glare=(0, 0), room_light=(0.2, 0.2), exposure_stops=0, auto_exposure=False, cast=0,
    contrast=0, noise=0, flicker=0, bloom=0, vignette=0, sharpening=0, bits_per_pixel=1.0,
)
# fmt: on
PRESETS = {"clean": CLEAN, "easy": EASY, "hard": HARD, "severe": SEVERE}


def preset(name: str, *, width: int = 1280, height: int = 720) -> PhoneSettings:
    """The settings called "clean" (geometry alone), "easy", "hard" or "severe", for a picture of that size.

    Raises ValueError for another name.
    """
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}, there are {', '.join(PRESETS)}")
    return replace(PRESETS[name], width=width, height=height)


PhoneTruth = tuple[FloatImage, float]  # screen and film_seconds of a PhoneFrame


@dataclass(frozen=True)
class PhoneFrame:
    """What the phone recorded at one moment, and the truth.

    image: uint8 (H, W, 3), RGB. pts_seconds: the phone's clock.
    screen: float32 (4, 2), corners of the film's picture, pixels, clockwise from the film's top left;
    they may lie outside the picture.
    film_seconds: pts of the film frame seen longest by the line through the screen's middle.
    """

    image: RgbImage = field(repr=False)
    pts_seconds: float
    screen: FloatImage
    film_seconds: float


class _Hand:
    """Shake as sums of sines, so that it is known at any moment: drift below 1.5 Hz, tremor at 8 to 12 Hz."""

    def __init__(self, rng: np.random.Generator, strength: float) -> None:
        drift = 0.1 * 15 ** rng.random((6, 5))  # Hz, (6 degrees of freedom, 5 waves), falling as 1 / f
        tremor = rng.uniform(8, 12, (6, 2))
        size: Array = np.array([[np.radians(0.5)]] * 3 + [[0.006]] * 3)  # radians; panel widths
        self._hz = np.hstack([drift, tremor])
        self._size = strength * np.hstack([size * np.minimum(1, 0.3 / drift), 0.05 * size * np.ones((6, 2))])
        self._phase = rng.uniform(0, 2 * np.pi, self._hz.shape)

    def at(self, seconds: float) -> tuple[Array, Array]:
        """Rotation (3, 3) and translation (3,) away from the aimed pose."""
        moves = (self._size * np.sin(2 * np.pi * self._hz * seconds + self._phase)).sum(axis=1)
        return _rotation(moves[0], moves[1], moves[2]), moves[3:]


def _rotation(pitch: float, yaw: float, roll: float) -> Array:
    """Rotation matrix (3, 3), radians: about x, then y, then z."""
    turns = [np.asarray(cv2.Rodrigues(a * np.eye(3)[k])[0]) for k, a in enumerate((pitch, yaw, roll))]
    return np.asarray(turns[2] @ turns[1] @ turns[0], float)


class _Camera:
    """Where the phone is and where it looks; the panel lies in the world's plane z = 0, its width 1."""

    def __init__(self, rng: np.random.Generator, settings: PhoneSettings) -> None:
        s = self._s = settings
        tilt = np.radians(rng.uniform(*s.tilt_degrees))
        bearing = rng.choice((0.0, np.pi)) + np.radians(rng.uniform(-28, 28))
        self.normal_cosine = float(np.cos(tilt))
        roll = np.radians(rng.uniform(-1, 1) * s.roll_degrees)
        fill, aim = rng.uniform(*s.fill), rng.uniform(-1, 1, 2) * s.aim
        k1 = float(rng.uniform(-1, 1) * s.distortion)
        self.lens = Lens(s.width, s.height, float(rng.uniform(46, 68)), k1)
        self._hand = _Hand(rng, s.shake)
        toward = np.array((np.sin(tilt) * np.cos(bearing), np.sin(tilt) * np.sin(bearing), -np.cos(tilt)))
        right = np.cross((0, 1.0, 0), -toward)
        right /= np.linalg.norm(right)
        level = np.stack([right, np.cross(-toward, right), -toward])
        self._eye, self._turn = toward, _rotation(0, 0, roll) @ level
        size = np.array((s.width, s.height))
        for _ in range(40):  # distance and aim until the outline has its width and place
            box = self.outline(PANEL_CORNERS)
            extent = box.max(0) - box.min(0)
            wanted = aim * np.maximum(size - extent, 0.1 * size) / 2
            middle = (box.max(0) + box.min(0)) / 2 - self.lens.middle
            pan = np.arctan(wanted / self.lens.focal) - np.arctan(middle / self.lens.focal)
            self._turn = _rotation(-pan[1], pan[0], 0) @ self._turn
            self._eye = self._eye * max(extent[0] / (fill * s.width), extent[1] / (0.97 * s.height)) ** 0.7

    def pose(self, seconds: float | None) -> tuple[Array, Array]:
        """World to camera (3, 3) and the eye (3,); as aimed, without the hand, where seconds is None."""
        if seconds is None:
            return self._turn, self._eye
        turn, move = self._hand.at(seconds)
        return turn @ self._turn, self._eye + move

    def plane_to_rays(self, seconds: float | None) -> Array:
        """(3, 3): (x, y, 1) of the panel's plane -> ray."""
        turn, eye = self.pose(seconds)
        return np.asarray(turn @ np.column_stack([[1, 0, 0], [0, 1, 0], -eye]), float)

    def outline(self, points: Array, start: float | None = None, exposure: float = 0.0) -> Array:
        """Points (N, 2) of the panel's plane -> pixels (N, 2), each at its own line's mid-exposure."""
        lifted = np.column_stack([points, np.ones(len(points))])
        places = self.lens.project(lifted @ self.plane_to_rays(start).T)
        if start is not None:
            top, rolled = self._shutter(start, exposure)
            for _ in range(6):  # a point is seen on the line which it is on when that line is exposed
                for i, y in enumerate(places[:, 1] / self._s.height):
                    places[i] = self.lens.project(lifted[i : i + 1] @ np.linalg.inv(top + rolled * y).T)[0]
        return places

    def _shutter(self, start: float, exposure: float) -> tuple[Array, Array]:
        """Ray -> panel's plane, (3, 3), of the top line, and what is added until the last."""
        ends = (start + exposure / 2, start + exposure / 2 + self._s.readout_seconds)
        top, last = (np.asarray(np.linalg.inv(self.plane_to_rays(moment)), float) for moment in ends)
        return top, last - top

    def rays_to_plane(self, start: float, exposure: float, box: Box) -> list[FloatImage]:
        """x and y in the panel's plane of each pixel of the box, line by line as the shutter rolls."""
        x0, y0, x1, y1 = box
        top, rolled = self._shutter(start, exposure)
        part = ((np.arange(y0, y1) + 0.5) / self._s.height)[:, None]
        g = [[as_float(top[i, j] + rolled[i, j] * part) for j in range(3)] for i in range(3)]
        xs, ys = self.lens.x[y0:y1, x0:x1], self.lens.y[y0:y1, x0:x1]
        x, y, depth = (row[0] * xs + row[1] * ys + row[2] for row in g)
        return [as_float(x / depth), as_float(y / depth)]


class VirtualPhone:
    """A phone held before one screen in one room, all drawn from the seed.

    room: uint8 (H, W, 3) RGB photograph to stand behind the screen; without one a room is drawn.
    """

    def __init__(self, settings: PhoneSettings, seed: int, room: RgbImage | None = None) -> None:
        s = self.settings = settings
        pose, look, light, air = np.random.default_rng(seed).spawn(4)
        self._seed = seed
        self._camera = _Camera(pose, s)
        self._exposure = float(light.uniform(*s.exposure_seconds))
        self._room_light = float(np.exp(light.uniform(*np.log(s.room_light))))
        self._errors = light.uniform(-1, 1, 2) * s.exposure_stops
        balance = 1 + s.cast * light.uniform(-1, 1, 3) * (1, 0.3, 1)
        warm = np.array((1.25, 1, 0.7)) if light.random() < 0.6 else np.array((0.95, 1, 1.05))
        self._lamp = warm if s.cast else np.ones(3)
        self._flicker = [(float(light.choice((120.0, 180.0, 240.0))), light.uniform(0, 6.3)), (MAINS_HZ, 0.0)]
        self._phase = float(light.uniform(0, 1 / rooms.REFRESH_HZ))
        focus = s.defocus_pixels[0] + np.ptp(s.defocus_pixels) * light.random() ** 2  # mostly nearly right
        self._defocus = float(focus) * s.width / REFERENCE_WIDTH
        self._glare = float(light.uniform(*s.glare)) * min(1.0, 0.25 + 2 * self._room_light)  # lamps lit
        height, width = s.height, s.width
        self._margin = round(ROOM_MARGIN * width)
        x, y = self._camera.lens.rays(width, height, self._margin)
        turn, eye = self._camera.pose(None)
        if room is None:
            rays = as_float(np.stack([x, y, np.ones_like(x)], axis=2)) @ as_float(turn)
            self._room = rooms.draw_room(look, rays, eye)
        else:
            self._room = rooms.photo_room(room, *x.shape)
        box = self._box(self._camera.outline(PANEL_CORNERS))
        x0, y0, x1, y1 = ((edge + self._margin) // 2 for edge in box)  # at half size
        mirrored = rooms.draw_reflections(look, x.shape[0] // 2, x.shape[1] // 2, (x0, y0, x1, y1))
        self._mirrored = mirrored * np.float32(self._glare)
        share = float(look.uniform(*s.heads))
        self._heads = rooms.draw_heads(look, height, width, box, share) if share else None
        fall = 1 / (1 + s.vignette * (self._camera.lens.x**2 + self._camera.lens.y**2))
        self._vignette = as_float(fall[..., None] * balance)
        self._noise = _noise_bank(air, height + 40, width + 72) if s.noise else None
        sigma = float(np.hypot(LENS_SIGMA, self._defocus))
        self._grid = rooms.SubPixels(s.panel_columns, s.grid, sigma) if s.grid else None

    def film(
        self, frames: Iterable[Frame], *, play_from_seconds: float = 0, speed: float = 1,
        seconds: float | None = None,
    ) -> Iterator[PhoneFrame]:  # fmt: skip
        """Films the film from `play_from_seconds` on, played at `speed`; each call starts anew from the seed.

        frames: by increasing pts; those before the start but the latest are not seen. seconds: how long the
        phone films, with the film's last frame staying on the screen; None films to the film's end.

        Raises ValueError when there are no frames.
        """
        s = self.settings
        player = rooms.Player(frames, play_from_seconds, speed, self._phase)
        television, auto = None, _AutoExposure(*self._errors)
        for index in count():
            start = index / s.fps
            shown = player.shown(start, start + s.readout_seconds + self._exposure)
            ended = player.over(start + s.readout_seconds / 2 + self._exposure / 2)
            if ended if seconds is None else start > seconds - 1e-9:
                return
            television = television or self._television(shown[0].frame.image)
            scene = self._film_room(start, np.array(cv2.mean(television.light(shown[0].frame))[:3]))
            self._film_screen(scene, television, start, shown)
            corners = self._camera.outline(television.picture, start, self._exposure)
            row = self._line_starts(start, 0, s.height)[[int(np.clip(corners[:, 1].mean(), 0, s.height - 1))]]
            longest = max(shown, key=partial(self._overlap, starts=row))
            image = self._develop(auto, self._blur(scene, start), index)
            yield PhoneFrame(image, start, as_float(corners), longest.frame.pts_seconds)

    def _television(self, image: RgbImage) -> rooms.Television:
        rng, cosine = np.random.default_rng((self._seed, 1 << 32)), self._camera.normal_cosine
        texels = float(np.ptp(self._camera.outline(PANEL_CORNERS)[:, 0])) * 1.15 / cosine
        aspect = image.shape[0] / image.shape[1]
        return rooms.Television(rng, int(np.clip(texels, 48, 2048)), aspect, cosine, self._room_light)

    def _overlap(self, one: rooms.Shown, starts: Array) -> Array:
        """Share of the exposure of lines starting at `starts` during which the film frame was lit."""
        lit = np.minimum(starts + self._exposure, one.until) - np.maximum(starts, one.since)
        return np.asarray(lit.clip(0, None) / self._exposure, float)

    def _line_starts(self, start: float, y0: int, y1: int) -> Array:
        return start + (np.arange(y0, y1) + 0.5) / self.settings.height * self.settings.readout_seconds

    def _pulse(self, which: int, starts: Array) -> FloatImage:
        """Flicker (lines, 1), mean 1, integrated over each line's exposure. which: 0 backlight, 1 lamps."""
        hz, phase = self._flicker[which]
        depth = self.settings.flicker * np.sinc(hz * self._exposure)
        wave = np.cos(2 * np.pi * hz * (starts + self._exposure / 2) + phase)
        return as_float(1 + depth * wave)[:, None]

    def _turned(self, start: float) -> Array:
        """(3, 3): pixels of the drawn surroundings -> pixels of the picture, as the hand turns."""
        s, margin, focal = self.settings, self._margin, self._camera.lens.focal
        turn, _ = self._camera.pose(start + s.readout_seconds / 2 + self._exposure / 2)
        base, _ = self._camera.pose(None)
        # OpenCV counts from the middle of the first pixel
        seen = np.array([[focal, 0, (s.width - 1) / 2], [0, focal, (s.height - 1) / 2], [0, 0, 1]])
        drawn = seen + np.outer((margin, margin, 0), (0, 0, 1))
        return np.asarray(seen @ turn @ base.T @ np.linalg.inv(drawn), float)

    def _film_room(self, start: float, glow: Array) -> FloatImage:
        """The room under its lamps and the screen's light, float32 (H, W, 3)."""
        s = self.settings
        turned, size, beyond = self._turned(start), (s.width, s.height), cv2.BORDER_REPLICATE
        scene = as_float(cv2.warpPerspective(self._room, turned, size, None, cv2.INTER_LINEAR, beyond))
        lines = scene.reshape(s.height, -1)
        lines *= self._pulse(1, self._line_starts(start, 0, s.height))
        lines *= np.tile(as_float(self._room_light * self._lamp + GLOW * glow), s.width)
        return scene

    def _film_screen(
        self, scene: FloatImage, television: rooms.Television, start: float, shown: list[rooms.Shown]
    ) -> None:
        """Adds the television to the scene, in place: light through sub-pixels, then reflections."""
        box = self._box(self._camera.outline(television.corners, start, self._exposure))
        x0, y0, x1, y1 = box
        if x1 <= x0 or y1 <= y0:
            return
        plane = self._camera.rays_to_plane(start, self._exposure, box)
        places = television.texels(plane)
        starts = self._line_starts(start, y0, y1)
        light = np.zeros((y1 - y0, x1 - x0, 3), np.float32)
        for one in shown:
            share = as_float(self._overlap(one, starts)[:, None])
            if share.max() > 0.002:
                texture = television.light(one.frame)
                part = as_float(cv2.remap(texture, places[0], places[1], cv2.INTER_LINEAR))
                part.reshape(len(part), -1)[:] *= share
                light += part
        light.reshape(len(light), -1)[:] *= self._pulse(0, starts)
        if self._grid is not None:
            light *= self._grid.seen(plane)
        cover = as_float(cv2.remap(television.cover, places[0], places[1], cv2.INTER_LINEAR))
        region = scene[y0:y1, x0:x1]
        region *= as_float(cv2.merge([1 - cover] * 3))
        region += light
        if self._glare:
            half = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]]) @ self._turned(start) @ np.diag((2, 2, 1))
            glare = as_float(cv2.warpPerspective(self._mirrored, half, (x1 - x0, y1 - y0))) * cover
            region += as_float(cv2.merge([glare * np.float32(tint) for tint in self._lamp]))

    def _box(self, outline: Array) -> Box:
        """The pixels round the outline (4, 2), inside the picture; may be empty."""
        size = np.array((self.settings.width, self.settings.height))
        low = np.clip(np.floor(outline.min(0)) - 2, 0, size).astype(int)
        high = np.clip(np.ceil(outline.max(0)) + 2, 0, size).astype(int)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def _blur(self, scene: FloatImage, start: float) -> FloatImage:
        """Heads in the way, then defocus and the motion of the hand during the exposure."""
        if self._heads is not None:
            lit = as_float(cv2.merge([1 - self._heads] * 3))
            scene = scene * lit + (1 - lit) * np.float32(0.02 * self._room_light)
        if self._defocus > 0.25:
            scene = as_float(cv2.GaussianBlur(scene, (0, 0), self._defocus))
        middle = np.zeros((1, 2))
        path = np.subtract(*(self._camera.outline(middle, start + t)[0] for t in (self._exposure, 0.0)))
        if np.abs(path).max() > 0.6:
            reach = int(np.ceil(np.abs(path).max() / 2))
            along = np.linspace(-0.5, 0.5, 32 * reach + 1)[:, None] * path + reach
            kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
            columns, rows = np.floor(along + 0.5).astype(int).T
            np.add.at(kernel, (rows, columns), 1 / len(along))
            scene = as_float(cv2.filter2D(scene, -1, kernel))
        return scene

    def _develop(self, auto: "_AutoExposure", scene: FloatImage, index: int) -> RgbImage:
        """Light on the sensor -> uint8: bloom, exposure, noise, tone, sharpening."""
        s = self.settings
        coarse = (max(2, s.width // 16), max(2, s.height // 16))
        small = as_float(cv2.resize(scene, coarse, interpolation=cv2.INTER_AREA))
        if s.bloom:
            veil = cv2.GaussianBlur(small, (0, 0), small.shape[1] / 20)
            veil = cv2.resize(veil, (s.width, s.height), interpolation=cv2.INTER_LINEAR)
            scene = as_float(cv2.addWeighted(scene, 1 - s.bloom, veil, s.bloom, 0))
        gain = auto.gain(small, 1 / s.fps) if s.auto_exposure else 1.0
        exposed = as_float(cv2.multiply(scene, self._vignette, scale=gain))
        rng = np.random.default_rng((self._seed, index))
        y, x, v, u = rng.integers(0, (40, 72, 40, 72))
        if self._noise is not None:
            read = self._noise[y : y + s.height, x : x + s.width]
            exposed = as_float(cv2.scaleAdd(read, 0.0016 * s.noise * gain, exposed))
        np.clip(exposed, 0, 1, out=exposed)
        tone = as_float(cv2.sqrt(exposed))  # a gamma of 2, in which shot noise is the same at every level
        if self._noise is not None:
            shot = self._noise[v : v + s.height, u : u + s.width]
            tone = as_float(cv2.scaleAdd(shot, 0.007 * s.noise * np.sqrt(gain), tone))
        if s.contrast:
            curve = np.float32(3 * s.contrast) - tone * np.float32(2 * s.contrast)
            curve *= tone
            curve += np.float32(1 - s.contrast)
            tone *= curve
        image = cv2.convertScaleAbs(tone, alpha=255.0)
        if s.sharpening:
            smooth = cv2.GaussianBlur(image, (5, 5), 1.2)
            image = cv2.addWeighted(image, 1 + s.sharpening, smooth, -s.sharpening, 0)
        return np.asarray(image, np.uint8)


def _noise_bank(rng: np.random.Generator, height: int, width: int) -> FloatImage:
    """Noise (H, W, 3) as demosaicking leaves it: grains a pixel wide, blotches of colour, deviation 1."""
    noise = rng.standard_normal((height, width, 3), np.float32)
    blotches = as_float(cv2.GaussianBlur(noise, (0, 0), 1.6))
    grain = as_float(cv2.GaussianBlur(noise, (0, 0), 0.55))
    luma = cv2.merge([as_float(grain.mean(axis=2))] * 3)
    mixed = as_float(luma / luma.std() * 0.85 + blotches / blotches.std() * 0.5)
    return as_float(mixed / mixed.std())


class _AutoExposure:
    """The gain: it follows what the phone meters, with a lag. stops: lasting error; settling: at first."""

    def __init__(self, stops: float, settling: float) -> None:
        self._stops, self._settling = stops, settling
        self._log_gain: float | None = None

    def gain(self, small: FloatImage, step_seconds: float) -> float:
        """Gain after one more frame. small: the scene (h, w, 3), reduced."""
        gray = small.mean(axis=2)
        h, w = gray.shape
        centre = gray[h // 4 : h - h // 4, w // 4 : w - w // 4]
        average = 0.5 * float(gray.mean() + centre.mean()) / METERED_LEVEL
        metered = max(average, float(np.quantile(gray, 0.98)) / METERED_HIGHLIGHT)
        aim = min(-float(np.log2(max(metered, 1e-5))), MOST_STOPS) + self._stops
        if self._log_gain is None:
            self._log_gain = aim + self._settling
        self._log_gain += (aim - self._log_gain) * (1 - np.exp(-step_seconds / EXPOSURE_LAG_SECONDS))
        return float(2.0**self._log_gain)


def record(frames: Iterable[PhoneFrame], path: Path, settings: PhoneSettings) -> list[PhoneTruth]:
    """Writes an H.264 MP4 as a phone would; returns the truth of each frame, in order.

    Raises MediaError when there are no frames.
    """
    truths = []
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(settings.fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = settings.width, settings.height, "yuv420p"
        stream.bit_rate = int(settings.bits_per_pixel * settings.width * settings.height * settings.fps)
        stream.options = {"preset": "veryfast", "bf": "0", "threads": "1"}
        clock = Fraction(1, VIDEO_CLOCK_HZ)
        stream.time_base = stream.codec_context.time_base = clock
        for phone in frames:
            picture = av.VideoFrame.from_ndarray(phone.image, format="rgb24")
            picture.pts, picture.time_base = round(phone.pts_seconds * VIDEO_CLOCK_HZ), clock
            container.mux(stream.encode(picture))
            truths.append((phone.screen, phone.film_seconds))
        container.mux(stream.encode(None))
    if not truths:
        raise MediaError(f"{path}: nothing was filmed")
    return truths


def film_clip(
    phone: VirtualPhone, frames: Iterable[Frame], path: Path | None = None, *, play_from_seconds: float = 0,
    seconds: float | None = None,
) -> Iterator[PhoneFrame]:  # fmt: skip
    """Films, records and decodes again: the frames as a receiver of the clip sees them, with their truth.

    path: where the MP4 stays; None keeps it only while the frames are read. The rest: `VirtualPhone.film`.
    """
    with tempfile.TemporaryDirectory() as folder:
        clip = path or Path(folder) / "clip.mp4"
        filmed = phone.film(frames, play_from_seconds=play_from_seconds, seconds=seconds)
        truths = record(filmed, clip, phone.settings)
        with av.open(str(clip)) as container:
            for (screen, moment), picture in zip(truths, container.decode(video=0), strict=True):
                image = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
                yield PhoneFrame(image, float(picture.time or 0), screen, moment)
