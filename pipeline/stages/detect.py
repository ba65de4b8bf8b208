"""Second stage: where the screen is, and with it where the film may be in each picture.

Switched off, the film is looked for in the whole picture and in crops of it: for sources that are plain video.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.detector import ScreenFinder, Sighting
from pipeline.messages import QUERY
from pipeline.stages.work import CameraFrame, Stage
from pipeline.views import INSIDE_BARS, WHOLE, needs_screen

WARM_UP_SIZES = ((360, 640), (480, 640), (640, 360))  # (H, W) of most cameras' pictures once decoded


class Detect(Stage):
    """Fills in `screen` and `readings`. detector: None for switched off."""

    name = "detect"

    def __init__(self, detector: ScreenFinder | None) -> None:
        self._detector = detector

    def warm_up(self) -> None:
        """See `Stage.warm_up`."""
        if self._detector is not None:
            self._detector.detect([np.zeros((*size, 3), np.uint8) for size in WARM_UP_SIZES])

    def work(self, frames: Sequence[CameraFrame]) -> None:
        """See `Stage.work`."""
        pictures = [one for one in frames if one.frame is not None]
        for one in pictures:
            one.only = one.memory.follow  # once, for it may change while the frame is in work
        looked = [one for one in pictures if one.message.role == QUERY and needs_screen(one.only)]
        seen = dict(zip(map(id, looked), self._look(looked), strict=True))
        for one in pictures:
            assert one.frame is not None  # noqa: S101  just filtered, for the type checker
            memory = one.memory
            if one.message.role != QUERY:
                readings, _ = memory.reader.read(one.frame, None)
                one.readings = {view: readings[view] for view in (WHOLE, INSIDE_BARS) if view in readings}
            else:
                one.readings, one.screen = memory.reader.read(one.frame, seen.get(id(one)), one.only)

    def _look(self, frames: Sequence[CameraFrame]) -> Sequence[Sighting | None]:
        if self._detector is None:
            return [None] * len(frames)
        return self._detector.detect([one.frame.image for one in frames if one.frame is not None])
