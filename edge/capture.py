"""A camera's frames, captured without end: reconnects when the source goes away, and says when each was captured."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.errors import MediaError
from pipeline.frames import Frame
from pipeline.logs import get_logger
from pipeline.media import probe, read_frames_at_pace
from pipeline.sources import locate

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0
SETTLED_SECONDS = 10.0  # of frames, after which the next failure is taken for a new one
DRIFT_SECONDS = 1.0  # of the source's clock against ours; further off, they are matched anew

log = get_logger(__name__)


@dataclass(frozen=True)
class CapturedFrame:
    """frame: as the source gives it. ts_ns: capture time, ns since the epoch, rising."""

    frame: Frame
    ts_ns: int


def capture(
    source: str, fps: float, loop: bool, stop: threading.Event, reconnected: Callable[[], None]
) -> Iterator[CapturedFrame]:
    """Frames of a source at its own pace, until told to stop; a file ends with its end, unless looped.

    fps: at most so many a second. reconnected: called before each new attempt.
    Raises MediaError when there is no such source, or when a file cannot be read; a live source that is away is tried
    again and again.
    """
    live = locate(source).live
    if not live:
        probe(source)
    wait, last_ns = FIRST_WAIT_SECONDS, 0
    while not stop.is_set():
        started = time.monotonic()
        try:
            for captured in _once(source, fps, last_ns):
                last_ns = captured.ts_ns
                yield captured
                if stop.is_set():
                    return
            if not live and not loop:
                return
            if not live:
                continue
            log.warning("the source ended, trying again", source=source)
        except MediaError as error:
            log.warning("the source is away, trying again", error=str(error))
        if time.monotonic() - started > SETTLED_SECONDS:
            wait = FIRST_WAIT_SECONDS
        reconnected()
        stop.wait(wait * random.uniform(0.7, 1.3))  # noqa: S311  cameras that failed together do not return together
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def _once(source: str, fps: float, after_ns: int) -> Iterator[CapturedFrame]:
    """The frames of one connection. Times are the source's own, laid on our clock where the first frame came."""
    origin_ns = 0
    for frame in read_frames_at_pace(source, max_fps=fps):
        now, offset = time.time_ns(), round(frame.pts_seconds * 1e9)
        if not origin_ns or abs(origin_ns + offset - now) > DRIFT_SECONDS * 1e9:
            origin_ns = now - offset
        after_ns = max(origin_ns + offset, after_ns + 1)
        yield CapturedFrame(frame, after_ns)
