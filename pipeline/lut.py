"""The look-up table in Redis: code -> (video, moment), in packed binary postings.

A bucket is a string of records (`pipeline.buckets`), a few dozen, so that its key costs little. It is always written
whole, since APPEND leaves a string half empty. Each partition of the table keeps beside its buckets how many there
are and how many postings they hold; every change of a bucket is a script that first checks this number, and every
look-up reads it with the buckets, so that a partition may grow while others read and write it.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
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
    mix,
    mixed_of,
    next_split,
    pack,
    partitions_of,
    shared_bits,
    tags,
    ticks_of,
)
from pipeline.codes import CodeArray
from pipeline.errors import StoreError
from pipeline.postings import COMMON, TICK_MS, Hits, Postings
from pipeline.store import Store

BUCKET_POSTINGS = 48  # on average, above which a partition gets another bucket
CHANGED_TOGETHER = 10_000  # postings in one pipeline of changes: about 10 MB on the server's wire and in its file
BUCKETS_TOGETHER = 2_000  # written or deleted in one pipeline, about 1 MB
SPLITS_TOGETHER = 500  # in one pipeline
MOST_TURNS = 4  # codes of one bucket that are compared one after the other
MOST_TRIES = 1000  # of a change or look-up while others make the partition grow

# Every script: KEYS[1] is the partition's state, ARGV[1] the state's buckets and generation that the caller knows.
# Returns {1, state} when done, {0, state} when the state is another.
_STATE = """
local state = redis.call('GET', KEYS[1]) or '4 0 0'
local buckets, count, generation = string.match(state, '^(%d+) (%d+) (%d+)$')
if not buckets then return redis.error_reply('ERR ' .. KEYS[1] .. ' is damaged') end
if buckets .. ' ' .. generation ~= ARGV[1] then return {0, state} end
local function bucket(key)
  local data = redis.call('GET', key) or ''
  if #data % RECORD ~= 0 then error(key .. ' is damaged') end
  return data
end
local function put(key, data)
  if #data == 0 then redis.call('DEL', key) else redis.call('SET', key, data) end
end
local function done(buckets, count)
  count = math.max(count, 0)
  if count == 0 and generation == '0' then
    redis.call('DEL', KEYS[1])
    return {1, '4 0 0'}
  end
  state = string.format('%d %d %d', buckets, count, generation)
  redis.call('SET', KEYS[1], state)
  return {1, state}
