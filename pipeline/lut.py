"""The look-up table: code -> (video, moment), in packed binary postings.

A posting is 10 bytes: the lower half of the mixed code, the video number, the moment. Postings whose mixed codes
share the upper 16 bits lie in one string, so that a bucket holds many and its key costs little. Codes are mixed by a
bijection first, since real codes crowd some prefixes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import redis

from pipeline import keys
from pipeline.codes import CodeArray

POSTING = np.dtype([("suffix", "<u2"), ("number", "<u4"), ("start_ms", "<u4")])  # 10 bytes, packed
REMOVE_CHUNK = 500  # buckets in one pipeline of removals

# Removes the records of one video from a bucket, atomically against APPEND. ARGV: number as 4 bytes.
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
        """Removes the video's postings that have these codes (and may remove others of the same video)."""


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
        kept = (self._numbers != video_number) | ~np.isin(self._codes, codes)
        self._codes, self._numbers = self._codes[kept], self._numbers[kept]
        self._start_ms = self._start_ms[kept]


class RedisLut:
    """The same in Redis: a string of packed postings for each 16-bit prefix of the mixed code."""

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client

    def add(self, postings: Postings) -> None:
        """See `Lut.add`. One APPEND a bucket, in one pipeline."""
        mixed = mix(postings.codes)
        records = np.empty(len(mixed), POSTING)
        records["suffix"], records["number"] = mixed & np.uint32(0xFFFF), postings.video_number
        records["start_ms"] = postings.start_ms
        prefix = mixed >> np.uint32(16)
        order = np.argsort(prefix, kind="stable")
        starts = np.flatnonzero(np.diff(prefix[order], prepend=-1))
        pipe = self._client.pipeline(transaction=False)
        for part in np.split(order, starts[1:]) if len(order) else []:
            pipe.append(keys.bucket(int(prefix[part[0]])), records[part].tobytes())
        pipe.execute()

    def lookup(self, codes: CodeArray) -> Hits:
        """See `Lut.lookup`. One round trip; each bucket is fetched once."""
        distinct, asked_by = np.unique(codes, return_inverse=True)
        mixed = mix(distinct)
        prefixes, bucket_of = np.unique(mixed >> np.uint32(16), return_inverse=True)
        buckets = self._fetch(prefixes)
        sizes = np.array([len(bucket) // POSTING.itemsize for bucket in buckets], dtype=np.int64)
        records = np.frombuffer(b"".join(buckets), POSTING)
        # one sorted array of (bucket, suffix) serves all codes by bisection
        key = np.repeat(np.arange(len(buckets)), sizes) << 16 | records["suffix"]
        order = np.argsort(key, kind="stable")
        wanted = bucket_of.astype(np.int64) << 16 | (mixed & np.uint32(0xFFFF))
        first = np.searchsorted(key[order], wanted, side="left")
        count = np.searchsorted(key[order], wanted, side="right") - first
        probe_first, probe_count = first[asked_by], count[asked_by]
        probe = np.repeat(np.arange(len(codes)), probe_count)
        within = np.arange(len(probe)) - np.repeat(np.cumsum(probe_count) - probe_count, probe_count)
        found = records[order[np.repeat(probe_first, probe_count) + within]]
        return Hits(probe, found["number"].copy(), found["start_ms"].copy())

    def remove(self, video_number: int, codes: CodeArray) -> None:
        """See `Lut.remove`. Empties whole buckets of the video, each in one atomic step."""
        prefixes = np.unique(mix(codes) >> np.uint32(16))
        needle = int(video_number).to_bytes(4, "little")
        for start in range(0, len(prefixes), REMOVE_CHUNK):
            pipe = self._client.pipeline(transaction=False)
            for prefix in prefixes[start : start + REMOVE_CHUNK]:
                pipe.eval(_REMOVE, 1, keys.bucket(int(prefix)), needle)
            pipe.execute()

    def _fetch(self, prefixes: Iterable[np.uint32]) -> list[bytes]:
        pipe = self._client.pipeline(transaction=False)
        for prefix in prefixes:
            pipe.get(keys.bucket(int(prefix)))
        return [bucket or b"" for bucket in pipe.execute()]


def mix(codes: CodeArray) -> CodeArray:
    """A bijection of uint32 that spreads neighbouring codes: the finaliser of MurmurHash3 (Appleby, 2011)."""
    h = codes.astype(np.uint32)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))
