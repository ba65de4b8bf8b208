"""A query as it arrives: frames coded under several readings, the last seconds kept."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.codes import FrameCodes
from pipeline.detector import SURE, ScreenFinder, Sighting, default_detector
from pipeline.encoder import Corners, FrameEncoder, mirrored, whole_picture
from pipeline.frames import Frame
from pipeline.letterbox import ActiveArea, ScreenBars
from pipeline.motion import block_lights
from pipeline.screen import ScreenTracker

QUERY_FPS = 10.0  # frames a second of query that are coded; more add cost and hardly evidence
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
_PLAIN = {  # what a view is where it finds nothing of its own
    INSIDE_BARS: WHOLE,
    INSIDE_BARS_MIRRORED: MIRRORED,
    SCREEN: WHOLE,
    SCREEN_INSIDE_BARS: SCREEN,
    WIDE_CROP: WHOLE,
    NARROW_CROP: WHOLE,
}
_NOTHING = FrameCodes.concatenate([])


class Query:
    """The codes of the last `window_seconds` of a source, under each of `VIEWS`.

    Only codes are kept, no pictures, so that memory does not grow with the source. Frames without bars, on which no
    screen is found, or on which one is surely seen and no crop is tried, count in those views as the whole picture.
    """

    def __init__(self, encoder: FrameEncoder, window_seconds: float, detector: ScreenFinder | None = None) -> None:
        self._encoder = encoder
        self._detector = detector or default_detector()
        self._window_seconds = window_seconds
        self._area = ActiveArea()
        self._tracker = ScreenTracker()
        self._bars = ScreenBars()
        self._views = [_NOTHING] * len(VIEWS)
        self._only: int | None = None
        self.screens: list[Sighting | None] = []  # of the frames last added
        self.last_pts_seconds = 0.0  # of the newest frame
        self.frames = 0

    def add(self, frames: Sequence[Frame]) -> None:
        """Codes frames of one size that follow those already held."""
        images = [frame.image for frame in frames]
        readings = self._readings(frames)
        coded = dict(zip(readings, self._encoder.encode_views(frames, list(readings.values())), strict=True))
        for view, corners in readings.items():
            lights = np.stack([block_lights(*pair) for pair in zip(images, corners, strict=True)])
            coded[view] = replace(coded[view], lights=lights)
        self.last_pts_seconds = frames[-1].pts_seconds
        self.frames += len(frames)
        start = self.last_pts_seconds - self._window_seconds
        for view in range(len(VIEWS)) if self._only is None else [self._only]:
            new = next((coded[name] for name in _fall_backs(view) if name in coded), _NOTHING)
            self._views[view] = FrameCodes.concatenate([self._views[view], new]).since(start)

    def follow_only(self, view: int | None) -> None:
        """From now on codes this view alone, the one that matched; None: all of them again."""
        self._only = view
        if view is not None:
            self._views = [held if i == view else _NOTHING for i, held in enumerate(self._views)]

    def views(self) -> list[FrameCodes]:
        """What to match, in the order of `VIEWS`; empty where a view says nothing that another does not say."""
        return [
            _NOTHING
            if any(np.array_equal(view.codes, self._views[plain].codes) for plain in _fall_backs(i)[1:])
            else view
            for i, view in enumerate(self._views)
        ]

    def hopeful(self) -> list[int]:
        """The views for which a wider search is worth its cost: the screen where there is one, else what may be one."""
        return [SCREEN, SCREEN_INSIDE_BARS] if any(self.screens) else [WHOLE, WIDE_CROP, NARROW_CROP]

    def _readings(self, frames: Sequence[Frame]) -> dict[int, list[Corners]]:
        """Where the screen is in each picture, by view; the views that find nothing of their own are left out."""
        images = [frame.image for frame in frames]
        for image in images:
            self._area.add(image)
        whole = [whole_picture(image) for image in images]
        readings = {WHOLE: whole, MIRRORED: [mirrored(corners) for corners in whole]}
        inside = self._area.corners()
        if inside is not None:
            readings[INSIDE_BARS] = [inside] * len(images)
            readings[INSIDE_BARS_MIRRORED] = [mirrored(inside)] * len(images)
        looking = self._only in (None, SCREEN, SCREEN_INSIDE_BARS)
        self.screens = self._look(frames) if looking else [None] * len(frames)
        if any(self.screens):
            screens = [seen.corners if seen else corners for seen, corners in zip(self.screens, whole, strict=True)]
            readings[SCREEN] = screens
            films = [self._bars.inside(screen) for screen in screens]
            if any(film is not None for film in films):
                readings[SCREEN_INSIDE_BARS] = [
                    screen if film is None else film for film, screen in zip(films, screens, strict=True)
                ]
        if not any(seen and seen.confidence > SURE for seen in self.screens):
            for view, share in zip((WIDE_CROP, NARROW_CROP), CROPS, strict=True):
                readings[view] = [corners * share + corners[2] * (1 - share) / 2 for corners in whole]
        if self._only is None:
            return readings
        return {self._only: next(readings[name] for name in _fall_backs(self._only) if name in readings)}

    def _look(self, frames: Sequence[Frame]) -> list[Sighting | None]:
        """Where the screen is in each picture, followed from one to the next."""
        seen = self._detector.detect([frame.image for frame in frames])
        followed = [
            self._tracker.add(sighting, frame.image.shape[:2], frame.pts_seconds)
            for sighting, frame in zip(seen, frames, strict=True)
        ]
        for screen, frame in zip(followed, frames, strict=True):
            if screen is not None:
                self._bars.add(frame.image, screen.corners)
        return followed


def _fall_backs(view: int) -> list[int]:
    """The view itself, and what stands for it where it finds nothing of its own."""
    chain = [view]
    while chain[-1] in _PLAIN:
        chain.append(_PLAIN[chain[-1]])
    return chain
