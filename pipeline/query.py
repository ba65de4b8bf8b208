"""A query as it arrives: frames coded under several readings, the last seconds kept."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.codes import FrameCodes
from pipeline.encoder import Corners, FrameEncoder, mirrored, whole_picture
from pipeline.frames import Frame, RgbImage
from pipeline.letterbox import ActiveArea
from pipeline.motion import block_lights
from pipeline.screen import ScreenFinder, Sighting

QUERY_FPS = 10.0  # frames a second of query that are coded; more add cost and hardly evidence
LOOK_EVERY = 2  # frames; the screen moves little in between, and looking takes longer than coding
WHOLE, MIRRORED, INSIDE_BARS, INSIDE_BARS_MIRRORED, SCREEN = range(5)
VIEWS = ("whole picture", "mirrored", "inside bars", "inside bars, mirrored", "screen")
_NOTHING = FrameCodes.concatenate([])


class Query:
    """The codes of the last `window_seconds` of a source, under each of `VIEWS`.

    Only codes are kept, no pictures, so that memory does not grow with the source. Frames without bars, or on which
    no screen is found, count in those views as the whole picture.
    """

    def __init__(self, encoder: FrameEncoder, window_seconds: float) -> None:
        self._encoder = encoder
        self._window_seconds = window_seconds
        self._area = ActiveArea()
        self._finder = ScreenFinder()
        self._screen: Sighting | None = None
        self._looked = 0
        self._views = [_NOTHING] * len(VIEWS)
        self._only: int | None = None
        self.screens: list[Sighting | None] = []  # of the frames last added
        self.last_pts_seconds = 0.0  # of the newest frame
        self.frames = 0

    def add(self, frames: Sequence[Frame]) -> None:
        """Codes frames of one size that follow those already held."""
        images = [frame.image for frame in frames]
        readings = self._readings([frame.image for frame in frames])
        coded = dict(zip(readings, self._encoder.encode_views(frames, list(readings.values())), strict=True))
        for view, corners in readings.items():
            lights = np.stack([block_lights(*pair) for pair in zip(images, corners, strict=True)])
            coded[view] = replace(coded[view], lights=lights)
        self.last_pts_seconds = frames[-1].pts_seconds
        self.frames += len(frames)
        start = self.last_pts_seconds - self._window_seconds
        for view in range(len(VIEWS)) if self._only is None else [self._only]:
            new = coded.get(view, coded.get(MIRRORED if view == INSIDE_BARS_MIRRORED else WHOLE, _NOTHING))
            self._views[view] = FrameCodes.concatenate([self._views[view], new]).since(start)

    def follow_only(self, view: int | None) -> None:
        """From now on codes this view alone, the one that matched; None: all of them again."""
        self._only = view
        if view is not None:
            self._views = [held if i == view else _NOTHING for i, held in enumerate(self._views)]

    def views(self) -> list[FrameCodes]:
        """What to match, in the order of `VIEWS`; empty where a view says nothing that another does not say."""
        plain = {INSIDE_BARS: WHOLE, INSIDE_BARS_MIRRORED: MIRRORED, SCREEN: WHOLE}
        return [
            _NOTHING if i in plain and np.array_equal(view.codes, self._views[plain[i]].codes) else view
            for i, view in enumerate(self._views)
        ]

    def _look(self, image: RgbImage) -> Sighting | None:
        """Where the screen is; in between two looks it is where it was."""
        if self._looked % LOOK_EVERY == 0:
            self._screen = self._finder.add(image)
        self._looked += 1
        return self._screen

    def _readings(self, images: Sequence[RgbImage]) -> dict[int, list[Corners]]:
        """Where the screen is in each picture, by view; the views that find nothing of their own are left out."""
        for image in images:
            self._area.add(image)
        self.screens = [self._look(image) for image in images]
        whole = [whole_picture(image) for image in images]
        readings = {WHOLE: whole, MIRRORED: [mirrored(corners) for corners in whole]}
        inside = self._area.corners()
        if inside is not None:
            readings[INSIDE_BARS] = [inside] * len(images)
            readings[INSIDE_BARS_MIRRORED] = [mirrored(inside)] * len(images)
        if any(self.screens):
            readings[SCREEN] = [
                seen.corners if seen else corners for seen, corners in zip(self.screens, whole, strict=True)
            ]
        if self._only is None:
            return readings
        plain = MIRRORED if self._only == INSIDE_BARS_MIRRORED else WHOLE
        return {self._only: readings.get(self._only, readings[plain])}
