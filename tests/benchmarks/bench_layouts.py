"""`make bench-layouts`: ways to keep postings in Redis, on the same codes with real statistics, in one run.

make bench-layouts ARGS="--postings 2000000"

A query looks up 400 codes: 25 frames of an unrelated film with 16 probes each. Bytes are what the server's data set
grows by. Every layout must find the same postings, ours but for those of stop words.
"""

import argparse
import json
import os
import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.buckets import PARTITIONS, RECORD_BYTES, pack, partitions_of
from pipeline.codes import CodeArray
from pipeline.encoder import default_encoder
from pipeline.evidence import EvidenceModel
from pipeline.lut import RedisLut
from pipeline.partitions import Contents, State
from pipeline.postings import Postings
from pipeline.probing import probe_codes
from pipeline.store import Store, open_store
from tests.benchmarks.crowd import FILM_POSTINGS, Crowd
from tests.benchmarks.servers import memory_server
from tests.mixing import unmix

QUERIES = 60
TOGETHER = 5_000  # commands in a pipeline


class Layout(ABC):
    """One way. name: what it is called in the table."""

    name: str

    @abstractmethod
    def load(self, store: Store, contents: Contents) -> None:
        """Stores all postings."""

    @abstractmethod
    def find(self, store: Store, mixed: CodeArray) -> int:
        """Fetches what is stored of mixed codes, sorted and distinct, and returns how many postings have them."""


