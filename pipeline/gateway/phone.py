"""One phone that is connected: its frames in, events for it out."""

import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import simplejpeg

from pipeline.camera_follower import JUMP_SECONDS, LEAST_STEP_SECONDS
from pipeline.detector import Sighting
from pipeline.encoder import FrameEncoder
from pipeline.errors import InputError
from pipeline.film_labels import FilmLabels
from pipeline.frames import Frame, RgbImage
from pipeline.jpeg import decode_jpeg
from pipeline.live_wire import LAST_MS, unpack_frames
from pipeline.matching import Matcher
from pipeline.messages import BadMessage
from pipeline.query import Query
from pipeline.session import LIVE_STEP_SECONDS, LIVE_WINDOW_SECONDS, Evidence, LiveDecider, LiveEvent
from pipeline.videos import VideoRecord
from pipeline.views import CodedFrame, ViewWindow

Event = dict[str, Any]  # as it goes to the phone
Tell = Callable[[Event], None]

MOST_MESSAGE = 40 * 8 * 10  # bytes of codes: what a phone has coded in a second, with all readings
MOST_JPEG, MOST_JPEG_SIDE = 512 << 10, 1280  # bytes and pixels of a picture
MOST_WAITING = 100  # frames that wait for a decision, beyond a window's worth the oldest go
HELD_STEP_SECONDS = 1.0  # between decisions while an answer holds; before, and after, twice a second
PATIENT_SECONDS, PATIENT_STEP_SECONDS = 8.0, 1.0  # a phone that films nothing known for so long is asked less often
PICTURE_STEP_SECONDS = 0.18  # between pictures that are coded: five a second say all, a view at a time
RECORD_SECONDS = 10.0  # for which the record of a video is remembered


class Names(Protocol):
    """Where the records of videos come from."""

    def resolve(self, numbers: Sequence[int]) -> dict[int, VideoRecord]:
        """The records of those numbers that are in the catalogue."""


class RecordCache:
    """Records of videos, for some seconds; a phone is told a title every two."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known: dict[int, tuple[float, VideoRecord | None]] = {}

    def get(self, number: int) -> VideoRecord | None:
        """The record; None when it is not in the catalogue."""
        now = time.monotonic()
        at, record = self._known.get(number, (-RECORD_SECONDS, None))
        if now - at >= RECORD_SECONDS:
            record = self._names.resolve([number]).get(number)
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[number] = (now, record)
        return record


@dataclass(frozen=True)
class Picture:
    """A JPEG picture and its time on the phone's clock, seconds."""

    data: bytes
    pts_seconds: float


