"""The look-up table in Redis: code -> (video, moment), in packed binary postings.

A bucket is a string of records (`pipeline.buckets`), a few dozen, so that its key costs little. It is always written
whole, since APPEND leaves a string half empty.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import keys
from pipeline.buckets import (
    PARTITIONS,
    RECORD_BYTES,
    buckets_of,
    mix,
    mixed_of,
    pack,
    partitions_of,
    shared_bits,
    tags,
    ticks_of,
)
from pipeline.codes import CodeArray
from pipeline.errors import StoreError
from pipeline.lut_scripts import ADD, DISCARD, REMOVE, Script
from pipeline.partitions import MOST_TRIES, Contents, Partitions, State, groups
from pipeline.postings import TICK_MS, Hits, Postings
from pipeline.store import Store

CHANGED_TOGETHER = 10_000  # postings in one pipeline of changes: about 10 MB on the server's wire and in its file
MOST_TURNS = 4  # codes of one bucket that are compared one after the other


class RedisLut:
    """The table in a store.

    Every method raises StoreError when the store fails or the table is damaged; then `add` and `remove` may be half
    done.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.partitions = Partitions(store)

    def add(self, postings: Postings) -> None:
        """See `Lut.add`. In pipelines; partitions that are full afterwards grow."""
        for start in range(0, len(postings), CHANGED_TOGETHER):
            self.partitions.grow(self._change(ADD, postings.part(slice(start, start + CHANGED_TOGETHER))))

    def discard(self, postings: Postings) -> None:
        """Takes exactly these postings out; those that are not there change nothing."""
        for start in range(0, len(postings), CHANGED_TOGETHER):
            self._change(DISCARD, postings.part(slice(start, start + CHANGED_TOGETHER)))

    def _change(self, script: Script, postings: Postings) -> list[int]:
        """Runs a script with the records of postings; returns the partitions that it touched."""
        places = np.unique((mix(postings.codes).astype(np.uint64) << np.uint64(32)) | postings.ticks)
        mixed = (places >> np.uint64(32)).astype(np.uint32)
        records = pack(mixed, postings.video_number, places.astype(np.uint32))
        bounds = np.searchsorted(partitions_of(mixed), np.arange(PARTITIONS + 1))

        def change(partition: int, state: State) -> tuple[list[str], list[Any]]:
            mine = slice(bounds[partition], bounds[partition + 1])
            buckets, starts = groups(buckets_of(mixed[mine], np.full(len(mixed[mine]), state.buckets)))
            packed = records[mine].tobytes()
            ends = [*(starts[1:] * RECORD_BYTES).tolist(), len(packed)]
            parts = [packed[start:end] for start, end in zip((starts * RECORD_BYTES).tolist(), ends, strict=True)]
            return [keys.bucket(tags()[partition], state.generation, bucket) for bucket in buckets.tolist()], parts

        touched = np.flatnonzero(np.diff(bounds)).tolist()
        self.partitions.run(script, change, touched)
        return touched

    def lookup(self, codes: CodeArray) -> Hits:
        """See `Lut.lookup`. One round trip, unless the table has grown; each bucket is fetched once."""
        distinct, asked = np.unique(mix(codes), return_inverse=True)  # sorted by partition, then as in it
        found, place = self._fetch(distinct)
        # the hits of each distinct code, in the order of `distinct`
        order = np.argsort(place, kind="stable")
        counts = np.bincount(place, minlength=len(distinct))
        first = np.cumsum(counts) - counts
        count = counts[asked]
        probe = np.repeat(np.arange(len(codes)), count)
        within = np.arange(len(probe)) - np.repeat(np.cumsum(count) - count, count)
        hits = order[np.repeat(first[asked], count) + within]
        return Hits(probe, found.numbers[hits], found.ticks[hits] * np.uint32(TICK_MS))

    def remove(self, video_number: int, codes: CodeArray) -> None:
        """See `Lut.remove`. Each partition in one atomic step."""
        self._remove(video_number, np.unique(mix(codes)))

    def remove_all(self, video_numbers: Sequence[int]) -> None:
        """Removes all postings of these videos, whatever their codes: a pass over the whole table."""
        for contents in self.scan():
            self.remove_from(video_numbers, contents)

    def remove_from(self, video_numbers: Sequence[int], contents: Contents) -> None:
        """Removes the postings of these videos that are among the contents."""
        for number in np.intersect1d(contents.numbers, np.array(video_numbers, np.uint32)).tolist():
            self._remove(number, np.unique(contents.mixed[contents.numbers == number]))

    def _remove(self, video_number: int, mixed: CodeArray) -> None:
        bounds = np.searchsorted(partitions_of(mixed), np.arange(PARTITIONS + 1))
        needle = int(video_number).to_bytes(4, "little")

        def change(partition: int, state: State) -> tuple[list[str], list[Any]]:
            mine = mixed[bounds[partition] : bounds[partition + 1]]
            buckets, _ = groups(buckets_of(mine, np.full(len(mine), state.buckets)))
            return [keys.bucket(tags()[partition], state.generation, bucket) for bucket in buckets.tolist()], [needle]

        self.partitions.run(REMOVE, change, np.flatnonzero(np.diff(bounds)).tolist())

    def scan(self) -> Iterator[Contents]:
        """All that is stored, a partition at a time, each as it was at one moment or while it grew."""
        for partition in range(PARTITIONS):
            yield self.partitions.contents(partition)

    def _fetch(self, mixed: CodeArray) -> tuple[Contents, npt.NDArray[np.int64]]:
        """The postings with these mixed codes, which are sorted and distinct, and the place of each posting's code."""
        partitions = partitions_of(mixed)
        for _ in range(MOST_TRIES):
            sizes = np.array([state.buckets for state in self.partitions.known], np.int64)
            buckets = buckets_of(mixed, sizes[partitions])
            _, starts = groups((partitions << np.int64(32)) | buckets)
            packed = self.partitions.buckets(partitions[starts], buckets[starts])
            if packed is not None:
                return _wanted(mixed, starts, *packed)
        raise StoreError(f"{self._store.address}: the look-up table changes too fast; try again")


