"""Streams of codes in Redis, one a camera: what processors write and matchers follow.

Every frame is there once, in the order in which Kafka holds its camera's frames, however often it is written: an
entry's id is (capture time in ms, frame number), and the script below writes no id twice. A frame whose clock went
back still gets in, behind the newest one; that it is no repetition is told by its offset.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline import keys
from pipeline.messages import CHANNEL, FrameMessage
from pipeline.store import Store
from pipeline.tracing import is_sampled
from pipeline.views import CodedFrame
from pipeline.wire import pack_readings, unpack_readings

KEEP_MS = 600_000  # of a camera; a matcher that is away for longer misses frames
FORGET_MS = 24 * 3_600_000  # a stream to which nothing is added any more
NS = 1_000_000_000

# KEYS: stream, state. ARGV: name of the partition's field, keep ms or 0, forget ms, then for each frame: id's ms, id's
# number, offset, count of the entry's fields, the fields. Returns for each frame 1 when written, 0 when it was there;
# and last the view to follow.
_PUSH = """
local function larger(a, b, c, d) return a > c or (a == c and b > d) end
local stream, state, place = KEYS[1], KEYS[2], ARGV[1]
local ms, number = string.match(redis.call('HGET', state, 'last') or '0-0', '(%d+)-(%d+)')
ms, number = tonumber(ms), tonumber(number)
local high = tonumber(redis.call('HGET', state, place) or '-1')
local written, at = {}, 4
while at <= #ARGV do
  local m, n, offset, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local id, new = ARGV[at] .. '-' .. ARGV[at + 1], true
  if not larger(m, n, ms, number) then
    new = offset > high and #redis.call('XRANGE', stream, id, id) == 0
    m, n = ms, number + 1
  end
  if new then
    ms, number = m, n
    id = string.format('%d-%d', ms, number)
    redis.call('XADD', stream, id, unpack(ARGV, at + 4, at + 3 + count))
    redis.call('HSET', state, 'last', id)
  end
  if offset > high then high = offset end
  table.insert(written, new and 1 or 0)
  at = at + 4 + count
end
redis.call('HSET', state, place, string.format('%d', high))
if tonumber(ARGV[2]) > 0 then
  redis.call('XTRIM', stream, 'MINID', '~', string.format('%d', math.max(ms - tonumber(ARGV[2]), 0)))
end
redis.call('PEXPIRE', stream, ARGV[3])
redis.call('PEXPIRE', state, ARGV[3])
table.insert(written, redis.call('HGET', state, 'follow') or '')
return written
"""


@dataclass(frozen=True)
class CodeEntry:
    """A coded frame on its way to Redis. labels: (label, probability) as recognition says; None: it was not asked."""

    message: FrameMessage
    coded: CodedFrame
    labels: Sequence[tuple[str, float]] | None = None


@dataclass(frozen=True)
class StoredFrame:
    """A coded frame out of Redis. id: of the stream's entry. ts_ns: capture time, ns since the epoch."""

    id: str
    ts_ns: int
    seq: int
    fields: dict[bytes, bytes] = field(repr=False)

    def coded(self, origin_ns: int) -> CodedFrame:
        """The codes, at seconds from the origin. Raises ValueError when damaged."""
        views = list(self.fields[b"v"])
        pts_seconds = (self.ts_ns - origin_ns) / NS
        only = self.fields.get(b"o")
        readings = unpack_readings(self.fields[b"c"], len(views), pts_seconds)
        return CodedFrame(pts_seconds, dict(zip(views, readings, strict=True)), None if only is None else int(only))

    @property
    def trace(self) -> str:
        """Its traceparent, where its trace is recorded."""
        return self.fields.get(b"p", b"").decode()

    def labels(self) -> list[tuple[str, float]] | None:
        """What recognition said; None when it did not look at this frame. Raises ValueError when damaged."""
        text = self.fields.get(b"l")
        return None if text is None else [(str(label), float(share)) for label, share in json.loads(text)]


