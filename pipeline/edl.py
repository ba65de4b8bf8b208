"""Clips as an edit decision list (CMX 3600), which editing programs load: each clip in turn, cut to cut.

The format is that of the CMX 3600 editor as OpenTimelineIO's adapter describes it: event number, reel, track, cut,
source in and out, record in and out, all in hours:minutes:seconds:frames; the clip's file is in a comment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_EVENTS = 999  # the format's numbers have three digits


@dataclass(frozen=True)
class Clip:
    """A part [start, end) of a film, seconds. file: the film's file name."""

    file: str
    title: str
    start: float
    end: float


def edit_list(title: str, clips: Sequence[Clip], fps: int = 25) -> str:
    """The list as text. fps: of its time codes, whole frames a second. Clips shorter than a frame last one."""
    lines = [f"TITLE: {' '.join(title.split())[:70]}", "FCM: NON-DROP FRAME", ""]
    record = 0
    for number, clip in enumerate(clips[:MOST_EVENTS], 1):
        first = round(clip.start * fps)
        length = max(round(clip.end * fps) - first, 1)
        times = (first, first + length, record, record + length)
        record += length
        lines.append(f"{number:03}  AX       V     C        {' '.join(timecode(frame, fps) for frame in times)}")
        lines += [f"* FROM CLIP NAME: {clip.file}", f"* COMMENT: {' '.join(clip.title.split())}", ""]
    return "\n".join(lines)


def timecode(frame: int, fps: int) -> str:
    """hh:mm:ss:ff of a frame, without dropping numbers."""
    seconds, frames = divmod(frame, fps)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frames:02}"