def _wanted(
    mixed: CodeArray, starts: npt.NDArray[np.int64], records: npt.NDArray[np.void], counts: npt.NDArray[np.int64]
) -> tuple[Contents, npt.NDArray[np.int64]]:
    """Of the records of buckets those with the codes asked for, and the place of each one's code in `mixed`.

    starts: int64 (B,), where the codes of each bucket start in `mixed`; most buckets were fetched for one code.
    """
    bucket = np.repeat(np.arange(len(counts)), counts)
    asked = np.diff(starts, append=len(mixed))  # codes of each bucket
    low = mixed & np.uint32(0xFFFF)
    high = (mixed >> np.uint32(16)) & np.uint32(0xFF)
    found: list[npt.NDArray[np.int64]] = []
    places: list[npt.NDArray[np.int64]] = []
    for turn in range(int(asked.max(initial=0))):  # the first code of every bucket, the second of those that have two
        if turn == MOST_TURNS:
            return _wanted_by_search(mixed, starts, records, counts)
        place = np.minimum(starts + turn, len(mixed) - 1)
        place[asked <= turn] = -1
        of_record = place[bucket]
        same = (records["low"] == low[of_record]) & (of_record >= 0)
        at = np.flatnonzero(same)
        at = at[(records["tick"][at] >> np.uint32(24)) == high[of_record[at]]]
        found.append(at)
        places.append(of_record[at])
    at = np.concatenate(found) if found else np.empty(0, np.int64)
    chosen = records[at]
    place = np.concatenate(places) if places else np.empty(0, np.int64)
    return Contents(mixed[place], chosen["number"].copy(), ticks_of(chosen)), place


def _wanted_by_search(
    mixed: CodeArray, starts: npt.NDArray[np.int64], records: npt.NDArray[np.void], counts: npt.NDArray[np.int64]
) -> tuple[Contents, npt.NDArray[np.int64]]:
    """As `_wanted`, where many codes share a bucket."""
    stored = mixed_of(records, np.repeat(shared_bits(mixed[starts]), counts))
    place = np.minimum(np.searchsorted(mixed, stored), len(mixed) - 1)
    at = np.flatnonzero(mixed[place] == stored)
    return Contents(stored[at], records["number"][at], ticks_of(records[at])), place[at]
