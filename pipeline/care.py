"""Whether the catalogue is whole, and mending it: every invariant between records, tracks and the look-up table.

every video has its number, every number its video
a track has as many runs as its record says
the look-up table holds exactly the postings that follow from every track, but for those of common codes (stop words)
the labels of videos and the videos of labels are the same, so are the words that subtitles say and the videos of words
nothing is stored under a number that neither is in the catalogue nor is being worked on
the count of postings is the sum over all videos, that of a partition of the table what its buckets hold
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import keys
from pipeline.buckets import mix
from pipeline.codes import CodeArray
from pipeline.errors import MissingError
from pipeline.labels import LabelStore
from pipeline.library import Library
from pipeline.postings import COMMON, Postings
from pipeline.spoken_words import SpokenWords, words_said
from pipeline.store import Store
from pipeline.videos import VideoRecord

COMMON_NOW = COMMON // 4  # postings of a code that may have been a stop word before others of it were removed
_ODD = np.uint64(0x9E3779B97F4A7C15)  # spreads a posting over 64 bits, so that a sum tells sets of them apart


@dataclass(frozen=True)
class Fault:
    """One invariant that does not hold. video: its id, or the number under which something is stored.

    mended: by `mend`; else indexing the film again does it.
    """

    video: str
    text: str
    mended: bool = False


@dataclass
class _Tally:
    """Of one number's postings: how many, and a sum that tells which."""

    count: int = 0
    sum: int = 0