class CodeStream:
    """The streams of all cameras and of the videos being sent, in one store. keep_ms: of a camera."""

    def __init__(self, store: Store, keep_ms: int = KEEP_MS) -> None:
        self._store = store
        self._keep_ms = keep_ms

    def push(self, entries: Sequence[CodeEntry]) -> tuple[list[bool], dict[str, int | None]]:
        """Writes frames, in one round trip.

        Returns for each whether it was new, and for each camera the view that its matcher follows.
        Raises StoreError; then some may be written and some not, and all may be pushed again.
        """
        groups: dict[tuple[str, str, str], list[int]] = {}
        for i, entry in enumerate(entries):
            message = entry.message
            place = f"offset:{message.place.topic}:{message.place.partition}"
            groups.setdefault((message.video, message.camera, place), []).append(i)
        with self._store.errors():
            pipe = self._store.client.pipeline(transaction=False)
            for (video, camera, place), members in groups.items():
                self._push_source(pipe, video, camera, place, [entries[i] for i in members])
            newest = {e.message.camera: e.message.ts_ns / NS for e in entries if not e.message.video}
            for message in {e.message.video: e.message for e in entries if e.message.role == CHANNEL}.values():
                about = {"keep": message.keep_seconds, "seen": message.ts_ns // 1_000_000}
                pipe.hset(keys.CHANNELS, message.video, json.dumps(about))
            if newest:
                pipe.zadd(keys.CAMERAS, newest, gt=True)
            results = pipe.execute()
        new = [False] * len(entries)
        follow: dict[str, int | None] = {}
        for ((_, camera, _), members), (*written, view) in zip(groups.items(), results, strict=False):
            follow[camera] = int(view) if view else None
            for i, state in zip(members, written, strict=True):
                new[i] = bool(state)
        return new, follow

    def _push_source(self, pipe: Any, video: str, camera: str, place: str, entries: Sequence[CodeEntry]) -> None:
        names = (keys.reference_codes(video), keys.reference_state(video)) if video else camera_keys(camera)
        endless = not video or entries[0].message.role == CHANNEL
        arguments: list[Any] = [place, self._keep_ms if endless else 0, FORGET_MS]
        for entry in entries:
            fields = _fields(entry)
            message = entry.message
            arguments += [message.ts_ns // 1_000_000, message.seq, message.place.offset, len(fields), *fields]
        pipe.execute_command("EVAL", _PUSH, 2, *names, *arguments)  # of a Cluster, too

    def read(self, name: str, start: str = "-", stop: str = "+", count: int = 1000) -> Iterator[StoredFrame]:
        """The entries of a stream from one id to another, both inclusive, `count` a round trip."""
        while True:
            with self._store.errors():
                part: Any = self._store.client.xrange(name, start, stop, count)
            yield from stored_frames(part)
            if len(part) < count:
                return
            start = "(" + part[-1][0].decode()

    def before(self, camera: str, id: str, seconds: float) -> list[StoredFrame]:
        """What was written of a camera in the last seconds before this entry, oldest first."""
        ms, number = (int(part) for part in id.split("-"))
        start = f"{max(ms - int(seconds * 1000), 0)}-0"
        stop = f"{ms}-{number - 1}" if number else f"{max(ms - 1, 0)}"
        return list(self.read(keys.camera_codes(camera), start, stop))


def camera_keys(camera: str) -> tuple[str, str]:
    """Of a camera's stream and of its state."""
    return keys.camera_codes(camera), keys.camera_state(camera)


def stored_frames(entries: Iterable[tuple[bytes, dict[bytes, bytes] | None]]) -> list[StoredFrame]:
    """Stream entries as redis gives them; what was trimmed meanwhile is left out."""
    return [StoredFrame(id.decode(), int(fields[b"t"]), int(fields[b"n"]), fields) for id, fields in entries if fields]


def _fields(entry: CodeEntry) -> list[Any]:
    views = sorted(entry.coded.views)
    readings = pack_readings([entry.coded.views[view] for view in views])
    fields: list[Any] = ["t", entry.message.ts_ns, "n", entry.message.seq, "v", bytes(views), "c", readings]
    if entry.coded.only is not None:
        fields += ["o", entry.coded.only]
    if is_sampled(entry.message.trace):
        fields += ["p", entry.message.trace]
    if entry.labels is not None:
        fields += ["l", json.dumps([[label, round(share, 3)] for label, share in entry.labels])]
    return fields