class Phone:
    """What one session knows. `add` is called by the connection, `work` by a decider, one at a time.

    films: what films show. tell: takes an event for the phone; called from a decider's thread.
    """

    def __init__(self, matcher: Matcher, records: RecordCache, films: FilmLabels, tell: Tell) -> None:
        self._matcher, self._records, self._films, self.tell = matcher, records, films, tell
        self._lock = threading.Lock()
        self._waiting: list[CodedFrame] = []
        self._last = -1.0  # seconds of the newest frame that was taken
        self._began = 0.0
        self._decided = -1.0
        self._followed: int | None = None  # the reading that the phone was told to send alone
        self._told: int | None = None  # number of the video that the phone was told of
        self._untold: list[LiveEvent] = []
        self._decider = LiveDecider(self._new_evidence(), matcher)

    # The connection's side

    def add(self, message: bytes) -> bool:
        """Takes a message. Returns whether a decision is due. Raises InputError for one that is none."""
        if len(message) > MOST_MESSAGE:
            raise InputError(f"a message of codes has at most {MOST_MESSAGE} bytes, this one {len(message)}")
        frames = unpack_frames(message)
        with self._lock:
            for frame in frames:
                if not 0 <= frame.pts_seconds - self._newest() < LEAST_STEP_SECONDS:
                    self._waiting.append(frame)
            del self._waiting[:-MOST_WAITING]
            return self._is_due(self._newest())

    def _newest(self) -> float:
        return self._waiting[-1].pts_seconds if self._waiting else self._last

    def _is_due(self, newest: float) -> bool:
        return not 0 <= newest - self._decided < self._step(newest) * 0.95

    def _step(self, now: float) -> float:
        if self._decider.current is not None:
            return HELD_STEP_SECONDS
        patient = now - max(self._began, self._decider.held_at) > PATIENT_SECONDS
        return PATIENT_STEP_SECONDS if patient else LIVE_STEP_SECONDS

    # The decider's side

    def work(self) -> None:
        """Weighs what waits, decides, and tells. Raises StoreError; then all is weighed again with what comes."""
        with self._lock:
            frames, self._waiting = self._waiting, []
        for frame in frames:
            self._take(frame.pts_seconds)
            self._window.add([frame])
        self._decide()

    def _take(self, at: float) -> None:
        """Notes a frame's time; begins anew where the clock jumps."""
        if self._last < 0 or not 0 <= at - self._last < JUMP_SECONDS:
            self._tell(self._decider.end())
            self._begin(at)
        self._last = at

    def _begin(self, at: float) -> None:
        self._decider = LiveDecider(self._new_evidence(), self._matcher, at=at)
        self._decided = self._began = at

    def _new_evidence(self) -> Evidence:
        self._window = ViewWindow(LIVE_WINDOW_SECONDS)
        return self._window

    def _decide(self) -> None:
        if not self._is_due(self._last):
            return
        self._decided = self._last
        self._tell(self._decider.decide())
        self._follow()

    def _follow(self) -> None:
        """Says which reading is enough from now on."""
        view = self._decider.current.view if self._decider.current else None
        if view != self._followed:
            self._followed = view
            self.tell({"event": "follow", "reading": view})

    def _tell(self, events: Sequence[LiveEvent]) -> None:
        """Tells events, and first those that could not be named while Redis was away."""
        self._untold += events
        while self._untold:
            event = self._untold[0]
            self.tell(self._document(event))
            del self._untold[0]
            if event.event == "lost":
                self.tell({"event": "searching", "t": round(event.at * 1000)})

    def _document(self, event: LiveEvent) -> Event:
        record, match = self._records.get(event.match.number), event.match
        document: Event = {
            "event": self._name(event),
            "t": round(event.at * 1000),
            "video": record.id if record else "(removed)",
            "title": record.title if record else "(removed)",
            "at_seconds": round(match.film_seconds(event.at), 3),
        }
        if event.event == "lost":
            self._told = None
            return document
        labels = self._films.at(match.number, match.film_seconds(event.at))
        self._told = match.number
        return document | {
            "speed": round(match.speed, 4),
            "confidence": round(match.confidence, 6),
            "duration_seconds": record.duration_seconds if record else 0.0,
            "languages": list(record.subtitles) if record else [],
            "reading": match.view,
            "labels": labels,
        }

    def _name(self, event: LiveEvent) -> str:
        """A jump within the film that is on is `moved`."""
        return "moved" if event.event == "found" and event.match.number == self._told else event.event


class PicturePhone(Phone):
    """A phone that sends pictures, since it cannot code them itself."""

    def __init__(
        self, matcher: Matcher, records: RecordCache, films: FilmLabels, tell: Tell, encoder: FrameEncoder
    ) -> None:
        self._encoder = encoder
        self._pictures: list[Picture] = []
        super().__init__(matcher, records, films, tell)

    def add(self, message: bytes) -> bool:
        """Takes a message: uint32 time in ms, then a JPEG picture. The newest alone waits."""
        if len(message) > MOST_JPEG + 4:
            raise InputError(f"a picture has at most {MOST_JPEG >> 10} kB, this one {len(message) >> 10}")
        if len(message) < 6 or message[4:6] != b"\xff\xd8":
            raise InputError("a message is a time as uint32 in ms, and a JPEG picture")
        seconds = (struct.unpack_from("<I", message)[0] & LAST_MS) / 1000
        if not 0 <= seconds - self._last < PICTURE_STEP_SECONDS:
            self._pictures = [Picture(message[4:], seconds)]
        return bool(self._pictures)

    def work(self) -> None:
        """Codes the newest picture, decides, and tells; also where the screen is."""
        pictures, self._pictures = self._pictures, []
        for picture in pictures:
            image = _decoded(picture.data)
            self._take(picture.pts_seconds)
            self._query.add([Frame(image, picture.pts_seconds)])
            self._tell_screen(self._query.screens[-1], image, picture.pts_seconds)
        if pictures:
            self._decide()

    def _new_evidence(self) -> Evidence:
        self._query = Query(self._encoder, LIVE_WINDOW_SECONDS)
        return self._query

    def _tell_screen(self, screen: Sighting | None, image: RgbImage, at: float) -> None:
        corners, confidence = None, 0.0
        if screen is not None:
            size = np.array(image.shape[1::-1], np.float64)
            corners, confidence = np.round(screen.corners / size, 4).tolist(), round(screen.confidence, 3)
        self.tell({"event": "screen", "t": round(at * 1000), "corners": corners, "confidence": confidence})


def _decoded(data: bytes) -> RgbImage:
    """Raises InputError for what is no picture, or one that is larger than agreed."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        if max(height, width) > MOST_JPEG_SIDE:
            raise InputError(f"a picture has at most {MOST_JPEG_SIDE} pixels a side, this one {max(height, width)}")
        return decode_jpeg(data)
    except BadMessage as error:
        raise InputError(str(error)) from None
    except (ValueError, KeyError):
        raise InputError("the picture is no JPEG that can be read") from None