class Care:
    """Checks and mends a catalogue. Raises StoreError when the store fails, or a bucket cannot be read at all."""

    def __init__(self, store: Store) -> None:
        self._store, self._client = store, store.client
        self._library = Library(store)

    def check(self, mend: bool = False) -> list[Fault]:
        """All faults. mend: each is mended where it can be. What is being indexed meanwhile is left alone."""
        if mend:
            self._library.recover()
        records = self._library.videos()
        faults = [*self._numbers(records, mend), *self._postings(records, mend), *self._strays(mend)]
        faults += [*self._labels(records, mend), *self._words(records, mend)]
        return [*faults, *self._count(mend), *self._partitions(mend)]

    def _numbers(self, records: list[VideoRecord], mend: bool) -> Iterator[Fault]:
        with self._store.errors():
            stored = {int(number): name.decode() for number, name in self._client.hgetall(keys.NUMBERS).items()}  # type: ignore[union-attr]
            wanted = {record.number: record.id for record in records}
            for number, video in wanted.items():
                if stored.get(number) != video:
                    if mend:
                        self._client.hset(keys.NUMBERS, str(number), video)
                    yield Fault(video, f"its number {number} does not lead to it", mend)
            for number in stored.keys() - wanted.keys() - self._library.in_work():
                if self._library.find(stored[number]) is None:
                    if mend:
                        self._client.hdel(keys.NUMBERS, str(number))
                    yield Fault(stored[number], f"number {number} leads to a video that is not there", mend)

    def _postings(self, records: list[VideoRecord], mend: bool) -> Iterator[Fault]:
        tallies, common = self._tally()
        faulty: list[Postings] = []
        for record in records:
            track, _ = self._library.whole_track(record.number)
            tally = tallies.get(record.number, _Tally())
            if self._library.find(record.id) != record:  # it was replaced or removed meanwhile
                continue
            if record.is_live:  # it changes every second
                continue
            postings = Postings.of_track(record.number, track)
            if len(track) != record.runs:
                yield Fault(record.id, f"its track has {len(track)} runs instead of {record.runs}")
            elif tally != _wanted(postings, common):
                faulty.append(postings)
                text = f"{tally.count} postings that are not the {record.postings} of its track"
                yield Fault(record.id, text, mend)
        known = {record.number for record in records} | self._library.in_work()
        strays = [number for number in sorted(tallies.keys() - known) if not self._library.resolve([number])]
        for number in strays:
            yield Fault(f"number {number}", f"{tallies[number].count} postings of a video that is not there", mend)
        if mend and (faulty or strays):
            self._library.lut.remove_all([*strays, *(postings.video_number for postings in faulty)])
            for postings in faulty:
                self._library.lut.add(postings)

    def _tally(self) -> tuple[dict[int, _Tally], CodeArray]:
        """One pass over the table: what each number has in it, and the mixed codes that are common.

        Of a common code the table holds only some postings, so that they are not counted.
        """
        tallies: dict[int, _Tally] = defaultdict(_Tally)
        common: list[CodeArray] = []
        for contents in self._library.lut.scan():
            codes, at, times = np.unique(contents.mixed, return_inverse=True, return_counts=True)
            common.append(codes[times >= COMMON_NOW])
            counted = times[at] < COMMON_NOW
            spread = _spread(contents.mixed[counted], contents.ticks[counted])
            numbers, place = np.unique(contents.numbers[counted], return_inverse=True)
            sums = np.zeros(len(numbers), np.uint64)
            np.add.at(sums, place, spread)
            counts = np.bincount(place, minlength=len(numbers))
            for number, count, total in zip(numbers.tolist(), counts.tolist(), sums.tolist(), strict=True):
                tally = tallies[number]
                tally.count, tally.sum = tally.count + count, (tally.sum + total) % 2**64
        return dict(tallies), np.concatenate(common)

    def _strays(self, mend: bool) -> Iterator[Fault]:
        for pattern in (keys.TRACKS, keys.MOTIONS, keys.SUBTITLES, keys.POSTERS, keys.LABELS_OF_VIDEOS, keys.SPOKEN):
            with self._store.errors():
                names = [bytes(name) for name in self._client.scan_iter(match=pattern, count=1000)]
            for name in sorted(names):
                number = keys.number_in(name)
                if number in self._library.in_work() or self._library.resolve([number]):
                    continue
                if mend:
                    with self._store.errors():
                        self._client.delete(name)
                yield Fault(f"number {number}", f"{name.decode()} of a video that is not there", mend)

    def _labels(self, records: list[VideoRecord], mend: bool) -> Iterator[Fault]:
        names = {record.number: record.id for record in records}
        for number, text in LabelStore(self._store).faults(list(names), self._came_after(names), mend):
            yield Fault(names.get(number, f"number {number}"), text, mend)

    def _words(self, records: list[VideoRecord], mend: bool) -> Iterator[Fault]:
        names = {record.number: record.id for record in records}
        wanted: dict[int, set[str]] = {}
        for record in records:
            try:
                texts = [self._library.subtitles(record.id, language) for language in record.subtitles]
            except MissingError:  # removed meanwhile, or what is missing is told as something else
                continue
            wanted[record.number] = words_said(texts)
        for number, text in SpokenWords(self._store).faults(wanted, self._came_after(names), mend):
            yield Fault(names.get(number, f"number {number}"), text, mend)

    def _came_after(self, names: Mapping[int, str]) -> Callable[[int], bool]:
        """Whether a number belongs to a video that came since those names were read."""

        def is_new(number: int) -> bool:
            return number not in names and (number in self._library.in_work() or bool(self._library.resolve([number])))

        return is_new

    def _count(self, mend: bool) -> Iterator[Fault]:
        def read(pipe: Any) -> tuple[int, int]:
            stored = int(pipe.get(keys.POSTINGS) or 0)
            wanted = sum(record.postings for record in self._library.videos())
            pipe.multi()
            if mend and stored != wanted:
                pipe.set(keys.POSTINGS, wanted)
            return stored, wanted

        with self._store.errors():
            stored, wanted = self._store.transaction(read, keys.POSTINGS, keys.VIDEOS)
        if stored != wanted:
            yield Fault("catalogue", f"it counts {stored} postings instead of {wanted}", mend)

    def _partitions(self, mend: bool) -> Iterator[Fault]:
        for stray in list(self._library.lut.partitions.stray_buckets()):
            if mend:
                self._library.lut.partitions.delete_stray(*stray)
            yield Fault("catalogue", f"bucket {stray[2]:x} of partition {stray[0]} belongs to no table", mend)
        for state, count in self._library.lut.partitions.miscounted(mend):
            yield Fault("catalogue", f"a partition counts {state.postings} postings instead of {count}", mend)


def _wanted(postings: Postings, common: CodeArray) -> _Tally:
    """What the tally of a video's postings should be."""
    mixed = mix(postings.codes)
    counted = ~np.isin(mixed, common)
    spread = _spread(mixed[counted], postings.ticks[counted])
    return _Tally(len(spread), int(spread.sum(dtype=np.uint64)))


def _spread(mixed: CodeArray, ticks: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """A posting as one number, uint64 (N,)."""
    value = (mixed.astype(np.uint64) << np.uint64(32)) | ticks.astype(np.uint64)
    value = (value ^ (value >> np.uint64(29))) * _ODD
    return value ^ (value >> np.uint64(32))