class StringACode(Layout):
    """A string for each code: 8 bytes a posting, number and tick."""

    name = "a string per code"

    def load(self, store: Store, contents: Contents) -> None:
        for code, rows in _by(contents.mixed, contents):
            store_later(store, ("SET", int(code).to_bytes(4, "big"), _number_tick(rows)))
        store_later(store, None)

    def find(self, store: Store, mixed: CodeArray) -> int:
        values, _ = store.fetch([int(code).to_bytes(4, "big") for code in mixed.tolist()])  # type: ignore[misc]
        return sum(len(value) // 8 for value in values if value)


class HashAPrefix(Layout):
    """A hash for each prefix, its fields the rest of the codes: small ones are packed by the server (listpack)."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self.name = f"a hash per {bits}-bit prefix, a field per code"

    def load(self, store: Store, contents: Contents) -> None:
        for code, rows in _by(contents.mixed, contents):
            name, rest = self._place(int(code))
            store_later(store, ("HSET", name, rest, _number_tick(rows)))
        store_later(store, None)

    def find(self, store: Store, mixed: CodeArray) -> int:
        fields: dict[bytes, list[bytes]] = {}
        for code in mixed.tolist():
            name, rest = self._place(code)
            fields.setdefault(name, []).append(rest)
        answers = store.many([("HMGET", name, *rests) for name, rests in fields.items()])
        return sum(len(value) // 8 for answer in answers for value in answer if value)

    def _place(self, code: int) -> tuple[bytes, bytes]:
        rest = 32 - self._bits
        return b"h%x" % (code >> rest), (code & ((1 << rest) - 1)).to_bytes(3, "big")


class PackedPrefix(Layout):
    """A string for each prefix, 10 bytes a posting. append: posting by posting in the order of films, by APPEND."""

    def __init__(self, bits: int, append: bool = False) -> None:
        self._bits, self._append = bits, append
        self.name = f"a string per {bits}-bit prefix, {'APPENDed film by film' if append else 'SET once'}"

    def load(self, store: Store, contents: Contents) -> None:
        if not self._append:
            for prefix, rows in _by(contents.mixed >> np.uint32(32 - self._bits), contents):
                store_later(store, ("SET", b"p%x" % prefix, self._packed(rows)))
        else:
            for _, film in _by(contents.numbers, contents):
                for prefix, rows in _by(film.mixed >> np.uint32(32 - self._bits), film):
                    store_later(store, ("APPEND", b"p%x" % prefix, self._packed(rows)))
        store_later(store, None)

    def find(self, store: Store, mixed: CodeArray) -> int:
        prefixes = np.unique(mixed >> np.uint32(32 - self._bits))
        values, _ = store.fetch([b"p%x" % prefix for prefix in prefixes.tolist()])  # type: ignore[misc]
        sizes = [len(value or b"") // RECORD_BYTES for value in values]
        rows = np.frombuffer(b"".join(value for value in values if value), np.uint8).reshape(-1, RECORD_BYTES)
        rest = rows[:, 0].astype(np.uint32) | rows[:, 1].astype(np.uint32) << 8 | rows[:, 9].astype(np.uint32) << 16
        keep = np.uint32((1 << min(24, 32 - self._bits)) - 1)
        stored = np.repeat(prefixes << np.uint32(32 - self._bits), sizes) | rest & keep
        place = np.minimum(np.searchsorted(mixed, stored), len(mixed) - 1)
        return int((mixed[place] == stored).sum())

    @staticmethod
    def _packed(rows: Contents) -> bytes:
        return pack(rows.mixed, rows.numbers, rows.ticks).tobytes()


class DeltaPrefix(Layout):
    """As PackedPrefix, sorted, each posting as its difference from the one before in 7-bit groups."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self.name = f"a string per {bits}-bit prefix, sorted, differences"

    def load(self, store: Store, contents: Contents) -> None:
        for prefix, rows in _by(contents.mixed >> np.uint32(32 - self._bits), contents):
            rest = (rows.mixed & np.uint32((1 << (32 - self._bits)) - 1)).astype(np.uint64)
            place = rows.numbers.astype(np.uint64) << np.uint64(24) | rows.ticks.astype(np.uint64)
            order = np.lexsort((place, rest))
            steps = np.diff(rest[order], prepend=np.uint64(0))
            columns = np.stack([steps, place[order]], axis=1).ravel()
            store_later(store, ("SET", b"d%x" % prefix, _groups_of_seven(columns)))
        store_later(store, None)

    def find(self, store: Store, mixed: CodeArray) -> int:
        prefixes = np.unique(mixed >> np.uint32(32 - self._bits))
        values, _ = store.fetch([b"d%x" % prefix for prefix in prefixes.tolist()])  # type: ignore[misc]
        found = 0
        for prefix, value in zip(prefixes.tolist(), values, strict=True):
            if value:
                rest = np.cumsum(_of_groups_of_seven(value)[0::2]).astype(np.uint32)
                found += int(np.isin(rest | np.uint32(prefix << (32 - self._bits)), mixed).sum())
        return found


class OurTable(Layout):
    """`pipeline.lut`. film_by_film: added as films are, so that it grows."""

    def __init__(self, film_by_film: bool) -> None:
        self._film_by_film = film_by_film
        self.name = f"linear hashing, {'film by film' if film_by_film else 'loaded at once'} (VNOME)"
        self._lut: RedisLut | None = None

    def load(self, store: Store, contents: Contents) -> None:
        self._lut = RedisLut(store)
        if self._film_by_film:
            for number, film in _by(contents.numbers, contents):
                self._lut.add(Postings(int(number), unmix(film.mixed), film.ticks))
            return
        for partition, rows in _by(partitions_of(contents.mixed), contents):
            assert 0 <= partition < PARTITIONS
            self._lut.partitions.replace(int(partition), rows, State())

    def find(self, store: Store, mixed: CodeArray) -> int:
        assert self._lut is not None
        return len(self._lut.lookup(unmix(mixed)).probe)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postings", type=int, default=2_000_000)
    options = parser.parse_args()
    crowd = Crowd(EvidenceModel.of_bundle(default_encoder().bundle).background)
    contents = crowd.contents(options.postings // FILM_POSTINGS)
    queries = list(_queries(crowd))
    layouts: list[Layout] = [
        StringACode(), HashAPrefix(13), HashAPrefix(16), PackedPrefix(12), PackedPrefix(14), PackedPrefix(16),
        PackedPrefix(18), PackedPrefix(16, append=True), DeltaPrefix(14), DeltaPrefix(16), OurTable(False),
        OurTable(True),
    ]  # fmt: skip
    rows: dict[str, dict[str, Any]] = {}
    print(f"{len(contents.mixed):,} postings{'':<42}bytes each   loaded a second   ms a query p50    p99")
    for layout in layouts:
        with memory_server() as url, open_store(url) as store:
            before, started = _bytes(store), time.perf_counter()
            layout.load(store, contents)
            rate = len(contents.mixed) / (time.perf_counter() - started)
            each = (_bytes(store) - before) / len(contents.mixed)
            found = [layout.find(store, query) for query in queries]
            took = []
            for query in queries:
                started = time.perf_counter()
                layout.find(store, query)
                took.append((time.perf_counter() - started) * 1e3)
        rows[layout.name] = {"bytes": each, "loaded_a_second": rate, "p50": float(np.median(took)),
                             "p99": float(np.quantile(took, 0.99)), "found": sum(found)}  # fmt: skip
        row = rows[layout.name]
        print(f"{layout.name:<60}{each:>8.1f}{rate:>18,.0f}{row['p50']:>15.2f}{row['p99']:>9.2f}", flush=True)
    plain = {row["found"] for name, row in rows.items() if "VNOME" not in name}
    ours = {row["found"] for name, row in rows.items() if "VNOME" in name}
    assert len(plain) == len(ours) == 1, "the layouts do not agree"
    print(f"found {plain.pop():,}, {ours.pop():,} of them without further postings of stop words (VNOME)")
    machine = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    print(json.dumps({"postings": len(contents.mixed), "layouts": rows, "machine": machine}))


def _queries(crowd: Crowd) -> Iterator[CodeArray]:
    """Sorted mixed codes of 25 frames with 16 probes each, of films that are not there."""
    from pipeline.buckets import mix

    for number in range(QUERIES):
        soft = crowd.soft(10_000_000 + number)[:25]
        codes = (soft > 0).astype(np.uint8)
        packed = np.packbits(codes, axis=1, bitorder="little").view(np.uint32).ravel()
        yield np.unique(mix(probe_codes(packed, np.abs(soft), 16).ravel()))


def _by(keys: npt.NDArray[Any], contents: Contents) -> Iterator[tuple[int, Contents]]:
    """The postings of each key, by key."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=True):
        rows = order[start:stop]
        yield int(ordered[start]), Contents(contents.mixed[rows], contents.numbers[rows], contents.ticks[rows])


def _number_tick(rows: Contents) -> bytes:
    return np.stack([rows.numbers, rows.ticks], axis=1).astype("<u4").tobytes()


def _groups_of_seven(values: npt.NDArray[np.uint64]) -> bytes:
    """Numbers as bytes of seven bits, low ones first; the last of each has its upper bit set."""
    groups = np.maximum(1, -(-np.frexp(values.astype(np.float64))[1] // 7))
    owner = np.repeat(np.arange(len(values)), groups)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(groups) - groups, groups)
    out = (values[owner] >> (np.uint64(7) * within.astype(np.uint64))) & np.uint64(127)
    out[np.cumsum(groups) - 1] |= np.uint64(128)
    return bytes(out.astype(np.uint8).tobytes())


def _of_groups_of_seven(data: bytes) -> npt.NDArray[np.uint64]:
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw & 128)
    starts = np.concatenate([[0], ends[:-1] + 1])
    within = np.arange(len(raw)) - np.repeat(starts, ends - starts + 1)
    parts = (raw & 127).astype(np.uint64) << (np.uint64(7) * within.astype(np.uint64))
    return np.add.reduceat(parts, starts)


_later: list[Any] = []


def store_later(store: Store, command: Any) -> None:
    """Gathers commands into pipelines; None sends the rest."""
    if command is not None:
        _later.append(command)
    if len(_later) >= TOGETHER or command is None:
        store.many(_later)
        _later.clear()


def _bytes(store: Store) -> int:
    return int(store.client.info("memory")["used_memory_dataset"])


if __name__ == "__main__":
    main()
