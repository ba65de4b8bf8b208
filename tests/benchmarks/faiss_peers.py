"""FAISS's binary indexes, and a plain scan, on the codes of a look-up table."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from pipeline.codes import CodeArray
from pipeline.partitions import Contents
from tests.mixing import unmix

Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.uint32]]  # frames, numbers, ticks
RADIUS = 2  # bits, within which a code is a hit
HASH_BITS = 24  # of the single hash table: with all 32, each code is a bucket of its own, about 200 bytes
SCAN_CHUNK = 1 << 22


def peers(contents: Contents, hidden: Contents) -> Iterator[tuple[str, Callable[[CodeArray], Found]]]:
    """One after the other, so that only one is in memory."""
    codes = unmix(np.concatenate([contents.mixed, hidden.mixed]))
    numbers = np.concatenate([contents.numbers, hidden.numbers])
    ticks = np.concatenate([contents.ticks, hidden.ticks])
    vectors = codes.view(np.uint8).reshape(-1, 4)

    def asked(index: "faiss.IndexBinary") -> Callable[[CodeArray], Found]:
        def ask(query: CodeArray) -> Found:
            limits, _, ids = index.range_search(query.view(np.uint8).reshape(-1, 4), RADIUS + 1)
            bounds = limits.astype(np.int64)
            return np.repeat(np.arange(len(query)), bounds[1:] - bounds[:-1]), numbers[ids], ticks[ids]

        return ask

    def scan(query: CodeArray) -> Found:
        frames, places = [], []
        for start in range(0, len(codes), SCAN_CHUNK):
            part = codes[start : start + SCAN_CHUNK]
            for frame, code in enumerate(query):
                near = np.flatnonzero(np.bitwise_count(part ^ code) <= RADIUS)
                frames.append(np.full(len(near), frame))
                places.append(near + start)
        at = np.concatenate(places)
        return np.concatenate(frames), numbers[at], ticks[at]

    for name, make in (
        ("FAISS IndexBinaryFlat, radius 2", lambda: faiss.IndexBinaryFlat(32)),
        (f"FAISS IndexBinaryHash b={HASH_BITS}, nflip 2", lambda: _hash(2)),
        (f"FAISS IndexBinaryHash b={HASH_BITS}, nflip 1", lambda: _hash(1)),
        ("FAISS IndexBinaryMultiHash 2 x 16, nflip 1", lambda: _multi(1)),
    ):
        started, before = time.perf_counter(), resident_bytes()
        index = make()
        index.add(vectors)
        each = (resident_bytes() - before) / len(codes)
        print(f"    {name}: built in {time.perf_counter() - started:.0f} s, {each:.0f} bytes a code", flush=True)
        yield name, asked(index)
        del index
    yield "NumPy scan, radius 2", scan


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _hash(flips: int) -> "faiss.IndexBinaryHash":
    index = faiss.IndexBinaryHash(32, HASH_BITS)
    index.nflip = flips
    return index


def _multi(flips: int) -> "faiss.IndexBinaryMultiHash":
    index = faiss.IndexBinaryMultiHash(32, 2, 16)
    index.nflip = flips
    return index
