"""Tracks: the codes of a video over time, as runs of frames that look alike."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import keys
from pipeline.codes import CODE_BITS, CodeArray, MarginArray, SecondsArray, pack_bits
from pipeline.errors import MediaError, StoreError
from pipeline.soft import MIDDLING, LevelArray, SoftArray, levels_of, soft_of_margins, soft_of_steps, soft_steps
from pipeline.store import Command, Store

BLOCK_MS = 60_000  # a query of ten seconds reads one or two blocks of a film of any length
STEP_MS = 20  # moments are stored in steps
RUN_LIMIT_MS = 1000  # a longer run is cut, so that a posting tells the moment to within a second
SAME_SCENE = 10.0  # nats: distance, over all 32 bits, up to which a frame still looks like the run that is open
LEAST_MARGIN = np.float32(1e-3)  # so that each bit has a sign
LATEST_MS = 24 * 86_400_000  # what a posting can tell
ROUNDING_MS = 1e-6  # so that 1.001 s, which is 1000.9999999999999 ms in floating point, is in the run that starts there

_BLOCK_STEPS = BLOCK_MS // STEP_MS
_HEAD = np.dtype([("runs", "<u2"), ("end", "<u2"), ("first", "<u4")])  # of a block; moments in steps
BLOCKS_AT_ONCE = 64  # of a film whose length is not known


@dataclass(frozen=True)
class Track:
    """Runs of frames that look alike: run i holds from start_ms[i] to start_ms[i + 1], the last to end_ms (exclusive).

    start_ms: uint32 (R,), strictly increasing multiples of `STEP_MS`, as end_ms is. codes: uint32 (R,), of each run's
    mean. levels: uint8 (R, 32), how sure each bit of it is (see `pipeline.soft`); not given, all are middling.
    Raises ValueError when sizes, order or steps are off.
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
        if self.end_ms % STEP_MS or np.any(self.start_ms % STEP_MS):
            raise ValueError(f"moments must be multiples of {STEP_MS} ms")

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
        """Joins neighbouring frames that look alike; frames of the same step of time count as the first of them.

        pts_seconds: float64 (N,), not decreasing; a frame before 0 is left out. codes: uint32 (N,).
        margins: float32 (N, 32), nats; frames join while their soft codes stay within `SAME_SCENE` of the run's mean,
        which is what the run keeps. Without margins, frames with equal codes join.
        Raises MediaError for a film of more than 24 days.
        """
        steps = np.round(pts_seconds * 1000 / STEP_MS).astype(np.int64)
        kept = np.flatnonzero((steps >= 0) & (np.diff(steps, prepend=-1) > 0))
        if not len(kept):
            return Track.empty()
        steps, codes = steps[kept], codes[kept]
        end_step = max(round(end_seconds * 1000 / STEP_MS), int(steps[-1]) + 1)
        if end_step * STEP_MS > LATEST_MS:
            raise MediaError(f"a film of {end_seconds / 3600:.0f} hours is too long; split it into parts of 500 hours")
        sure = np.full((len(codes), CODE_BITS), MIDDLING, np.float32) if margins is None else margins[kept]
        sure = np.maximum(sure, LEAST_MARGIN)
        soft = soft_of_margins(codes, sure)
        starts = _runs(steps, soft, 0.0 if margins is None else SAME_SCENE)
        counts = np.diff([*starts, len(codes)])
        mean = np.add.reduceat(soft, starts, axis=0) / counts[:, None]
        start_ms = (steps[starts] * STEP_MS).astype(np.uint32)
        return Track(start_ms, pack_bits((mean > 0).astype(np.uint8)), end_step * STEP_MS, levels_of(np.abs(mean)))

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


def _runs(steps: npt.NDArray[np.int64], soft: SoftArray, reach: float) -> npt.NDArray[np.int64]:
    """Where runs start, int64 (R,). steps: int64 (N,), strictly increasing. soft: float32 (N, 32)."""
    starts = [0]
    mean, count = soft[0].copy(), 1
    for i in range(1, len(soft)):
        away = soft[i] - mean
        if (steps[i] - steps[starts[-1]]) * STEP_MS >= RUN_LIMIT_MS or float(away @ away) > reach**2:
            starts.append(i)
            mean, count = soft[i].copy(), 1
        else:
            count += 1
            mean += away / count
    return np.array(starts)


