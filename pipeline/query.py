"""A query as it arrives: frames coded under several readings, the last seconds kept."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.codes import FrameCodes
from pipeline.encoder import Corners, FrameEncoder, mirrored, whole_picture
from pipeline.frames import Frame
from pipeline.letterbox import ActiveArea
from pipeline.motion import block_lights
from pipeline.screen import ScreenFinder, Sighting

QUERY_FPS = 10.0  # frames a second of query that are coded; more add cost and hardly evidence
VIEWS = ("whole picture", "mirrored", "inside bars", "inside bars, mirrored", "screen")


class Query:
    """The codes of the last `window_seconds` of a source, under each of `VIEWS`.

    Only codes are kept, no pictures, so that memory does not grow with the source. Where there are no bars, or no
    screen is found, those views hold the codes of the whole picture.
    """

    def __init__(self, encoder: FrameEncoder, window_seconds: float) -> None:
        self._encoder = encoder
        self._window_seconds = window_seconds
        self._area = ActiveArea()
        self._finder = ScreenFinder()
        self.screens: list[Sighting | None] = []  # of the frames last added
        self._views = [FrameCodes.concatenate([]) for _ in VIEWS]
        self.frames = 0

    @property
    def seconds(self) -> float:
        """Time between the first and the last frame held."""
        pts = self._views[0].pts_seconds
        return float(pts[-1] - pts[0]) if len(pts) else 0.0

    @property
    def last_pts_seconds(self) -> float:
        """Time of the newest frame. Raises IndexError before the first."""
        return float(self._views[0].pts_seconds[-1])

    def add(self, frames: Sequence[Frame]) -> None:
        """Codes frames of one size that follow those already held."""
        for frame in frames:
            self._area.add(frame.image)
        self.screens = [self._finder.add(frame.image) for frame in frames]
        images = [frame.image for frame in frames]
        whole = [whole_picture(image) for image in images]
        views: list[list[Corners]] = [whole, [mirrored(corners) for corners in whole]]
        inside = self._area.corners()
        if inside is not None:
            views += [[inside] * len(frames), [mirrored(inside)] * len(frames)]
        if any(self.screens):
            views.append([seen.corners if seen else all_ for seen, all_ in zip(self.screens, whole, strict=True)])
        coded = [
            replace(codes, lights=np.stack([block_lights(*pair) for pair in zip(images, view, strict=True)]))
            for codes, view in zip(self._encoder.encode_views(frames, views), views, strict=True)
        ]
        if inside is None:
            coded[2:2] = coded[:2]
        if not any(self.screens):
            coded.append(coded[0])
        start = coded[0].pts_seconds[-1] - self._window_seconds
        self._views = [
            FrameCodes.concatenate([held, new]).since(start) for held, new in zip(self._views, coded, strict=True)
        ]
        self.frames += len(frames)

    def views(self) -> list[FrameCodes]:
        """What to match, in the order of `VIEWS`; empty where a view says nothing that another does not say."""
        plain = self._views[0]
        nothing = FrameCodes.concatenate([])
        repeats = [
            i > 1 and np.array_equal(view.codes, self._views[i % 2 if i < 4 else 0].codes)
            for i, view in enumerate(self._views)
        ]
        return [
            nothing if repeat or not len(plain) else view for view, repeat in zip(self._views, repeats, strict=True)
        ]
