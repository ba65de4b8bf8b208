"""What a film shows, in words: stretches of it, found by label without looking at any other film.

A recogniser labels a picture a second; what it says is smoothed over time into stretches. They are stored with their
video, and once more by label, best first, which is what a search reads.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import keys
from pipeline.encoder import Corners
from pipeline.frames import Frame
from pipeline.recogniser import Labels, Recogniser
from pipeline.store import Store

EVERY_SECONDS = 1.0  # a picture is labelled
SMOOTHED = 3  # pictures: a label must be likely over so many to begin, one picture alone proves nothing
BEGIN = 0.5  # smoothed probability at which a stretch begins, or the label's threshold where that is higher
END = 0.6  # of this: under which it ends
TOGETHER = 8  # pictures that are recognised together


@dataclass(frozen=True)
class Stretch:
    """A label over [start, end), seconds of the film. score: mean probability, 0..1."""

    label: str
    start: float
    end: float
    score: float


class Labeller:
    """Labels one film as its frames come, in their order."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._due = 0.0
        self._waiting: list[tuple[Frame, Corners]] = []
        self._seconds: list[float] = []
        self._said: list[Labels] = []

    def add(self, frames: Sequence[Frame], corners: Sequence[Corners]) -> None:
        """Takes frames, and where in each the film is; one a second is looked at."""
        for frame, inside in zip(frames, corners, strict=True):
            if frame.pts_seconds >= self._due:
                self._due = frame.pts_seconds + EVERY_SECONDS
                self._waiting.append((frame, inside))
        if len(self._waiting) >= TOGETHER:
            self._recognise()

    def stretches(self, end_seconds: float) -> list[Stretch]:
        """What was shown, when the film is over."""
        self._recognise()
        return smooth(self._seconds, self._said, end_seconds, self._recogniser.threshold)

    def _recognise(self) -> None:
        waiting, self._waiting = self._waiting, []
        images, places = [frame.image for frame, _ in waiting], [inside for _, inside in waiting]
        said = self._recogniser.recognise(images, places, share=END, most=len(self._recogniser.labels))
        self._seconds += [frame.pts_seconds for frame, _ in waiting]
        self._said += said


def smooth(
    seconds: Sequence[float],
    said: Sequence[Labels],
    end_seconds: float,
    threshold: Callable[[str], float] = lambda label: BEGIN,
) -> list[Stretch]:
    """Labels of pictures as stretches, by start and label.

    A label's probability (0 where it was not told) is averaged over `SMOOTHED` pictures, fewer at the film's ends; a
    stretch lasts from where this reaches `BEGIN`, or the label's threshold if that is higher, to where it falls under
    `END` of that.
    """
    names = sorted({name for labels in said for name, _ in labels})
    found: list[Stretch] = []
    ends = [*seconds[1:], end_seconds]
    for name in names:
        chance = np.array([dict(labels).get(name, 0.0) for labels in said])
        window = np.ones(min(SMOOTHED, len(chance)))
        smoothed = np.convolve(chance, window, "same") / np.convolve(np.ones(len(chance)), window, "same")
        for first, last in _held(smoothed, max(BEGIN, threshold(name))):
            score = float(chance[first : last + 1].mean())
            found.append(Stretch(name, float(seconds[first]), float(ends[last]), score))
    return sorted(found, key=lambda stretch: (stretch.start, stretch.label))


def _held(smoothed: "np.ndarray[Any, np.dtype[np.float64]]", begin: float) -> Iterator[tuple[int, int]]:
    """First and last place of each stretch, by hysteresis."""
    first: int | None = None
    for place, chance in enumerate(smoothed):
        if first is None and chance >= begin:
            first = place
        elif first is not None and chance < END * begin:
            yield first, place - 1
            first = None
    if first is not None:
        yield first, len(smoothed) - 1


