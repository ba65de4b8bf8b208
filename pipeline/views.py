"""The readings of a frame: where in its picture the film may be, and the codes under each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.codes import FrameCodes
from pipeline.detector import SURE, Sighting
from pipeline.encoder import BATCH_FRAMES, Corners, FrameEncoder, mirrored, whole_picture
from pipeline.frames import Frame, RgbImage
from pipeline.letterbox import ActiveArea, ScreenBars
from pipeline.motion import block_lights
from pipeline.screen import ScreenTracker
from pipeline.steady import Steadier

CROPS = (0.8, 0.6)  # of the picture's sides, around its middle: tried where no screen is surely seen
WHOLE, MIRRORED, INSIDE_BARS, INSIDE_BARS_MIRRORED, SCREEN, SCREEN_INSIDE_BARS, WIDE_CROP, NARROW_CROP = range(8)
VIEWS = (
    "whole picture",
    "mirrored",
    "inside bars",
    "inside bars, mirrored",
    "screen",
    "inside bars on the screen",
    "wide crop",
    "narrow crop",
)
ON_A_SCREEN = (SCREEN, SCREEN_INSIDE_BARS)
_PLAIN = {  # what a view is where it finds nothing of its own
    INSIDE_BARS: WHOLE,
    INSIDE_BARS_MIRRORED: MIRRORED,
    SCREEN: WHOLE,
    SCREEN_INSIDE_BARS: SCREEN,
    WIDE_CROP: WHOLE,
    NARROW_CROP: WHOLE,
}


@dataclass(frozen=True)
class Reading:
    """Where the film may be in a picture, float32 (4, 2), pixels.

    corners: to code. steady: to measure light, the same but for what the detector's corners tremble.
    """

    corners: Corners
    steady: Corners


Readings = dict[int, Reading]  # by view; the views that find nothing of their own are left out


@dataclass(frozen=True)
class CodedFrame:
    """A frame without its picture.

    views: by view, what was coded, one frame each; see `fall_backs` for the others. only: the one view that was asked
    for, None for all: then of the others nothing is known.
    """

    pts_seconds: float
    views: Mapping[int, FrameCodes] = field(repr=False)
    only: int | None = None


class ViewReader:
    """Reads the frames of one source in their order, and remembers its bars and where its screen was.

    Nothing depends on how the frames are batched.
    """

    def __init__(self) -> None:
        self._area = ActiveArea()
        self._tracker = ScreenTracker()
        self._bars = ScreenBars()
        self._steadier = Steadier()

    def read(self, frame: Frame, seen: Sighting | None, only: int | None = None) -> tuple[Readings, Sighting | None]:
        """Where the film may be, and the screen as it is followed.

        seen: what the detector says; None where it was not asked. only: this view, or what stands for it, alone.
        """
        image = frame.image
        self._area.add(image)
        whole = whole_picture(image)
        found: dict[int, Corners] = {WHOLE: whole, MIRRORED: mirrored(whole)}
        inside = self._area.corners()
        if inside is not None:
            found[INSIDE_BARS], found[INSIDE_BARS_MIRRORED] = inside, mirrored(inside)
        screen = self._tracker.add(seen, image.shape[:2], frame.pts_seconds) if seen else None
        if screen is None or screen.confidence <= SURE:
            for view, share in zip((WIDE_CROP, NARROW_CROP), CROPS, strict=True):
                found[view] = whole * share + whole[2] * (1 - share) / 2
        readings = {view: Reading(corners, corners) for view, corners in found.items()}
        readings.update(self._on_the_screen(image, screen))
        if only is None:
            return readings, screen
        name = next(name for name in fall_backs(only) if name in readings)
        return {name: readings[name]}, screen

    def _on_the_screen(self, image: RgbImage, screen: Sighting | None) -> Readings:
        """What is on a screen that is followed."""
        if screen is None:
            self._steadier.forget()
            return {}
        steady = self._steadier.add(image, screen.corners)
        self._bars.add(image, screen.corners)
        readings = {SCREEN: Reading(screen.corners, steady)}
        film, steady_film = self._bars.inside(screen.corners), self._bars.inside(steady)
        if film is not None and steady_film is not None:
            readings[SCREEN_INSIDE_BARS] = Reading(film, steady_film)
        return readings


def needs_screen(only: int | None) -> bool:
    """Whether the detector must be asked for this view; None: for all of them."""
    return only is None or only in ON_A_SCREEN


def fall_backs(view: int) -> list[int]:
    """The view itself, and what stands for it where it finds nothing of its own."""
    chain = [view]
    while chain[-1] in _PLAIN:
        chain.append(_PLAIN[chain[-1]])
    return chain


def code_frames(
    encoder: FrameEncoder, frames: Sequence[Frame], readings: Sequence[Readings]
) -> list[dict[int, FrameCodes]]:
    """Codes each frame under its readings, in batches of pictures of one size, of any sources. By frame, by view."""
    coded: list[dict[int, FrameCodes]] = [{} for _ in frames]
    by_size: dict[tuple[int, ...], list[tuple[int, int, Reading]]] = {}
    for i, (frame, found) in enumerate(zip(frames, readings, strict=True)):
        by_size.setdefault(frame.image.shape, []).extend((i, view, reading) for view, reading in found.items())
    for places in by_size.values():
        for start in range(0, len(places), BATCH_FRAMES):
            part = places[start : start + BATCH_FRAMES]
            images = np.stack([frames[i].image for i, _, _ in part])
            codes, margins = encoder.encode_batch(images, np.stack([reading.corners for _, _, reading in part]))
            for k, (i, view, reading) in enumerate(part):
                pts = np.array([frames[i].pts_seconds])
                lights = block_lights(frames[i].image, reading.steady)[None]
                coded[i][view] = FrameCodes(pts, codes[k : k + 1], margins[k : k + 1], lights)
    return coded


class ViewWindow:
    """The codes of the last seconds of a source, under each of `VIEWS`.

    Only codes are kept, no pictures, so that memory does not grow with the source. window_seconds: how long.
    """

    def __init__(self, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._frames: list[CodedFrame] = []
        self._joined: dict[int, FrameCodes] = {}
        self._screen_seen = False
        self.only: int | None = None
        self.last_pts_seconds = 0.0  # of the newest frame
        self.frames = 0  # that were ever added

    def add(self, coded: Sequence[CodedFrame]) -> None:
        """Takes frames that follow those already held; none change nothing."""
        if not coded:
            return
        self.last_pts_seconds = coded[-1].pts_seconds
        self.frames += len(coded)
        start = self.last_pts_seconds - self._window_seconds
        self._frames = [frame for frame in [*self._frames, *coded] if frame.pts_seconds >= start]
        self._screen_seen = any(SCREEN in frame.views for frame in coded)
        self._joined = {}

    def follow_only(self, view: int | None) -> None:
        """From now on weighs this view alone, the one that matched; None: all of them again."""
        self.only = view
        self._joined = {}

    def forget_before(self, start_seconds: float) -> None:
        """Leaves out the frames before a time."""
        self._frames = [frame for frame in self._frames if frame.pts_seconds >= start_seconds]
        self._joined = {}

    def views(self) -> list[FrameCodes]:
        """What to match, in the order of `VIEWS`; empty where a view says nothing that another does not say."""
        nothing = FrameCodes.concatenate([])
        views = []
        for view in range(len(VIEWS)):
            codes = self._view(view)
            known = any(np.array_equal(codes.codes, self._view(plain).codes) for plain in fall_backs(view)[1:])
            views.append(nothing if known else codes)
        return views

    def hopeful(self) -> list[int]:
        """The views for which a wider search is worth its cost: the screen where there is one, else what may be one."""
        return list(ON_A_SCREEN) if self._screen_seen else [WHOLE, WIDE_CROP, NARROW_CROP]

    def _view(self, view: int) -> FrameCodes:
        if view not in self._joined:
            wanted = self.only in (None, view)
            parts = [_reading(frame, view) for frame in self._frames] if wanted else []
            self._joined[view] = FrameCodes.concatenate([part for part in parts if part is not None])
        return self._joined[view]


def _reading(frame: CodedFrame, view: int) -> FrameCodes | None:
    """The frame under a view, or under what stands for it; None when nothing is known."""
    if frame.only not in (None, view):
        return None
    return next((frame.views[name] for name in fall_backs(view) if name in frame.views), None)
