"""The look-up table: code -> (video, moment), in packed binary postings.

A posting is 10 bytes: the lower half of the mixed code, the video number, the moment. Postings whose mixed codes
share the upper 16 bits lie in one string, so that a bucket holds many and its key costs little. Codes are mixed by a
bijection first, since real codes crowd some prefixes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from redis.exceptions import NoScriptError

from pipeline import keys
from pipeline.codes import CodeArray
from pipeline.errors import StoreError
from pipeline.store import Store

POSTING = np.dtype([("suffix", "<u2"), ("number", "<u4"), ("start_ms", "<u4")])  # 10 bytes, packed
PREFIX_BITS = np.uint32(16)  # of the mixed code, name its bucket; the rest is the suffix
SUFFIX_MASK = np.uint32(0xFFFF)
FETCHED_TOGETHER = 500  # buckets a command: one answer to many is read three times as fast as many answers
PIPELINE_BUCKETS = 10_000  # in one pipeline of additions or removals: its answers are held in memory until it ends

# Removes the records of one video from a bucket, atomically against APPEND. ARGV: number as 4 bytes, in the place
# that `POSTING` gives it.
_REMOVE = """
local data = redis.call('GET', KEYS[1])
if not data then return 0 end
local kept, removed = {}, 0
for i = 1, #data, 10 do
  if string.sub(data, i + 2, i + 5) == ARGV[1] then removed = removed + 1
  else kept[#kept + 1] = string.sub(data, i, i + 9) end
end
if removed == 0 then return 0 end
if #kept == 0 then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], table.concat(kept)) end
return removed
"""
_REMOVE_SHA = hashlib.sha1(_REMOVE.encode()).hexdigest()  # noqa: S324  how Redis names a script


@dataclass(frozen=True)
class Postings:
    """Where one video has which codes. codes: uint32 (N,). start_ms: uint32 (N,).

    Raises ValueError when the sizes differ.
    """

    video_number: int
    codes: CodeArray = field(repr=False)
    start_ms: npt.NDArray[np.uint32] = field(repr=False)

    def __post_init__(self) -> None:
        if self.codes.shape != self.start_ms.shape:
            raise ValueError(f"sizes differ: {self.codes.shape = }, {self.start_ms.shape = }")


@dataclass(frozen=True)
class Hits:
    """Postings found: probe int64 (K,), place in the array asked for; video_numbers, start_ms uint32 (K,)."""

    probe: npt.NDArray[np.int64]
    video_numbers: npt.NDArray[np.uint32]
    start_ms: npt.NDArray[np.uint32]


class Lut(Protocol):
    """A multimap from code to (video number, moment); duplicates are kept."""

    def add(self, postings: Postings) -> None:
        """Adds postings; the same ones again are there twice."""

    def lookup(self, codes: CodeArray) -> Hits:
        """All postings with exactly these codes, uint32 (P,); a code asked twice gets its hits twice."""

    def remove(self, video_number: int, codes: CodeArray) -> None:
        """Removes the video's postings that have these codes, and its others that share a prefix with them.

        To remove a video, give all its codes.
        """


class MemoryLut:
    """The definition: a scan over all postings."""

    def __init__(self) -> None:
        self._codes = np.empty(0, np.uint32)
        self._numbers = np.empty(0, np.uint32)
        self._start_ms = np.empty(0, np.uint32)

    def add(self, postings: Postings) -> None:
        """See `Lut.add`."""
        numbers = np.full(len(postings.codes), postings.video_number, np.uint32)
        self._codes = np.concatenate([self._codes, postings.codes])
        self._numbers = np.concatenate([self._numbers, numbers])
        self._start_ms = np.concatenate([self._start_ms, postings.start_ms])

    def lookup(self, codes: CodeArray) -> Hits:
        """See `Lut.lookup`."""
        probe, place = np.nonzero(codes[:, None] == self._codes[None])
        return Hits(probe, self._numbers[place], self._start_ms[place])

    def remove(self, video_number: int, codes: CodeArray) -> None:
        """See `Lut.remove`."""
        kept = (self._numbers != video_number) | ~np.isin(mix(self._codes) >> PREFIX_BITS, mix(codes) >> PREFIX_BITS)
        self._codes, self._numbers = self._codes[kept], self._numbers[kept]
        self._start_ms = self._start_ms[kept]


class RedisLut:
    """The same in Redis: a string of packed postings for each 16-bit prefix of the mixed code.

    Every method raises StoreError when the store fails; then `add` and `remove` may be half done.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, postings: Postings) -> None:
        """See `Lut.add`. One APPEND a bucket, in pipelines."""
        mixed = mix(postings.codes)
        prefixes = mixed >> PREFIX_BITS
        order = np.argsort(prefixes, kind="stable")
        records = np.empty(len(mixed), POSTING)
        records["suffix"] = (mixed & SUFFIX_MASK)[order]
        records["number"] = postings.video_number
        records["start_ms"] = postings.start_ms[order]
        packed = records.tobytes()
        distinct, first = np.unique(prefixes[order], return_index=True)
        bounds = [*(first * POSTING.itemsize).tolist(), len(packed)]
        buckets = [keys.bucket(prefix) for prefix in distinct.tolist()]
        for start in range(0, len(buckets), PIPELINE_BUCKETS):
            pipe = self._store.client.pipeline(transaction=False)
            for i in range(start, min(start + PIPELINE_BUCKETS, len(buckets))):
                pipe.append(buckets[i], packed[bounds[i] : bounds[i + 1]])
            with self._store.errors():
                pipe.execute()

    def lookup(self, codes: CodeArray) -> Hits:
        """See `Lut.lookup`. One round trip; each bucket is fetched once."""
        distinct, asked = np.unique(mix(codes), return_inverse=True)  # sorted by prefix, then suffix
        prefixes = np.unique(distinct >> PREFIX_BITS)
        buckets = self._fetch(prefixes)
        sizes = np.array([len(bucket) // POSTING.itemsize for bucket in buckets], dtype=np.int64)
        records = np.frombuffer(b"".join(buckets), POSTING)
        stored = np.repeat(prefixes << PREFIX_BITS, sizes) | records["suffix"]
        # keep the few records that were asked for, then put them in the order of `distinct`
        place = np.searchsorted(distinct, stored)
        wanted = np.flatnonzero(distinct[np.minimum(place, len(distinct) - 1)] == stored) if len(distinct) else place
        wanted = wanted[np.argsort(place[wanted], kind="stable")]
        counts = np.bincount(place[wanted], minlength=len(distinct))
        first = np.cumsum(counts) - counts
        count = counts[asked]
        probe = np.repeat(np.arange(len(codes)), count)
        within = np.arange(len(probe)) - np.repeat(np.cumsum(count) - count, count)
        found = records[wanted[np.repeat(first[asked], count) + within]]
        return Hits(probe, found["number"].copy(), found["start_ms"].copy())

    def remove(self, video_number: int, codes: CodeArray) -> None:
        """See `Lut.remove`. Each bucket in one atomic step."""
        self.remove_from(video_number, np.unique(mix(codes) >> PREFIX_BITS))

    def remove_from(self, video_number: int, prefixes: npt.NDArray[np.uint32]) -> None:
        """Removes all of a video's postings from the buckets of these prefixes, uint32 (P,) without repetition."""
        needle = int(video_number).to_bytes(4, "little")
        buckets = [keys.bucket(prefix) for prefix in prefixes.tolist()]
        for start in range(0, len(buckets), PIPELINE_BUCKETS):
            chunk = buckets[start : start + PIPELINE_BUCKETS]
            if self._run_remove(chunk, needle, full_text=False):
                self._run_remove(chunk, needle, full_text=True)  # a bucket done already stays as it is

    def scan(self) -> Iterator[tuple[int, npt.NDArray[np.void]]]:
        """All buckets: prefix, and its records as `POSTING` (suffix of the mixed code, number, start_ms).

        What is written meanwhile may be there or not. Raises StoreError when a bucket is damaged.
        """
        names: list[bytes] = []
        seen: set[bytes] = set()  # Redis may name a key twice
        with self._store.errors():
            for name in map(bytes, self._store.client.scan_iter(match=keys.BUCKETS, count=1000)):
                if name in seen:
                    continue
                seen.add(name)
                names.append(name)
                if len(names) == FETCHED_TOGETHER:
                    yield from self._read(names)
                    names = []
            yield from self._read(names)

    def _read(self, names: list[bytes]) -> Iterator[tuple[int, npt.NDArray[np.void]]]:
        contents: Any = self._store.client.mget(names) if names else []
        for name, bucket in zip(names, contents, strict=True):
            if bucket is None:
                continue
            if len(bucket) % POSTING.itemsize:
                raise StoreError(f"{self._store.address}: bucket {name.decode()} is cut off; index the films again")
            yield int(name.rpartition(b":")[2], 16), np.frombuffer(bucket, POSTING)

    def _run_remove(self, buckets: list[str], needle: bytes, full_text: bool) -> bool:
        """Runs the script, by its name or by its text, on buckets. Returns whether the server lacks the script."""
        pipe = self._store.client.pipeline(transaction=False)
        for bucket in buckets:
            if full_text:
                pipe.eval(_REMOVE, 1, bucket, needle)
            else:
                pipe.evalsha(_REMOVE_SHA, 1, bucket, needle)
        with self._store.errors():
            answers = pipe.execute(raise_on_error=False)
            failures = [answer for answer in answers if isinstance(answer, Exception)]
            for failure in failures:
                if not isinstance(failure, NoScriptError):
                    raise failure
        return bool(failures)

    def _fetch(self, prefixes: npt.NDArray[np.uint32]) -> list[bytes]:
        """The contents of buckets, in one round trip."""
        names = [keys.bucket(prefix) for prefix in prefixes.tolist()]
        pipe = self._store.client.pipeline(transaction=False)
        for start in range(0, len(names), FETCHED_TOGETHER):
            pipe.mget(names[start : start + FETCHED_TOGETHER])
        with self._store.errors():
            buckets = [bucket or b"" for part in pipe.execute() for bucket in part]
        if any(len(bucket) % POSTING.itemsize for bucket in buckets):
            raise StoreError(f"{self._store.address}: the look-up table is damaged; index the films again")
        return buckets


def mix(codes: CodeArray) -> CodeArray:
    """A bijection of uint32 that spreads neighbouring codes: the finaliser of MurmurHash3 (Appleby, 2011)."""
    h = codes.astype(np.uint32)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))