class LabelStore:
    """The labels of all videos, by video and by label. Raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store, self._client = store, store.client

    def put(self, number: int, stretches: Sequence[Stretch]) -> None:
        """Stores the labels of the video with this number, in place of those that it had."""
        self.remove(number)
        if not stretches:
            return
        with self._store.errors():
            # 1. With the video, so that what follows can be undone. 2. By label.
            self._client.set(keys.labels(number), _text(stretches))
            pipe = self._client.pipeline(transaction=True)
            for stretch in stretches:
                pipe.zadd(keys.label(stretch.label), {_member(number, stretch): stretch.score})
                pipe.hincrby(keys.LABELS, stretch.label, 1)
            pipe.execute()

    def of(self, number: int) -> list[Stretch]:
        """The labels of a video, by start."""
        with self._store.errors():
            text: Any = self._client.get(keys.labels(number))
        return _stretches(text) if text else []

    def remove(self, number: int) -> None:
        """Deletes the labels of a video."""
        stretches = self.of(number)
        if not stretches:
            return
        with self._store.errors():
            pipe = self._client.pipeline(transaction=True)
            for stretch in stretches:
                pipe.zrem(keys.label(stretch.label), _member(number, stretch))
            gone = pipe.execute()
            counts = self._client.pipeline(transaction=True)
            for stretch, there in zip(stretches, gone, strict=True):
                if there:
                    counts.hincrby(keys.LABELS, stretch.label, -1)
            counts.execute()
            self._client.delete(keys.labels(number))

    def names(self) -> dict[str, int]:
        """All labels, and how many stretches have each."""
        with self._store.errors():
            stored: Any = self._client.hgetall(keys.LABELS)
        return {name.decode(): int(count) for name, count in sorted(stored.items()) if int(count) > 0}

    def faults(self, numbers: Sequence[int], is_new: Callable[[int], bool], mend: bool) -> Iterator[tuple[int, str]]:
        """Where the labels of videos and those by label differ: (number, what).

        numbers: of all visible videos. is_new: whether another number came meanwhile, which is left alone.
        """
        wanted = {number: self.of(number) for number in numbers}
        with self._store.errors():
            there: set[tuple[str, str]] = set()
            for name in self._client.scan_iter(match=keys.label("*"), count=1000):
                label = bytes(name).decode().removeprefix(keys.label(""))
                there |= {(label, member.decode()) for member in self._client.zrange(name, 0, -1)}  # type: ignore[union-attr]
        for number, stretches in wanted.items():
            own = {(stretch.label, _member(number, stretch)) for stretch in stretches}
            missing, there = own - there, there - own
            if missing:
                if mend:
                    self.put(number, stretches)
                yield number, f"{len(missing)} of its labels cannot be found"
        for label, member in sorted(there):
            if is_new(int(member.partition(":")[0])):
                continue
            if mend:
                with self._store.errors():
                    self._client.zrem(keys.label(label), member)
                    self._client.hincrby(keys.LABELS, label, -1)
            yield int(member.partition(":")[0]), f"label {label!r} of a video that is not there, or has it no more"

    def find(self, label: str, most: int) -> list[tuple[int, Stretch]]:
        """The best stretches of a label, each with its video's number; some may be of videos that are gone."""
        with self._store.errors():
            found: Any = self._client.zrange(keys.label(label), 0, most - 1, desc=True, withscores=True)
        return [(number, Stretch(label, start, end, score)) for (number, start, end), score in map(_parsed, found)]


def _text(stretches: Sequence[Stretch]) -> str:
    rows = [[s.label, round(s.start * 10), round(s.end * 10), round(s.score, 3)] for s in stretches]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def _stretches(text: bytes) -> list[Stretch]:
    return [Stretch(label, start / 10, end / 10, score) for label, start, end, score in json.loads(text)]


def _member(number: int, stretch: Stretch) -> str:
    return f"{number}:{round(stretch.start * 10)}:{round(stretch.end * 10)}"


def _parsed(entry: tuple[bytes, float]) -> tuple[tuple[int, float, float], float]:
    number, start, end = (int(part) for part in entry[0].split(b":"))
    return (number, start / 10, end / 10), float(entry[1])
