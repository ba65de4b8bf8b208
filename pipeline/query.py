"""A query as it arrives: frames coded under several readings, the last seconds kept."""

from collections.abc import Sequence

import numpy as np

from pipeline.codes import FrameCodes
from pipeline.encoder import Corners, Encoder, mirrored, whole_picture
from pipeline.frames import Frame
from pipeline.letterbox import ActiveArea

QUERY_FPS = 10.0  # frames a second of query that are coded; more add cost and hardly evidence
VIEWS = ("plain", "mirrored", "inside bars", "inside bars, mirrored")


class Query:
    """The codes of the last `window_seconds` of a source, under each of `VIEWS`.

    Only codes are kept, no pictures, so that memory does not grow with the source.
    """

    def __init__(self, encoder: Encoder, window_seconds: float) -> None:
        self._encoder = encoder
        self._window_seconds = window_seconds
        self._area = ActiveArea()
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
        whole = [whole_picture(frame.image) for frame in frames]
        views: list[list[Corners]] = [whole, [mirrored(corners) for corners in whole]]
        inside = self._area.corners()
        if inside is not None:
            views += [[inside] * len(frames), [mirrored(inside)] * len(frames)]
        coded = self._encoder.encode_views(frames, views)
        if inside is None:
            coded += coded  # no bars: what is inside them is the picture itself
        start = coded[0].pts_seconds[-1] - self._window_seconds
        self._views = [
            _since(FrameCodes.concatenate([held, new]), start) for held, new in zip(self._views, coded, strict=True)
        ]
        self.frames += len(frames)

    def views(self) -> list[FrameCodes]:
        """What to match: every view, those inside bars only where there are bars."""
        plain, inside = self._views[0], self._views[2]
        return self._views[:2] if np.array_equal(plain.codes, inside.codes) else self._views

    def forget_before(self, pts_seconds: float) -> None:
        """Drops frames older than this moment."""
        self._views = [_since(view, pts_seconds) for view in self._views]


def _since(codes: FrameCodes, start: float) -> FrameCodes:
    first = int(np.searchsorted(codes.pts_seconds, start))
    return FrameCodes(codes.pts_seconds[first:], codes.codes[first:], codes.margins[first:])