end
""".replace("RECORD", str(RECORD_BYTES))

# KEYS: buckets. ARGV: the records to add to each, no two alike; those that are there already are left out.
_ADD = """
local function suffix(data, at) return string.sub(data, at, at + 1) .. string.sub(data, at + 9, at + 9) end
local function rare(old, new)
  local seen, kept = {}, {}
  for at = 1, #old, RECORD do
    local code = suffix(old, at)
    seen[code] = (seen[code] or 0) + 1
  end
  for at = 1, #new, RECORD do
    local code = suffix(new, at)
    seen[code] = (seen[code] or 0) + 1
    if seen[code] <= COMMON then kept[#kept + 1] = string.sub(new, at, at + RECORD - 1) end
  end
  return table.concat(kept)
end
local function holds(data, record)
  local at = string.find(data, record, 1, true)
  while at and at % RECORD ~= 1 do at = string.find(data, record, at + 1, true) end
  return at
end
local function fresh(old, new)
  local kept = {}
  for at = 1, #new, RECORD do
    local record = string.sub(new, at, at + RECORD - 1)
    if not holds(old, record) then kept[#kept + 1] = record end
  end
  return table.concat(kept)
end
for i = 2, #KEYS do
  local old = bucket(KEYS[i])
  local new = fresh(old, ARGV[i])
  if #old + #new > RECORD * COMMON then new = rare(old, new) end
  if #new > 0 then redis.call('SET', KEYS[i], old .. new) end
  count = count + #new / RECORD
end
return done(buckets, count)
""".replace("RECORD", str(RECORD_BYTES)).replace("COMMON", str(COMMON))

# KEYS: buckets. ARGV[2]: the video's number as 4 bytes, in the place that `RECORD` gives it.
_REMOVE = """
for i = 2, #KEYS do
  local data, kept = bucket(KEYS[i]), {}
  if string.find(data, ARGV[2], 1, true) then
    for at = 1, #data, RECORD do
      if string.sub(data, at + 2, at + 5) ~= ARGV[2] then kept[#kept + 1] = string.sub(data, at, at + RECORD - 1) end
    end
    if #kept * RECORD < #data then put(KEYS[i], table.concat(kept)) end
    count = count - (#data / RECORD - #kept)
  end
end
return done(buckets, count)
""".replace("RECORD", str(RECORD_BYTES))

# KEYS: buckets. ARGV: the records to take out of each.
_DISCARD = """
for i = 2, #KEYS do
  local data, gone, kept = bucket(KEYS[i]), {}, {}
  for at = 1, #ARGV[i], RECORD do gone[string.sub(ARGV[i], at, at + RECORD - 1)] = true end
  for at = 1, #data, RECORD do
    local record = string.sub(data, at, at + RECORD - 1)
    if not gone[record] then kept[#kept + 1] = record end
  end
  if #kept * RECORD < #data then put(KEYS[i], table.concat(kept)) end
  count = count - (#data / RECORD - #kept)
end
return done(buckets, count)
""".replace("RECORD", str(RECORD_BYTES))

# KEYS: bucket, its halves. ARGV: place of the byte in a record, divisor that brings the bit to its end.
_SPLIT = """
local data, halves = bucket(KEYS[2]), {{}, {}}
local place, divisor = tonumber(ARGV[2]) + 1, tonumber(ARGV[3])
for at = 0, #data - 1, RECORD do
  local half = halves[math.floor(string.byte(data, at + place) / divisor) % 2 + 1]
  half[#half + 1] = string.sub(data, at + 1, at + RECORD)
end
redis.call('DEL', KEYS[2])
put(KEYS[3], table.concat(halves[1]))
put(KEYS[4], table.concat(halves[2]))
return done(buckets + 1, count)
""".replace("RECORD", str(RECORD_BYTES))

# KEYS: state. ARGV: the state that must be there, empty for any; the new one. Returns the old one, or nil.
_EXCHANGE = """
local state = redis.call('GET', KEYS[1]) or '4 0 0'
if ARGV[1] ~= '' and ARGV[1] ~= state then return false end
redis.call('SET', KEYS[1], ARGV[2])
return state
"""

# ARGV: how many postings the state says, and how many there are.
_RECOUNT = """
if count ~= ARGV[2] then return {0, state} end
return done(buckets, tonumber(ARGV[3]))
"""


class _Script:
    """A script, by its text and by the name that Redis gives it."""

    def __init__(self, body: str) -> None:
        self.text = _STATE + body
        self.sha = hashlib.sha1(self.text.encode()).hexdigest()  # noqa: S324  how Redis names a script


ADD, REMOVE, DISCARD = _Script(_ADD), _Script(_REMOVE), _Script(_DISCARD)
SPLIT, RECOUNT = _Script(_SPLIT), _Script(_RECOUNT)


@dataclass(frozen=True)
class State:
    """Of a partition: how many buckets, how many postings; generation: changes when it is built anew."""

    buckets: int = FIRST_BUCKETS
    postings: int = 0
    generation: int = 0

    @staticmethod
    def of_text(text: bytes | None, address: str) -> "State":
        """As it is stored. Raises StoreError when damaged."""
        try:
            if not text:
                return State()
            buckets, postings, generation = map(int, text.split())
            return State(buckets, postings, generation)
        except ValueError:
            raise _damaged(address) from None

    @property
    def text(self) -> str:
        """As it is stored."""
        return f"{self.buckets} {self.postings} {self.generation}"

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


class RedisLut:
    """The table in a store.

    Every method raises StoreError when the store fails or the table is damaged; then `add` and `remove` may be half
    done.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._states = [State()] * PARTITIONS  # as last seen

    def add(self, postings: Postings) -> None:
        """See `Lut.add`. In pipelines; partitions that are full afterwards grow."""
        for start in range(0, len(postings), CHANGED_TOGETHER):
            self._grow(self._change(ADD, postings.part(slice(start, start + CHANGED_TOGETHER))))

    def discard(self, postings: Postings) -> None:
        """Takes exactly these postings out; those that are not there change nothing."""
        for start in range(0, len(postings), CHANGED_TOGETHER):
            self._change(DISCARD, postings.part(slice(start, start + CHANGED_TOGETHER)))

    def _change(self, script: _Script, postings: Postings) -> list[int]:
        """Runs a script with the records of postings; returns the partitions that it touched."""
        places = np.unique((mix(postings.codes).astype(np.uint64) << np.uint64(32)) | postings.ticks)
        mixed = (places >> np.uint64(32)).astype(np.uint32)
        records = pack(mixed, postings.video_number, places.astype(np.uint32))
        bounds = np.searchsorted(partitions_of(mixed), np.arange(PARTITIONS + 1))

        def change(partition: int, state: State) -> tuple[list[str], list[Any]]:
            mine = slice(bounds[partition], bounds[partition + 1])
            buckets, starts = _groups(buckets_of(mixed[mine], np.full(len(mixed[mine]), state.buckets)))
            packed = records[mine].tobytes()
            ends = [*(starts[1:] * RECORD_BYTES).tolist(), len(packed)]
            parts = [packed[start:end] for start, end in zip((starts * RECORD_BYTES).tolist(), ends, strict=True)]
            return [keys.bucket(tags()[partition], state.generation, bucket) for bucket in buckets.tolist()], parts

        touched = np.flatnonzero(np.diff(bounds)).tolist()
        self._run(script, change, touched)
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
            buckets, _ = _groups(buckets_of(mine, np.full(len(mine), state.buckets)))
            return [keys.bucket(tags()[partition], state.generation, bucket) for bucket in buckets.tolist()], [needle]

        self._run(REMOVE, change, np.flatnonzero(np.diff(bounds)).tolist())

    def scan(self) -> Iterator[Contents]:
        """All that is stored, a partition at a time, each as it was at one moment or while it grew."""
        for partition in range(PARTITIONS):
            yield self.contents(partition)

    def contents(self, partition: int) -> Contents:
        """All of a partition."""
        return self.seen(partition)[1]

    def seen(self, partition: int) -> tuple[State, Contents]:
        """All of a partition, and the state that it had when that was read."""
        for _ in range(MOST_TRIES):
            state = self._states[partition]
            buckets = all_buckets(state.buckets)
            shared = np.array([first_code(partition, bucket) for bucket in buckets.tolist()], np.uint32)
            found = self._read(np.full(len(buckets), partition), buckets, shared_bits(shared))
            if found is not None and state == self._states[partition]:
                return state, found
        raise StoreError(f"{self._store.address}: the look-up table changes too fast; try again")

    def replace(self, partition: int, contents: Contents, seen: State | None = None) -> bool:
        """Puts these postings in the place of all that a partition holds, while look-ups go on.

        They are written beside the old ones, then the state leads to them, then the old ones are deleted. A kill in
        between leaves some of either, which `stray_buckets` finds.
        seen: does nothing and returns False when the partition has changed since it had this state.
        """
        tag, old = tags()[partition], seen or self._states[partition]
        order = np.lexsort((contents.ticks, contents.numbers, contents.mixed))
        columns = np.stack([contents.mixed[order], contents.numbers[order], contents.ticks[order]])
        order = order[np.any(np.diff(columns, axis=1, prepend=~columns[:, :1]), axis=0)]  # each once
        order = order[_first_of_equals(contents.mixed[order], COMMON)]
        mixed = contents.mixed[order]
        new = State(max(FIRST_BUCKETS, -(-len(mixed) // BUCKET_POSTINGS)), len(mixed), old.generation + 1)
        buckets, starts = _groups(buckets_of(mixed, np.full(len(mixed), new.buckets)))
        packed = pack(mixed, contents.numbers[order], contents.ticks[order]).tobytes()
        bounds = [*(starts * RECORD_BYTES).tolist(), len(packed)]
        names = [keys.bucket(tag, new.generation, bucket) for bucket in buckets.tolist()]
        with self._store.errors():
            for start in range(0, len(names), BUCKETS_TOGETHER):
                part = range(start, min(start + BUCKETS_TOGETHER, len(names)))
                self._store.many([("SET", names[i], packed[bounds[i] : bounds[i + 1]]) for i in part])
            text = self._exchange(partition, seen, new)
            if text is None:
                self._delete(partition, new.generation, buckets.tolist())
                return False
            old = State.of_text(text, self._store.address)
            self._states[partition] = new
            self._delete(partition, old.generation, all_buckets(old.buckets).tolist())
        return True

    def _exchange(self, partition: int, seen: State | None, new: State) -> bytes | None:
        """Writes a partition's state and returns the one before; None, and writes nothing, when it is not `seen`."""
        name = keys.lut_state(tags()[partition])
        command = ("EVAL", _EXCHANGE, 1, name, seen.text if seen else "", new.text)
        (text,) = self._store.many([command])
        return None if text is None else bytes(text)

    def stray_buckets(self) -> Iterator[tuple[int, int, int]]:
        """Buckets of no partition's state, which a kill left behind: partition, generation (0 or 1), number."""
        partition_of = {tag: partition for partition, tag in enumerate(tags())}
        states = self.states()
        with self._store.errors():
            for name in self._store.client.scan_iter(match=keys.LUT, count=1000):
                found = keys.bucket_in(bytes(name))
                if found is None:
                    continue
                tag, generation, bucket = found
                state = states[partition_of[tag]]
                if generation != state.generation % 2 or not _is_bucket(bucket, state.buckets):
                    state = self.states()[partition_of[tag]]  # it may have grown meanwhile
                    if generation != state.generation % 2 or not _is_bucket(bucket, state.buckets):
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
                before = self._states[partition]
                count = len(self.contents(partition).mixed)
                state = self._states[partition]
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
        self._states = [State.of_text(text, self._store.address) for text in stored]
        return list(self._states)

    def _grow(self, partitions: Sequence[int]) -> None:
        """Splits buckets of partitions until they are small enough again."""
        waiting = [partition for partition in partitions if self._states[partition].splits_due]
        while waiting:
            self._split({partition: self._states[partition].splits_due for partition in waiting})
            waiting = [partition for partition in waiting if self._states[partition].splits_due]

    def _split(self, due: dict[int, int]) -> None:
        """Up to so many splits of each partition; where another is quicker, fewer."""
        calls: list[tuple[int, list[str], list[Any]]] = []
        for partition, count in due.items():
            state, tag = self._states[partition], tags()[partition]
            for size in range(state.buckets, state.buckets + count):
                split = next_split(size)
                names = [keys.bucket(tag, state.generation, bucket) for bucket in (split.parent, *split.halves)]
                layout = State(size, 0, state.generation).layout
                calls.append((partition, names, [layout, split.byte, split.divisor]))
        for start in range(0, len(calls), SPLITS_TOGETHER):
            self._call(SPLIT, calls[start : start + SPLITS_TOGETHER])

    def _run(self, script: _Script, change: Change, partitions: Sequence[int]) -> None:
        """Makes a change in partitions, again where its state turns out to be another."""
        for _ in range(MOST_TRIES):
            calls = []
            for partition in partitions:
                state = self._states[partition]
                names, arguments = change(partition, state)
                calls.append((partition, names, [state.layout, *arguments]))
            partitions = self._call(script, calls)
            if not partitions:
                return
        raise StoreError(f"{self._store.address}: the look-up table changes too fast; try again")

    def _call(self, script: _Script, calls: Sequence[tuple[int, list[str], list[Any]]]) -> list[int]:
        """Calls a script on partitions, in one round trip, and learns their states. Returns those not done."""
        commands = [
            ("EVALSHA", script.sha, len(names) + 1, keys.lut_state(tags()[partition]), *names, *arguments)
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
            self._states[partition] = State.of_text(text, self._store.address)
            if not done:
                missed.append(partition)
        return missed

    def _fetch(self, mixed: CodeArray) -> tuple[Contents, npt.NDArray[np.int64]]:
        """The postings with these mixed codes, which are sorted and distinct, and the place of each posting's code."""
        partitions = partitions_of(mixed)
        for _ in range(MOST_TRIES):
            sizes = np.array([state.buckets for state in self._states], np.int64)
            buckets = buckets_of(mixed, sizes[partitions])
            _, starts = _groups((partitions << np.int64(32)) | buckets)
            packed = self._buckets(partitions[starts], buckets[starts])
            if packed is not None:
                return _wanted(mixed, starts, *packed)
        raise StoreError(f"{self._store.address}: the look-up table changes too fast; try again")

    def _read(
        self, partitions: npt.NDArray[np.int64], buckets: npt.NDArray[np.int64], shared: CodeArray
    ) -> Contents | None:
        """All that lies in buckets; as `_buckets`. shared: uint32 (B,), see `shared_bits`."""
        packed = self._buckets(partitions, buckets)
        if packed is None:
            return None
        records, counts = packed
        return Contents(mixed_of(records, np.repeat(shared, counts)), records["number"].copy(), ticks_of(records))

    def _buckets(
        self, partitions: npt.NDArray[np.int64], buckets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]] | None:
        """The records of buckets, in one round trip, and how many each has, int64 (B,).

        partitions, buckets: int64 (B,), sorted by partition. None when a partition's state was not as last seen. The
        states are read after the buckets: one that has not changed until then has not been split in between.
        """
        touched = np.unique(partitions).tolist()
        begins = {p: keys.bucket_begin(tags()[p], self._states[p].generation) for p in touched}
        names = [f"{begins[p]}{bucket:x}" for p, bucket in zip(partitions.tolist(), buckets.tolist(), strict=True)]
        with self._store.errors():
            values, _ = self._store.fetch([*names, *(keys.lut_state(tags()[partition]) for partition in touched)])
        contents, texts = values[: len(names)], values[len(names) :]
        changed = False
        for partition, text in zip(touched, texts, strict=True):
            state = State.of_text(text, self._store.address)
            changed |= state.layout != self._states[partition].layout
            self._states[partition] = state
        if changed:
            return None
        sizes = np.array([len(bucket) if bucket else 0 for bucket in contents], np.int64)
        if np.any(sizes % RECORD_BYTES):
            raise _damaged(self._store.address)
        return np.frombuffer(b"".join(bucket for bucket in contents if bucket), RECORD), sizes // RECORD_BYTES


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


def _is_bucket(bucket: int, size: int) -> bool:
    """Whether a partition of so many buckets has one of this number."""
    depth = size.bit_length() - 1
    first, split = 1 << depth, size - (1 << depth)
    return first + split <= bucket < 2 * first or 2 * first <= bucket < 2 * first + 2 * split


def _first_of_equals(sorted_codes: CodeArray, most: int) -> npt.NDArray[np.int64]:
    """Places of the first `most` of each run of equal codes."""
    place = np.arange(len(sorted_codes)) - np.searchsorted(sorted_codes, sorted_codes)
    return np.flatnonzero(place < most)


def _groups(sorted_values: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Runs of equal values: the value of each run, and where it starts."""
    starts = np.flatnonzero(np.diff(sorted_values, prepend=-1))
    return sorted_values[starts], starts


def _damaged(address: str) -> StoreError:
    return StoreError(f"{address}: the look-up table is damaged; vnome rebuild makes it anew from the tracks")
