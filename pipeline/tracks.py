"""Tracks: the codes of a video over time, as runs of equal codes."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import keys
from pipeline.codes import CODE_BITS, CodeArray, MarginArray, SecondsArray
from pipeline.errors import MediaError, StoreError
from pipeline.soft import MIDDLING, PACKED_BYTES, LevelArray, levels_of, pack_soft, unpack_soft
from pipeline.store import Store

END = "end"  # the field with the moment, in ms, where the track ends
BLOCK_MS = 60_000  # a query of ten seconds reads one or two blocks of a film of any length
RUN_LIMIT_MS = 1000  # a longer run is cut, so that a posting tells the moment to within a second
LATEST_MS = 2**32 - 1  # moments are stored in 32 bits
ROUNDING_MS = 1e-6  # so that 1.001 s, which is 1000.9999999999999 ms in floating point, is in the run that starts there

_WORD = np.dtype("<u4")


@dataclass(frozen=True)
class Track:
    """Runs of codes: run i holds from start_ms[i] to start_ms[i + 1], the last one to end_ms (exclusive).

    start_ms: uint32 (R,), strictly increasing. codes: uint32 (R,). Neighbours may be equal where a long run is cut.
    levels: uint8 (R, 32), how sure each bit was on average (see `pipeline.soft`); not given, all are middling.
    Raises ValueError when sizes or order are off.
    """

    start_ms: npt.NDArray[np.uint32] = field(repr=False)
    codes: CodeArray = field(repr=False)
    end_ms: int
    levels: LevelArray = field(default_factory=lambda: np.empty(0, np.uint8), repr=False)

    def __post_init__(self) -> None:
        if not self.levels.size:
            object.__setattr__(self, "levels", np.full((len(self.codes), CODE_BITS), MIDDLING, np.uint8))
        if self.levels.shape != (*self.codes.shape, CODE_BITS):
            raise ValueError(f"sizes differ: {self.levels.shape = }, {self.codes.shape = }")
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
    def from_codes(
        pts_seconds: SecondsArray, codes: CodeArray, end_seconds: float, margins: MarginArray | None = None
    ) -> "Track":
        """Joins neighbouring frames with equal codes; frames of the same millisecond count as the first of them.

        pts_seconds: float64 (N,), not decreasing; a frame before 0 is left out. codes: uint32 (N,).
        margins: float32 (N, 32), nats; a run keeps their mean.
        Raises MediaError for a film of 49 days and more.
        """
        times = np.round(pts_seconds * 1000).astype(np.int64)
        starts: list[int] = []
        run_ms, run_code = -1, -1
        for i, (ms, code) in enumerate(zip(times.tolist(), codes.tolist(), strict=True)):
            if ms > run_ms and (code != run_code or ms - run_ms >= RUN_LIMIT_MS):
                starts.append(i)
                run_ms, run_code = ms, code
        if not starts:
            return Track.empty()
        end_ms = max(round(end_seconds * 1000), int(times[-1]) + 1)
        if end_ms > LATEST_MS:
            raise MediaError(f"a film of {end_seconds / 3600:.0f} hours is too long; split it into parts of 1000 hours")
        levels = np.empty(0, np.uint8)
        if margins is not None:
            counts = np.diff([*starts, len(codes)])
            levels = levels_of(np.add.reduceat(margins, starts, axis=0) / counts[:, None])
        return Track(times[starts].astype(np.uint32), codes[starts], end_ms, levels)

    def codes_at(self, seconds: SecondsArray) -> tuple[CodeArray, npt.NDArray[np.bool_]]:
        """The codes that hold at moments, float64 (...), and where there is one; 0 where there is none."""
        ms = np.floor(seconds * 1000 + ROUNDING_MS).astype(np.int64)
        run = np.searchsorted(self.start_ms, ms, side="right") - 1
        valid = (run >= 0) & (ms < self.end_ms)
        codes = np.zeros(np.shape(seconds), np.uint32)
        codes[valid] = self.codes[run[valid]]
        return codes, valid

    def slice(self, from_ms: int, to_ms: int) -> "Track":
        """The runs that touch [from_ms, to_ms), whole."""
        first = max(int(np.searchsorted(self.start_ms, max(from_ms, 0), side="right")) - 1, 0)
        last = int(np.searchsorted(self.start_ms, max(to_ms, 0), side="left"))
        if to_ms <= from_ms or last <= first or from_ms >= self.end_ms:
            return Track.empty()
        end_ms = int(self.start_ms[last]) if last < len(self) else self.end_ms
        return Track(self.start_ms[first:last], self.codes[first:last], end_ms, self.levels[first:last])


def pack_blocks(track: Track) -> dict[str, bytes]:
    """Blocks of a track by name, one for each `BLOCK_MS` of film, and the end of the track.

    A block is compressed: starts of its runs as steps from one to the next, then their soft codes. Its first run may
    have started earlier: the one that is open when the block begins. So a window needs only the blocks it touches.
    """
    blocks = {END: str(track.end_ms).encode()}
    if not len(track):
        return blocks
    first_block, last_block = int(track.start_ms[0]) // BLOCK_MS, (track.end_ms - 1) // BLOCK_MS
    for block in range(first_block, last_block + 1):
        part = track.slice(block * BLOCK_MS, (block + 1) * BLOCK_MS)
        steps = np.diff(part.start_ms, prepend=np.uint32(0)).astype(_WORD)
        blocks[str(block)] = zlib.compress(steps.tobytes() + pack_soft(part.codes, part.levels), 6)
    return blocks


def unpack_blocks(blocks: Sequence[bytes | None], end_ms: int) -> Track:
    """The track of consecutive blocks; end_ms is where the last of them ends. Raises StoreError when damaged."""
    try:
        parts = [_unpack_block(zlib.decompress(block)) for block in blocks if block]
        if not parts:
            return Track.empty()
        start_ms, codes, levels = (np.concatenate(column) for column in zip(*parts, strict=True))
        new = np.diff(start_ms, prepend=start_ms[0]) != 0  # a run that spans blocks is in each
        new[0] = True
        return Track(start_ms[new], codes[new], end_ms, levels[new])
    except (zlib.error, ValueError, IndexError):
        raise _damaged() from None


def _unpack_block(data: bytes) -> tuple[npt.NDArray[np.uint32], CodeArray, LevelArray]:
    """Starts, codes and levels of a block's runs. Raises ValueError when the length is off."""
    runs, rest = divmod(len(data), _WORD.itemsize + PACKED_BYTES)
    if rest:
        raise ValueError("a block holds whole runs")
    steps = np.frombuffer(data, _WORD, runs)
    return np.cumsum(steps, dtype=np.uint32), *unpack_soft(data[runs * _WORD.itemsize :])


