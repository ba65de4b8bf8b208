"""Postings of the look-up table, and the definition of what a look-up finds."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.codes import CodeArray
from pipeline.tracks import Track

TICK_MS = 125  # a posting tells the moment as finely as this; votes are counted in bins of half a second
LATEST_TICK = 2**24 - 1  # 24 days
COMMON = 512  # postings of one code; it is a stop word then (black frames, titles), and further ones are left out


@dataclass(frozen=True)
class Postings:
    """Where one video has which codes. codes: uint32 (N,). ticks: uint32 (N,), moments in steps of `TICK_MS`.

    Raises ValueError when the sizes differ or a tick is later than `LATEST_TICK`.
    """

    video_number: int
    codes: CodeArray = field(repr=False)
    ticks: npt.NDArray[np.uint32] = field(repr=False)

    def __post_init__(self) -> None:
        if self.codes.shape != self.ticks.shape:
            raise ValueError(f"sizes differ: {self.codes.shape = }, {self.ticks.shape = }")
        if len(self.ticks) and int(self.ticks.max()) > LATEST_TICK:
            raise ValueError(f"a moment is later than the table can tell: {int(self.ticks.max())} ticks")

    def __len__(self) -> int:
        return len(self.codes)

    @staticmethod
    def of_track(video_number: int, track: Track) -> "Postings":
        """What the table holds of a video: a posting for each run of its track.

        Fewer, 0.4 s apart, find as much after five seconds and less after one: fast scenes have short runs.
        """
        return Postings(video_number, track.codes, track.start_ms // np.uint32(TICK_MS))

    def part(self, chosen: slice) -> "Postings":
        """Some of them."""
        return Postings(self.video_number, self.codes[chosen], self.ticks[chosen])


@dataclass(frozen=True)
class Hits:
    """Postings found: probe int64 (K,), place in the array asked for; video_numbers, start_ms uint32 (K,)."""

    probe: npt.NDArray[np.int64]
    video_numbers: npt.NDArray[np.uint32]
    start_ms: npt.NDArray[np.uint32]


class Lut(Protocol):
    """A set of postings; of a code at most `COMMON`."""

    def add(self, postings: Postings) -> None:
        """Adds postings; those that are there already change nothing, so that a call may be repeated."""

    def lookup(self, codes: CodeArray) -> Hits:
        """All postings with exactly these codes, uint32 (P,); a code asked twice gets its hits twice."""

    def remove(self, video_number: int, codes: CodeArray) -> None:
        """Removes the video's postings that have these codes; it may remove others of the video, too.

        To remove a video, give all its codes.
        """


class MemoryLut:
    """The definition: a scan over all postings."""

    def __init__(self) -> None:
        self._codes = np.empty(0, np.uint32)
        self._numbers = np.empty(0, np.uint32)
        self._ticks = np.empty(0, np.uint32)

    def add(self, postings: Postings) -> None:
        """See `Lut.add`."""
        numbers = np.full(len(postings), postings.video_number, np.uint32)
        codes = np.concatenate([self._codes, postings.codes])
        everything = np.stack([codes, np.append(self._numbers, numbers), np.append(self._ticks, postings.ticks)])
        _, first = np.unique(everything, axis=1, return_index=True)
        first = np.sort(first)
        kept = first[_place_among_equals(codes[first]) < COMMON]
        self._codes, self._numbers, self._ticks = everything[:, kept]

    def lookup(self, codes: CodeArray) -> Hits:
        """See `Lut.lookup`."""
        probe, place = np.nonzero(codes[:, None] == self._codes[None])
        return Hits(probe, self._numbers[place], self._ticks[place] * np.uint32(TICK_MS))

    def remove(self, video_number: int, codes: CodeArray) -> None:
        """See `Lut.remove`."""
        kept = (self._numbers != video_number) | ~np.isin(self._codes, codes)
        self._codes, self._numbers, self._ticks = self._codes[kept], self._numbers[kept], self._ticks[kept]


def _place_among_equals(codes: CodeArray) -> npt.NDArray[np.int64]:
    """How many equal codes stand before each, int64 (N,)."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    place = np.empty(len(codes), np.int64)
    place[order] = np.arange(len(codes)) - np.searchsorted(ordered, ordered)
    return place
