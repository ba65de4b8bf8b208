"""Third stage: what a frame shows, in words, for clip search and live events. Off where there is no recogniser."""

from collections.abc import Sequence

from pipeline.encoder import whole_picture
from pipeline.recogniser import Recogniser
from pipeline.stages.work import CameraFrame, Stage

EVERY_NS = 1_000_000_000  # of a source; labels do not change faster than scenes


class Recognise(Stage):
    """Fills in `labels` of one frame a second of each source."""

    name = "recognise"

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser

    def work(self, frames: Sequence[CameraFrame]) -> None:
        """See `Stage.work`."""
        due: list[CameraFrame] = []
        for one in frames:
            if one.frame is not None and abs(one.message.ts_ns - one.memory.labelled_ns) >= EVERY_NS:
                one.memory.labelled_ns = one.message.ts_ns
                due.append(one)
        images = [one.frame.image for one in due if one.frame is not None]
        places = [
            one.screen.corners if one.screen else whole_picture(image) for one, image in zip(due, images, strict=True)
        ]
        for one, labels in zip(due, self._recogniser.recognise(images, places), strict=True):
            one.labels = labels