def _moment(text: bytes) -> int:
    """A number as it is stored. Raises StoreError when damaged."""
    if not text.isdigit():
        raise _damaged()
    return int(text)


def _damaged() -> StoreError:
    return StoreError("a stored track is damaged; index the film again")


class Tracks:
    """Stored tracks, by video number. Every method raises StoreError when the store fails."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, number: int, track: Track) -> None:
        """Stores a whole track in place of what was there."""
        pipe = self._store.client.pipeline(transaction=True)
        pipe.delete(keys.track(number))
        pipe.hset(keys.track(number), mapping=pack_blocks(track))  # type: ignore[arg-type]
        with self._store.errors():
            pipe.execute()

    def read(self, windows: Sequence[tuple[int, float, float]]) -> list[Track]:
        """Parts (number, from seconds, to seconds) of tracks in one round trip; empty where there is nothing.

        The runs that touch the window, also the one that is open at its start; the last may end with the window.
        """
        pipe = self._store.client.pipeline(transaction=False)
        spans = []
        for number, start, stop in windows:
            from_ms, to_ms = (round(min(max(moment, 0) * 1000, LATEST_MS)) for moment in (start, stop))
            last = max(to_ms - 1, from_ms) // BLOCK_MS
            names = [str(block) for block in range(from_ms // BLOCK_MS, last + 1)]
            pipe.hmget(keys.track(number), [END, *names])
            spans.append((from_ms, to_ms, (last + 1) * BLOCK_MS))
        with self._store.errors():
            answers = pipe.execute()
        tracks = []
        for (from_ms, to_ms, blocks_end), (end, *blocks) in zip(spans, answers, strict=True):
            track = unpack_blocks(blocks, min(_moment(end), blocks_end)) if end else Track.empty()
            tracks.append(track.slice(from_ms, to_ms))
        return tracks

    def whole(self, number: int) -> Track:
        """The whole track; empty where there is none."""
        with self._store.errors():
            stored: dict[Any, Any] = dict(self._store.client.hgetall(keys.track(number)))
        if not stored:
            return Track.empty()
        end_ms = _moment(stored.pop(END.encode(), b""))
        return unpack_blocks([stored[name] for name in sorted(stored, key=_moment)], end_ms)

    def delete(self, number: int) -> None:
        """Removes a track."""
        with self._store.errors():
            self._store.client.delete(keys.track(number))
