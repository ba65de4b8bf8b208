"""The catalogue as VNOME stored it before schema 2, read so that it can be carried over.

Its tracks had a run for every change of the code, in hashes; its motion kept all blocks; its look-up table, which
follows from the tracks, was another.
"""

import json
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import keys
from pipeline.codes import CodeArray
from pipeline.errors import StoreError
from pipeline.kept import Kept
from pipeline.motion import BLOCKS, LARGEST_BLOCKS, STORED_TICKS, Motion
from pipeline.soft import PACKED_BYTES, LevelArray, unpack_soft
from pipeline.store import Store
from pipeline.tracks import Track
from pipeline.videos import VideoFields

VERSION = 1
FRAME_SECONDS = 0.08  # of the index
PATTERNS = ("vnome:lut:*", "vnome:track:*", "vnome:motion:*", "vnome:subtitles:*")


def read_videos(store: Store) -> Iterator[Kept]:
    """All videos of a catalogue of schema 1. Raises StoreError when one is damaged, or the store fails."""
    with store.errors():
        stored: Any = store.client.hgetall(keys.VIDEOS)
        for text in stored.values():
            record = json.loads(text)
            name = f"{record['number']}"
            try:
                track = _track_of(store.client.hgetall(f"vnome:track:{name}"))  # type: ignore[arg-type]
                packed: Any = store.client.get(f"vnome:motion:{name}")
                motion = (
                    motion_of(np.frombuffer(zlib.decompress(packed), np.int8).reshape(-1, BLOCKS)) if packed else None
                )
            except (ValueError, KeyError, zlib.error):
                raise StoreError(f"video {record['id']!r} of the old catalogue is damaged; remove it first") from None
            texts: Any = store.client.hgetall(f"vnome:subtitles:{name}")
            fields = VideoFields(*(record[key] for key in ("id", "title", "source_name", "fingerprint", "encoder")))
            of_language = {language.decode(): text.decode() for language, text in texts.items()}
            yield Kept(fields, record["duration_seconds"], record["frames"], track, motion, of_language)


def track_of(start_ms: npt.NDArray[np.uint32], codes: CodeArray, levels: LevelArray, end_ms: int) -> Track:
    """A track of runs of equal codes as one of runs that look alike."""
    if not len(codes):
        return Track.empty()
    seconds = np.append(start_ms, end_ms) / 1000
    counts = np.maximum(np.round(np.diff(seconds) / FRAME_SECONDS).astype(np.int64), 1)
    run = np.repeat(np.arange(len(codes)), counts)
    within = np.arange(len(run)) - np.repeat(np.cumsum(counts) - counts, counts)
    pts = seconds[run] + within * FRAME_SECONDS
    margins = levels[run].astype(np.float32) + np.float32(0.5)
    return Track.from_codes(pts, codes[run], end_ms / 1000, margins)


def motion_of(steps: npt.NDArray[np.int8]) -> Motion | None:
    """Motion of all blocks at every tick as that of those that change most; None when nothing moves."""
    middle = steps[STORED_TICKS // 2 :: STORED_TICKS]
    size = np.abs(middle)
    least = np.partition(size, -LARGEST_BLOCKS, axis=1)[:, -LARGEST_BLOCKS, None]
    signs = np.where((size >= least) & (size > 0), np.sign(middle), 0).astype(np.int8)
    return Motion(signs) if signs.any() else None


def _track_of(blocks: dict[bytes, bytes]) -> Track:
    """Raises ValueError, KeyError or zlib.error when damaged."""
    end_ms = int(blocks.pop(b"end"))
    starts, codes, levels = [], [], []
    for name in sorted(blocks, key=int):
        data = zlib.decompress(blocks[name])
        runs = len(data) // (4 + PACKED_BYTES)
        starts.append(np.cumsum(np.frombuffer(data, "<u4", runs), dtype=np.uint32))
        some_codes, some_levels = unpack_soft(data[runs * 4 :])
        codes.append(some_codes)
        levels.append(some_levels)
    if not starts:
        return Track.empty()
    start_ms = np.concatenate(starts)
    new = np.diff(start_ms.astype(np.int64), prepend=-1) != 0  # a run that spans blocks is in each
    return track_of(start_ms[new], np.concatenate(codes)[new], np.concatenate(levels)[new], end_ms)
