"""A frame on its way through the stages, and what is remembered of its source from frame to frame."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.detector import Sighting
from pipeline.frames import Frame
from pipeline.messages import FrameMessage
from pipeline.views import CodedFrame, Readings, ViewReader

MOST_SOURCES = 10_000  # remembered; the one that was silent for longest is forgotten first


@dataclass
class SourceMemory:
    """Of one camera, or of one video that is being sent. follow: the view that its matcher follows, None for all."""

    reader: ViewReader = field(default_factory=ViewReader)
    follow: int | None = None
    labelled_ns: int = 0  # capture time of the frame that recognition saw last


@dataclass
class CameraFrame:
    """What is known of a frame so far; each stage fills in its part."""

    message: FrameMessage
    memory: SourceMemory = field(repr=False)
    frame: Frame | None = field(default=None, repr=False)  # decode; None for a frame that came as a code
    readings: Readings = field(default_factory=dict, repr=False)  # detect
    screen: Sighting | None = None  # detect
    only: int | None = None  # detect: the one view that is read, None for all
    labels: Sequence[tuple[str, float]] | None = None  # recognise; None for a frame that it does not look at
    coded: CodedFrame | None = field(default=None, repr=False)  # encode; decode for one that came as a code


class Stage(ABC):
    """One thing that is done to all frames of a batch."""

    name: str  # in metrics

    @abstractmethod
    def work(self, frames: Sequence[CameraFrame]) -> None:
        """Adds its part to the frames. Raises BadMessage for one that can never be processed."""

    def warm_up(self) -> None:  # noqa: B027  most stages have nothing to prepare
        """Does what is slow the first time, before frames come."""


class Memories:
    """What is remembered, by source."""

    def __init__(self, most: int = MOST_SOURCES) -> None:
        self._most = most
        self._held: OrderedDict[str, SourceMemory] = OrderedDict()

    def of(self, message: FrameMessage) -> SourceMemory:
        """The memory of a message's source, new for one that was not seen yet."""
        name = f"{message.role} {message.video or message.camera}"
        memory = self._held.setdefault(name, SourceMemory())
        self._held.move_to_end(name)
        if len(self._held) > self._most:
            self._held.popitem(last=False)
        return memory

    def forget(self) -> None:
        """Begins anew with every source: other processors have seen frames of theirs meanwhile."""
        self._held.clear()
