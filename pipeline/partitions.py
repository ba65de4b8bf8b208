"""The partitions of the look-up table: their states, reading and changing their buckets, making them anew.

Each partition keeps beside its buckets how many there are and how many postings they hold; every change of a bucket
is a script that first checks this number, and every look-up reads it with the buckets, so that a partition may grow
while others read and write it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from redis.exceptions import NoScriptError

from pipeline import keys
from pipeline.buckets import (
    FIRST_BUCKETS,
    PARTITIONS,
    RECORD,
    RECORD_BYTES,
    all_buckets,
    buckets_of,
    first_code,
    mixed_of,
    next_split,
    pack,
    shared_bits,
    tags,
    ticks_of,
)
from pipeline.codes import CodeArray
from pipeline.errors import StoreError
from pipeline.lut_scripts import EXCHANGE, RECOUNT, SPLIT, Script
from pipeline.postings import COMMON
from pipeline.store import Store

BUCKET_POSTINGS = 48  # on average, above which a partition gets another bucket
BUCKETS_TOGETHER = 2_000  # written or deleted in one pipeline, about 1 MB
SPLITS_TOGETHER = 500  # in one pipeline
MOST_TRIES = 1000  # of a change or look-up while others make the partition grow
LOCK_MS = 10_000  # longer than the exchange of a partition of millions takes
WAIT_SECONDS = 0.02  # between two tries of a change of a locked partition


@dataclass(frozen=True)
class State:
    """Of a partition: how many buckets, how many postings.

    generation: another each time that it is built anew. changes: counts everything that is done to it.
    """

    buckets: int = FIRST_BUCKETS
    postings: int = 0
    generation: int = 0
    changes: int = 0

    @staticmethod
    def of_text(text: bytes | None, address: str) -> "State":
        """As it is stored. Raises StoreError when damaged."""
        try:
            if not text:
                return State()
            buckets, postings, generation, changes = map(int, text.split())
            return State(buckets, postings, generation, changes)
        except ValueError:
            raise damaged(address) from None

    @property
    def text(self) -> str:
        """As it is stored."""
        return f"{self.buckets} {self.postings} {self.generation} {self.changes}"

    @property
    def layout(self) -> str:
        """What a script compares."""
        return f"{self.buckets} {self.generation}"

    @property
    def splits_due(self) -> int:
        """How many buckets more it should have."""
        return max(0, self.postings // BUCKET_POSTINGS - self.buckets)


@dataclass(frozen=True)
class Contents:
    """Postings as they are stored: mixed codes, video numbers and ticks, uint32 (N,) each."""

    mixed: CodeArray
    numbers: npt.NDArray[np.uint32]
    ticks: npt.NDArray[np.uint32]


Change = Callable[[int, State], tuple[list[str], list[Any]]]  # partition, its state -> keys and arguments of a script


class Partitions:
    """All of a store. Every method raises StoreError when the store fails or the table is damaged."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.known = [State()] * PARTITIONS  # as last seen

    @contextmanager
    def locked(self, partition: int) -> Iterator[None]:
        """Whoever would change the partition waits for the block, but not for longer than `LOCK_MS`."""
        name = keys.lut_lock(tags()[partition])
        with self._store.errors():
            self._store.client.set(name, "locked", px=LOCK_MS)
        try:
            yield
        finally:
            with self._store.errors():
                self._store.client.delete(name)

    def contents(self, partition: int) -> Contents:
        """All of a partition; what is written meanwhile may be there or not."""
        return self.seen(partition, exactly=False)[1]

    def seen(self, partition: int, exactly: bool = True) -> tuple[State, Contents]:
        """All of a partition, and the state that it had when that was read. exactly: nothing was written meanwhile."""
        for _ in range(MOST_TRIES):
            state = self.known[partition]
            buckets = all_buckets(state.buckets)
            shared = np.array([first_code(partition, bucket) for bucket in buckets.tolist()], np.uint32)
            found = self._read(np.full(len(buckets), partition), buckets, shared_bits(shared))
            if found is not None and (state == self.known[partition] or not exactly):
                return state, found
        raise StoreError(f"{self._store.address}: the look-up table changes too fast; try again")

    def replace(self, partition: int, contents: Contents, seen: State) -> bool:
        """Puts these postings in the place of all that a partition holds, while look-ups go on.

        They are written beside the old ones, as a generation of their own, then the state leads to them, then the old
        ones are deleted. A kill in between leaves some of either, which `stray_buckets` finds.
        seen: returns False, and all is as before, when the partition has changed since it had this state.
        """
        tag = tags()[partition]
        order = np.lexsort((contents.ticks, contents.numbers, contents.mixed))
        columns = np.stack([contents.mixed[order], contents.numbers[order], contents.ticks[order]])
        order = order[np.any(np.diff(columns, axis=1, prepend=~columns[:, :1]), axis=0)]  # each once
        order = order[_first_of_equals(contents.mixed[order], COMMON)]
        mixed = contents.mixed[order]
        with self._store.errors():
            generation = int(self._store.client.incr(keys.lut_generations(tag)))
        new = State(max(FIRST_BUCKETS, -(-len(mixed) // BUCKET_POSTINGS)), len(mixed), generation)
        buckets, starts = groups(buckets_of(mixed, np.full(len(mixed), new.buckets)))
        packed = pack(mixed, contents.numbers[order], contents.ticks[order]).tobytes()
        bounds = [*(starts * RECORD_BYTES).tolist(), len(packed)]
        names = [keys.bucket(tag, new.generation, bucket) for bucket in buckets.tolist()]
        with self._store.errors():
            for start in range(0, len(names), BUCKETS_TOGETHER):
                part = range(start, min(start + BUCKETS_TOGETHER, len(names)))
                self._store.many([("SET", names[i], packed[bounds[i] : bounds[i + 1]]) for i in part])
            (done,) = self._store.many([("EVAL", EXCHANGE, 1, keys.lut_state(tag), seen.text, new.text)])
            if not done:
                self._delete(partition, generation, buckets.tolist())
                return False
            self.known[partition] = new
            self._delete(partition, seen.generation, all_buckets(seen.buckets).tolist())
        return True

    def stray_buckets(self) -> Iterator[tuple[int, int, int]]:
        """Buckets of no partition's state, which a kill left behind: partition, generation, number."""
        partition_of = {tag: partition for partition, tag in enumerate(tags())}
        states = self.states()
        with self._store.errors():
            for name in self._store.client.scan_iter(match=keys.LUT, count=1000):
                found = keys.bucket_in(bytes(name))
                if found is None:
                    continue
                tag, generation, bucket = found
                state = states[partition_of[tag]]
                if generation != state.generation or not _is_bucket(bucket, state.buckets):
                    state = self.states()[partition_of[tag]]  # it may have grown meanwhile
                    if generation != state.generation or not _is_bucket(bucket, state.buckets):
                        yield partition_of[tag], generation, bucket

    def delete_stray(self, partition: int, generation: int, bucket: int) -> None:
        """Deletes what `stray_buckets` found."""
        with self._store.errors():
            self._delete(partition, generation, [bucket])

    def _delete(self, partition: int, generation: int, buckets: Sequence[int]) -> None:
        names = [keys.bucket(tags()[partition], generation, bucket) for bucket in buckets]
        for start in range(0, len(names), BUCKETS_TOGETHER):
            self._store.client.delete(*names[start : start + BUCKETS_TOGETHER])

    def miscounted(self, mend: bool) -> list[tuple[State, int]]:
        """Partitions whose state says another number of postings than they hold: the state, and the true number."""
        wrong = []
        for partition in range(PARTITIONS):
            for _ in range(MOST_TRIES):
                before = self.known[partition]
                count = len(self.contents(partition).mixed)
                state = self.known[partition]
                if count == state.postings or before == state:  # nobody wrote meanwhile
                    break
            if count != state.postings:
                wrong.append((state, count))
                if mend:
                    self._call(RECOUNT, [(partition, [], [state.layout, state.postings, count])])
        return wrong

    def states(self) -> list[State]:
        """Of all partitions, as they are now."""
        with self._store.errors():
            stored, _ = self._store.fetch([keys.lut_state(tag) for tag in tags()])
        self.known = [State.of_text(text, self._store.address) for text in stored]
        return list(self.known)

    def grow(self, partitions: Sequence[int]) -> None:
        """Splits buckets of partitions until they are small enough again."""
        for _ in range(MOST_TRIES):
            due = {partition: self.known[partition].splits_due for partition in partitions}
            due = {partition: count for partition, count in due.items() if count}
            if not due:
                return
            before = list(self.known)
            self._split(due)
            if before == self.known:  # it is locked
                time.sleep(WAIT_SECONDS)

    def _split(self, due: dict[int, int]) -> None:
        """Up to so many splits of each partition; where another is quicker, fewer."""
        calls: list[tuple[int, list[str], list[Any]]] = []
        for partition, count in due.items():
            state, tag = self.known[partition], tags()[partition]
            for size in range(state.buckets, state.buckets + count):
                split = next_split(size)
                names = [keys.bucket(tag, state.generation, bucket) for bucket in (split.parent, *split.halves)]
                layout = State(size, 0, state.generation).layout
                calls.append((partition, names, [layout, split.byte, split.divisor]))
        for start in range(0, len(calls), SPLITS_TOGETHER):
            self._call(SPLIT, calls[start : start + SPLITS_TOGETHER])

    def run(self, script: Script, change: Change, partitions: Sequence[int]) -> None:
        """Makes a change in partitions, again where its state turns out to be another."""
        for _ in range(MOST_TRIES):
            calls = []
            for partition in partitions:
                state = self.known[partition]
                names, arguments = change(partition, state)
                calls.append((partition, names, [state.layout, *arguments]))
            before = list(self.known)
            partitions = self._call(script, calls)
            if not partitions:
                return
            if any(before[partition].layout == self.known[partition].layout for partition in partitions):
                time.sleep(WAIT_SECONDS)  # it is locked
        raise StoreError(f"{self._store.address}: the look-up table changes too fast; try again")

    def _call(self, script: Script, calls: Sequence[tuple[int, list[str], list[Any]]]) -> list[int]:
        """Calls a script on partitions, in one round trip, and learns their states. Returns those not done."""
        commands = [
            ("EVALSHA", script.sha, len(names) + 2, *_own_keys(partition), *names, *arguments)
            for partition, names, arguments in calls
        ]
        missed: list[int] = []
        with self._store.errors():
            answers = self._store.many(commands, raise_on_error=False)
            unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if unknown:
                again = [("EVAL", script.text, *commands[i][2:]) for i in unknown]
                for i, answer in zip(unknown, self._store.many(again, raise_on_error=False), strict=True):
                    answers[i] = answer
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        for (partition, _, _), (done, text) in zip(calls, answers, strict=True):
            self.known[partition] = State.of_text(text, self._store.address)
            if not done:
                missed.append(partition)
        return missed

    def _read(
        self, partitions: npt.NDArray[np.int64], buckets: npt.NDArray[np.int64], shared: CodeArray
    ) -> Contents | None:
        """All that lies in buckets; as `_buckets`. shared: uint32 (B,), see `shared_bits`."""
        packed = self.buckets(partitions, buckets)
        if packed is None:
            return None
        records, counts = packed
        return Contents(mixed_of(records, np.repeat(shared, counts)), records["number"].copy(), ticks_of(records))

    def buckets(
        self, partitions: npt.NDArray[np.int64], buckets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]] | None:
        """The records of buckets, in one round trip, and how many each has, int64 (B,).

        partitions, buckets: int64 (B,), sorted by partition. None when a partition's state was not as last seen. The
        states are read after the buckets: one that has not changed until then has not been split in between.
        """
        touched = np.unique(partitions).tolist()
        begins = {p: keys.bucket_begin(tags()[p], self.known[p].generation) for p in touched}
        names = [f"{begins[p]}{bucket:x}" for p, bucket in zip(partitions.tolist(), buckets.tolist(), strict=True)]
        with self._store.errors():
            values, _ = self._store.fetch([*names, *(keys.lut_state(tags()[partition]) for partition in touched)])
        contents, texts = values[: len(names)], values[len(names) :]
        changed = False
        for partition, text in zip(touched, texts, strict=True):
            state = State.of_text(text, self._store.address)
            changed |= state.layout != self.known[partition].layout
            self.known[partition] = state
        if changed:
            return None
        sizes = np.array([len(bucket) if bucket else 0 for bucket in contents], np.int64)
        if np.any(sizes % RECORD_BYTES):
            raise damaged(self._store.address)
        return np.frombuffer(b"".join(bucket for bucket in contents if bucket), RECORD), sizes // RECORD_BYTES


def _own_keys(partition: int) -> tuple[str, str]:
    """State and lock."""
    return keys.lut_state(tags()[partition]), keys.lut_lock(tags()[partition])


def _is_bucket(bucket: int, size: int) -> bool:
    """Whether a partition of so many buckets has one of this number."""
    depth = size.bit_length() - 1
    first, split = 1 << depth, size - (1 << depth)
    return first + split <= bucket < 2 * first or 2 * first <= bucket < 2 * first + 2 * split


def _first_of_equals(sorted_codes: CodeArray, most: int) -> npt.NDArray[np.int64]:
    """Places of the first `most` of each run of equal codes."""
    place = np.arange(len(sorted_codes)) - np.searchsorted(sorted_codes, sorted_codes)
    return np.flatnonzero(place < most)


def groups(sorted_values: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Runs of equal values: the value of each run, and where it starts."""
    starts = np.flatnonzero(np.diff(sorted_values, prepend=-1))
    return sorted_values[starts], starts


def damaged(address: str) -> StoreError:
    """The error of a table that cannot be read."""
    return StoreError(f"{address}: the look-up table is damaged; vnome rebuild makes it anew from the tracks")
