"""Tracks: the codes of a video over time, as runs of equal codes."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import redis

from pipeline import keys
from pipeline.codes import CodeArray, SecondsArray
from pipeline.errors import StoreError

BLOCK_MS = 60_000  # a query of ten seconds reads one or two blocks of a film of any length
RUN_LIMIT_MS = 1000  # a longer run is cut, so that a posting tells the moment to within a second

_ENTRY = np.dtype([("start_ms", "<u4"), ("code", "<u4")])


@dataclass(frozen=True)
class Track:
    """Runs of codes: run i holds from start_ms[i] to start_ms[i + 1], the last one to end_ms (exclusive).

    start_ms: uint32 (R,), strictly increasing. codes: uint32 (R,). Neighbours may be equal where a long run is cut.
    Raises ValueError when sizes or order are off.
    """

    start_ms: npt.NDArray[np.uint32] = field(repr=False)
    codes: CodeArray = field(repr=False)
    end_ms: int

    def __post_init__(self) -> None:
        if self.start_ms.shape != self.codes.shape or self.start_ms.ndim != 1:
            raise ValueError(f"sizes differ: {self.start_ms.shape = }, {self.codes.shape = }")
        if np.any(self.start_ms[1:] <= self.start_ms[:-1]) or (len(self.codes) and self.end_ms <= self.start_ms[-1]):
            raise ValueError("runs must follow one another in time")

    def __len__(self) -> int:
        return len(self.codes)

    @staticmethod
    def empty() -> "Track":
        """A track of no time."""
        return Track(np.empty(0, np.uint32), np.empty(0, np.uint32), 0)

    @staticmethod
    def from_codes(pts_seconds: SecondsArray, codes: CodeArray, end_seconds: float) -> "Track":
        """Joins neighbouring frames with equal codes; frames of the same millisecond count as the first of them."""
        ms = np.round(pts_seconds * 1000).astype(np.int64)
        starts: list[int] = []
        for i in range(len(codes)):
            later = not starts or ms[i] > ms[starts[-1]]
            if later and (not starts or codes[i] != codes[starts[-1]] or ms[i] - ms[starts[-1]] >= RUN_LIMIT_MS):
                starts.append(i)
        if not starts:
            return Track.empty()
        end_ms = max(round(end_seconds * 1000), int(ms[-1]) + 1)
        return Track(ms[starts].astype(np.uint32), codes[starts], end_ms)

    def slice(self, from_ms: int, to_ms: int) -> "Track":
        """The runs that touch [from_ms, to_ms), whole."""
        first = max(int(np.searchsorted(self.start_ms, max(from_ms, 0), side="right")) - 1, 0)
        last = int(np.searchsorted(self.start_ms, max(to_ms, 0), side="left"))
        if last <= first or from_ms >= self.end_ms:
            return Track.empty()
        end_ms = int(self.start_ms[last]) if last < len(self) else self.end_ms
        return Track(self.start_ms[first:last], self.codes[first:last], end_ms)


def pack_blocks(track: Track) -> dict[str, bytes]:
    """Blocks of a track by name: each `BLOCK_MS` of film, compressed, and the end of the track."""
    blocks = {"end": str(track.end_ms).encode()}
    block_of = track.start_ms // BLOCK_MS
    for block in np.unique(block_of):
        chosen = block_of == block
        entries = np.empty(int(chosen.sum()), _ENTRY)
        entries["start_ms"], entries["code"] = track.start_ms[chosen], track.codes[chosen]
        blocks[str(block)] = zlib.compress(entries.tobytes(), 6)
    return blocks


def unpack_blocks(blocks: Sequence[bytes | None], end_ms: int) -> Track:
    """The track of consecutive blocks; end_ms is where the last of them ends. Raises StoreError when damaged."""
    try:
        data = b"".join(zlib.decompress(block) for block in blocks if block)
        entries = np.frombuffer(data, _ENTRY)
        return Track(entries["start_ms"].copy(), entries["code"].copy(), end_ms) if len(entries) else Track.empty()
    except (zlib.error, ValueError):
        raise StoreError("a stored track is damaged; index the film again") from None


class Tracks:
    """Stored tracks, by video number."""

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client

    def write(self, number: int, track: Track) -> None:
        """Stores a whole track in place of what was there."""
        pipe = self._client.pipeline(transaction=True)
        pipe.delete(keys.track(number))
        pipe.hset(keys.track(number), mapping=pack_blocks(track))  # type: ignore[arg-type]
        pipe.execute()

    def read(self, windows: Sequence[tuple[int, float, float]]) -> list[Track]:
        """Parts (number, from seconds, to seconds) of tracks in one round trip; empty where there is nothing.

        The run that is open at the start of the window is included.
        """
        pipe = self._client.pipeline(transaction=False)
        spans = []
        for number, start, stop in windows:
            from_ms, to_ms = max(int(start * 1000), 0), max(int(stop * 1000), 0)
            # a run is at most RUN_LIMIT_MS long unless frames are missing: then the block before may hold it
            first = max(from_ms - RUN_LIMIT_MS, 0) // BLOCK_MS
            names = [str(block) for block in range(first, to_ms // BLOCK_MS + 1)]
            pipe.hmget(keys.track(number), ["end", *names])
            spans.append((from_ms, to_ms))
        tracks = []
        for (from_ms, to_ms), (end, *blocks) in zip(spans, pipe.execute(), strict=True):
            whole_end = int(end) if end else 0
            last_block_end = (to_ms // BLOCK_MS + 1) * BLOCK_MS
            track = unpack_blocks(blocks, min(whole_end, last_block_end)) if end else Track.empty()
            tracks.append(track.slice(from_ms, to_ms) if len(track) else track)
        return tracks

    def whole(self, number: int) -> Track:
        """The whole track; empty where there is none."""
        stored: dict[Any, Any] = dict(self._client.hgetall(keys.track(number)))
        if not stored:
            return Track.empty()
        end_ms = int(stored.pop(b"end"))
        return unpack_blocks([stored[name] for name in sorted(stored, key=int)], end_ms)

    def delete(self, number: int) -> None:
        """Removes a track."""
        self._client.delete(keys.track(number))