def pack_blocks(track: Track) -> list[bytes]:
    """A track in blocks, one for each `BLOCK_MS` of film from 0 to its end.

    A block is compressed: its runs' starts, then their soft codes as steps from one run to the next, by Huffman codes.
    Its first run may have started earlier: the one that is open when the block begins. So a window needs only the
    blocks it touches.
    """
    return [
        _pack_block(track.slice(block * BLOCK_MS, (block + 1) * BLOCK_MS), block, track.end_ms)
        for block in range(-(-track.end_ms // BLOCK_MS) if len(track) else 0)
    ]


def _pack_block(part: Track, block: int, film_end_ms: int) -> bytes:
    head = np.zeros(1, _HEAD)
    head["runs"] = len(part)
    head["end"] = min(film_end_ms // STEP_MS - block * _BLOCK_STEPS, _BLOCK_STEPS)
    starts = part.start_ms // np.uint32(STEP_MS)
    head["first"] = starts[0] if len(part) else 0
    steps = np.diff(starts).astype("<u2")
    packed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    content = steps.view(np.uint8).reshape(-1, 2).T.tobytes() + soft_steps(part.codes, part.levels)
    return head.tobytes() + packed.compress(content) + packed.flush()


def unpack_blocks(blocks: Sequence[bytes | None], first: int = 0) -> Track:
    """The track of consecutive blocks, from the block `first` on; it ends where the last of them ends.

    Raises StoreError when damaged.
    """
    parts = [_unpack_block(block, number) for number, block in enumerate(blocks, first) if block]
    if not sum(len(starts) for starts, _, _, _ in parts):
        return Track.empty()
    start, codes, levels = (np.concatenate(column) for column in zip(*(part[:3] for part in parts), strict=True))
    new = np.diff(start, prepend=-1) != 0  # a run that spans blocks is in each
    try:
        return Track((start[new] * STEP_MS).astype(np.uint32), codes[new], parts[-1][3] * STEP_MS, levels[new])
    except ValueError:
        raise _damaged() from None


def _unpack_block(data: bytes, number: int) -> tuple[npt.NDArray[np.int64], CodeArray, LevelArray, int]:
    """Starts in steps, codes and levels of a block's runs, and its end in steps."""
    try:
        head = np.frombuffer(data, _HEAD, 1)[0]
        runs = int(head["runs"])
        content = zlib.decompress(data[_HEAD.itemsize :], -zlib.MAX_WBITS)
        split = 2 * max(runs - 1, 0)
        steps = np.frombuffer(content[:split], np.uint8).reshape(2, -1).T.copy().view("<u2").ravel()
        codes, levels = soft_of_steps(content[split:])
    except (zlib.error, ValueError, IndexError):
        raise _damaged() from None
    if len(codes) != runs or len(steps) != max(runs - 1, 0):
        raise _damaged()
    starts = np.cumsum([int(head["first"]), *steps.tolist()], dtype=np.int64)[:runs]
    return starts, codes, levels, number * _BLOCK_STEPS + int(head["end"])


def _damaged() -> StoreError:
    return StoreError("a stored track is damaged; index the film again")


class Tracks:
    """Stored tracks, by video number: a string for each block. Every method raises StoreError when the store fails."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, number: int, track: Track) -> None:
        """Stores a whole track in place of what was there."""
        self.delete(number)
        pipe = self._store.client.pipeline(transaction=True)
        for block, packed in enumerate(pack_blocks(track)):
            pipe.set(keys.track(number, block), packed)
        with self._store.errors():
            pipe.execute()

    def read(self, windows: Sequence[tuple[int, float, float]], *commands: Command) -> tuple[list[Track], list[Any]]:
        """Parts (number, from seconds, to seconds) of tracks, and the answers to other commands, in one round trip.

        The runs that touch the window, also the one that is open at its start; the last may end with the window.
        Empty where there is nothing.
        """
        spans = []
        for _, start, stop in windows:
            from_ms, to_ms = (round(min(max(moment, 0) * 1000, LATEST_MS)) for moment in (start, stop))
            spans.append((from_ms, to_ms, from_ms // BLOCK_MS, max(to_ms - 1, from_ms) // BLOCK_MS + 1))
        names = [
            keys.track(number, block)
            for (number, _, _), (_, _, first, after) in zip(windows, spans, strict=True)
            for block in range(first, after)
        ]
        with self._store.errors():
            blocks, answers = self._store.fetch(names, *commands)
        tracks, at = [], 0
        for from_ms, to_ms, first, after in spans:
            mine = blocks[at : at + after - first]
            at += after - first
            tracks.append(unpack_blocks(mine, first).slice(from_ms, to_ms))
        return tracks, answers

    def whole(self, number: int) -> Track:
        """The whole track; empty where there is none."""
        first, blocks = self._blocks(number)
        return unpack_blocks(blocks, first)

    def delete(self, number: int) -> None:
        """Removes a track; its last block goes first, so that what a kill leaves of it can still be found."""
        with self._store.errors():
            first, blocks = self._blocks(number)
            after = first + len(blocks)
            for start in reversed(range(first, after, BLOCKS_AT_ONCE)):
                names = [keys.track(number, block) for block in range(start, min(start + BLOCKS_AT_ONCE, after))]
                self._store.client.delete(*reversed(names))
            self._store.client.delete(keys.first_block(number), keys.channel_done(number))

    def extend(self, number: int, part: Track, end_ms: int) -> None:
        """Adds runs of one block to the end of a track, which then ends at end_ms; those already there stay."""
        block = (end_ms - 1) // BLOCK_MS
        with self._store.errors():
            stored, _ = self._store.fetch([keys.track(number, block)])
            track = unpack_blocks(stored, block)
            new = part.start_ms > track.start_ms[-1] if len(track) else np.ones(len(part), np.bool_)
            columns = [
                np.concatenate([getattr(track, name), getattr(part, name)[new]]) if len(track) else getattr(part, name)
                for name in ("start_ms", "codes", "levels")
            ]
            longer = Track(columns[0], columns[1], end_ms, columns[2]) if len(columns[0]) else Track.empty()
            pipe = self._store.client.pipeline(transaction=True)
            first, missing = self._first(number), block  # minutes without a frame have an empty block
            while missing > first and not stored[0] and not self._store.client.exists(keys.track(number, missing - 1)):
                missing -= 1
                pipe.set(keys.track(number, missing), _pack_block(Track.empty(), missing, end_ms))
            pipe.set(keys.track(number, block), _pack_block(longer, block, end_ms))
            pipe.execute()

    def forget(self, number: int, before_block: int) -> Iterator[Track]:
        """Deletes the blocks before one, the oldest first. Gives each to the caller before it is deleted."""
        with self._store.errors():
            for block in range(self._first(number), before_block):
                stored, _ = self._store.fetch([keys.track(number, block)])
                if not stored[0]:
                    return
                yield unpack_blocks(stored, block)
                pipe = self._store.client.pipeline(transaction=True)
                pipe.set(keys.first_block(number), block + 1)
                pipe.delete(keys.track(number, block))
                pipe.execute()

    def _first(self, number: int) -> int:
        return int(self._store.client.get(keys.first_block(number)) or 0)

    def _blocks(self, number: int) -> tuple[int, list[bytes]]:
        """The number of the first block, and all blocks to the last: there is none missing in between."""
        found: list[bytes] = []
        with self._store.errors():
            first = self._first(number)
            while True:
                start = first + len(found)
                blocks, _ = self._store.fetch(
                    [keys.track(number, block) for block in range(start, start + BLOCKS_AT_ONCE)]
                )
                there = [block for block in blocks if block]
                found += there
                if len(there) < BLOCKS_AT_ONCE:
                    return first, found
