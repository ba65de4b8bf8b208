"""Subtitles: WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format") and SubRip (SRT), read as cues.

What is stored is the file as it came; what is given is always WebVTT or cues.
"""

import html
import re
from dataclasses import dataclass

from pipeline.errors import InputError

MOST_BYTES = 2 << 20  # of a file; the subtitles of a long film have 150 kB
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}")  # BCP 47, as far as subtitles need it
_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_RANGE = re.compile(rf"{_TIME}[ \t]+-->[ \t]+{_TIME}")
_TAG = re.compile(r"<[^<>\n]{0,200}>|\{\\[^{}\n]{0,200}\}")  # <i>, <v Name>, and the {\an8} of some SRT files
_NO_CUES = re.compile(r"(NOTE|STYLE|REGION)\b")


@dataclass(frozen=True)
class Cue:
    """A text shown over [start, end), seconds of the film. text: plain, lines separated by a line feed."""

    start: float
    end: float
    text: str


def read_cues(text: str, name: str = "subtitles") -> list[Cue]:
    """The cues of a WebVTT or SRT file, by start; those that end before they start, or are empty, are left out.

    name: for the message. Raises InputError for a text without any time range, or too long a one.
    """
    if len(text.encode()) > MOST_BYTES:
        raise InputError(f"{name} has more than {MOST_BYTES >> 20} MB; give a subtitle file")
    blocks = re.split(r"\n[ \t]*\n", text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n"))
    found = [cue for block in blocks if not _NO_CUES.match(block.lstrip()) for cue in _cues_of(block)]
    if not found and not any(_RANGE.search(block) for block in blocks):
        raise InputError(f"{name} is neither WebVTT nor SRT: no line has a time range (-->)")
    return sorted(found, key=lambda cue: (cue.start, cue.end))


def as_webvtt(cues: list[Cue]) -> str:
    """The cues as a WebVTT file."""
    parts = [f"{_stamp(cue.start)} --> {_stamp(cue.end)}\n{html.escape(cue.text, quote=False)}\n" for cue in cues]
    return "WEBVTT\n\n" + "\n".join(parts)


def check_language(language: str) -> str:
    """The language tag. Raises InputError when it is none."""
    if not LANGUAGE.fullmatch(language):
        raise InputError(f"{language!r} is no language tag; write it as in en, it or pt-BR")
    return language


def _cues_of(block: str) -> list[Cue]:
    """The cue of a block; several where blank lines between them are missing."""
    ranges = list(_RANGE.finditer(block))
    cues = []
    for k, found in enumerate(ranges):
        after = block.find("\n", found.end())
        stop = ranges[k + 1].start() if k + 1 < len(ranges) else len(block)
        lines = [] if after < 0 else block[after + 1 : stop].split("\n")
        if k + 1 < len(ranges):  # the line before a range is its number or name, or the empty end of this text
            lines = lines[:-1]
            lines = lines[:-1] if lines and lines[-1].strip().isdecimal() else lines
        start, end = (_seconds(found.group(*range(first, first + 4))) for first in (1, 5))
        plain = "\n".join(filter(None, (html.unescape(_TAG.sub("", line)).strip() for line in lines)))
        if plain and end > start:
            cues.append(Cue(start, end, plain))
    return cues


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds = (int(part or 0) for part in parts[:3])
    ms = int((parts[3] or "").ljust(3, "0"))
    return (((hours * 60 + minutes) * 60 + seconds) * 1000 + ms) / 1000


def _stamp(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"
