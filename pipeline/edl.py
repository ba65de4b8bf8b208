"""Clips as an edit decision list (CMX 3600), which editing programs load: each clip in turn, cut to cut.

A line an event, its fields apart by blanks: number, reel, track V, cut C, source in and out, record in and out. Each
film has a reel of its own, eight letters or digits, and its file's name in a comment, by which most programs find it.
All time codes of a list are of one rate, which the list does not tell but for FCM: load it at the rate it was made for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.timecodes import Rate

MOST_EVENTS = 999  # the format's numbers have three digits
REEL_LETTERS = 8
MIDNIGHT = "00:00:00:00"
UNNAMED = "FILM"
SPECIAL = {"AX", "BL", "BLACK", "BARS"}  # reels that are no film's


@dataclass(frozen=True)
class Clip:
    """A part [start, end) of a film, seconds. file: the film's file name.

    film_seconds: the film's length, where it is known. begins: the time code of the film's first frame.
    """

    file: str
    title: str
    start: float
    end: float
    film_seconds: float = float("inf")
    begins: str = MIDNIGHT


def edit_list(title: str, clips: Sequence[Clip], rate: Rate) -> str:
    """The list as text, its record starting at 0. A clip lasts a frame at least, and ends with its film."""
    lines = [f"TITLE: {_line(title)[:70]}", f"FCM: {'DROP FRAME' if rate.drop else 'NON-DROP FRAME'}", ""]
    reels, record = _reels(clips), 0
    for number, clip in enumerate(clips[:MOST_EVENTS], 1):
        first, last = _frames(clip, rate)
        source = rate.frame(clip.begins) + first
        times = (source, source + last - first, record, record + last - first)
        record += last - first
        shown = " ".join(map(rate.text, times))
        lines.append(f"{number:03}  {reels[clip.file]:<{REEL_LETTERS}} V     C        {shown}")
        lines += [f"* FROM CLIP NAME: {_line(clip.file)}", f"* COMMENT: {_line(clip.title)}", ""]
    return "\n".join(lines)


def _frames(clip: Clip, rate: Rate) -> tuple[int, int]:
    """The first frame of a clip, and the one after its last, counted from the film's first."""
    first, last = round(clip.start * rate.fps), round(clip.end * rate.fps)
    if clip.film_seconds < clip.end + 1:
        length = max(int(clip.film_seconds * rate.fps + 0.01), 1)  # frames, of which the last may be cut short
        last, first = min(last, length), min(first, length - 1)
    return first, max(last, first + 1)


def _reels(clips: Sequence[Clip]) -> dict[str, str]:
    """A reel for each file: the first letters of its name, and a number where another has the same."""
    reels: dict[str, str] = {}
    for file in dict.fromkeys(clip.file for clip in clips):
        name = re.sub(r"[^A-Z0-9]", "", file.rpartition(".")[0].upper() or file.upper())[:REEL_LETTERS] or UNNAMED
        reel, number = name, 1
        while reel in reels.values() or reel in SPECIAL:
            number += 1
            reel = f"{name[: REEL_LETTERS - len(str(number))]}{number}"
        reels[file] = reel
    return reels


def _line(text: str) -> str:
    return " ".join(text.split())
