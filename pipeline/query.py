"""A query as it arrives: frames coded under several readings, the last seconds kept."""

from collections.abc import Sequence

from pipeline.codes import FrameCodes
from pipeline.detector import ScreenFinder, Sighting, default_detector
from pipeline.encoder import FrameEncoder
from pipeline.frames import Frame
from pipeline.views import CodedFrame, ViewReader, ViewWindow, code_frames, needs_screen

QUERY_FPS = 10.0  # frames a second of query that are coded; more add cost and hardly evidence


class Query:
    """The codes of the last `window_seconds` of a source, under each of `pipeline.views.VIEWS`."""

    def __init__(self, encoder: FrameEncoder, window_seconds: float, detector: ScreenFinder | None = None) -> None:
        self._encoder = encoder
        self._detector = detector or default_detector()
        self._reader = ViewReader()
        self._window = ViewWindow(window_seconds)
        self.screens: list[Sighting | None] = []  # of the frames last added

    @property
    def last_pts_seconds(self) -> float:
        """Time of the newest frame."""
        return self._window.last_pts_seconds

    @property
    def frames(self) -> int:
        """Frames that were ever added."""
        return self._window.frames

    def add(self, frames: Sequence[Frame]) -> None:
        """Codes frames that follow those already held."""
        only = self._window.only
        looked = self._detector.detect([frame.image for frame in frames]) if needs_screen(only) else None
        seen: Sequence[Sighting | None] = looked or [None] * len(frames)
        read = [self._reader.read(frame, sighting, only) for frame, sighting in zip(frames, seen, strict=True)]
        self.screens = [screen for _, screen in read]
        coded = code_frames(self._encoder, frames, [readings for readings, _ in read])
        self._window.add(
            [CodedFrame(frame.pts_seconds, views, only) for frame, views in zip(frames, coded, strict=True)]
        )

    def follow_only(self, view: int | None) -> None:
        """From now on codes this view alone, the one that matched; None: all of them again."""
        self._window.follow_only(view)

    def forget_before(self, start_seconds: float) -> None:
        """See `ViewWindow.forget_before`."""
        self._window.forget_before(start_seconds)

    def views(self) -> list[FrameCodes]:
        """See `ViewWindow.views`."""
        return self._window.views()

    def hopeful(self) -> list[int]:
        """See `ViewWindow.hopeful`."""
        return self._window.hopeful()
