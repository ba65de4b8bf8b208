"""Channels: what is on the air is indexed as it airs, and forgotten after a set time.

A channel is a video of the catalogue whose track grows by a second at a time and is cut off at its other end by a
minute at a time; its moments count from when it was first seen. Processors write its codes to a stream, as for any
reference; one indexer of a channel, by a lease, takes each second that is complete, stores its runs, adds their
postings and notes how far it came: in this order, and all of it may be repeated.
"""

import itertools
import json
import math
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from pipeline import keys
from pipeline.code_stream import CodeStream, StoredFrame
from pipeline.codes import FrameCodes
from pipeline.errors import CatalogueError, InputError, StoreError
from pipeline.library import Library
from pipeline.logs import get_logger
from pipeline.postings import Postings
from pipeline.store import Store
from pipeline.tracks import BLOCK_MS, LATEST_MS, Track
from pipeline.videos import VideoFields, VideoRecord
from pipeline.views import INSIDE_BARS, WHOLE

CHUNK_MS = 1000  # is indexed at once, so that what aired is found a second later; a run lasts no longer
LEASE_MS = 10_000
ROUND_SECONDS = 0.2
MOST_SECONDS_A_ROUND = 60  # of what waits, so that the lease is renewed in between
WAIT_SECONDS = (0.2, 5.0)  # first and longest, while Redis is away
GONE_SECONDS = 60.0  # beyond what it is kept, a channel of which nothing comes is removed altogether

log = get_logger(__name__)


@dataclass(frozen=True)
class _Channel:
    """keep_seconds: what is older is forgotten. seen_ms: newest capture time, epoch."""

    name: str
    keep_seconds: int
    seen_ms: int

    @property
    def stream(self) -> str:
        return keys.reference_codes(self.name)


class ChannelIndexer:
    """Indexes the channels that no other process indexes. encoder: SHA-256 of the model that codes them."""

    def __init__(self, store: Store, library: Library, encoder: str) -> None:
        self._store, self._client, self._library, self._encoder = store, store.client, library, encoder
        self._stream = CodeStream(store)
        self._token = uuid.uuid4().hex

    def run(self, stop: threading.Event) -> None:
        """Indexes until told to stop; waits while Redis is away."""
        wait = WAIT_SECONDS[0]
        while not stop.wait(ROUND_SECONDS):
            try:
                self.round(time.time())
            except StoreError as error:
                log.warning("Redis is away, waiting", error=str(error))
                stop.wait(wait)
                wait = min(wait * 2, WAIT_SECONDS[1])
            else:
                wait = WAIT_SECONDS[0]
        with suppress(StoreError):
            self._leave()

    def round(self, now: float) -> None:
        """What is due of every channel that is this process's. now: seconds since the epoch. Raises StoreError."""
        for channel in self._channels():
            if not self._leads(channel.name):
                continue
            try:
                self._advance(channel, now)
            except InputError as error:  # another encoder, a film of that name: the others go on
                log.warning("a channel is not indexed", channel=channel.name, error=str(error))

    def _channels(self) -> list[_Channel]:
        with self._store.errors():
            stored: Any = self._client.hgetall(keys.CHANNELS)
        told = {name.decode(): json.loads(text) for name, text in stored.items()}
        return [_Channel(name, about["keep"], about["seen"]) for name, about in sorted(told.items())]

    def _leads(self, name: str) -> bool:
        """Whether this process indexes a channel; takes a lease that is free, renews its own."""
        lease = keys.channel_indexer(name)
        with self._store.errors():
            if self._client.set(lease, self._token, nx=True, px=LEASE_MS):
                return True
            holder: Any = self._client.get(lease)
            return holder is not None and holder.decode() == self._token and bool(self._client.pexpire(lease, LEASE_MS))

    def _leave(self) -> None:
        for channel in self._channels():
            if self._leads(channel.name):
                with self._store.errors():
                    self._client.delete(keys.channel_indexer(channel.name))

    def _advance(self, channel: _Channel, now: float) -> None:
        record = self._library.find(channel.name)
        if record is None or not record.is_live or record.keep_seconds != channel.keep_seconds:
            record = self._open(channel, record)
            if record is None:
                return
        for _ in range(MOST_SECONDS_A_ROUND):
            if not self._index_next(channel, record):
                break
        self._forget(channel, record, now)

    def _open(self, channel: _Channel, old: VideoRecord | None) -> VideoRecord | None:
        """Puts a channel into the catalogue, from its oldest frame on; None when nothing of it is there."""
        first = next(iter(self._stream.read(channel.stream, count=1)), None)
        if first is None:
            return None
        if old is not None and not old.is_live:
            raise CatalogueError(f"a film has the id {old.id!r}; give the channel another")
        since = _ms(first) // CHUNK_MS * CHUNK_MS
        fields = VideoFields(channel.name, channel.name, "live", f"live {since} {channel.keep_seconds}", self._encoder)
        self._library.recover()  # of one that died while it did this
        self._library.add(fields, Track.empty(), 0.0, 0, {}, live=(since, channel.keep_seconds))
        log.info("channel", channel=channel.name, keep_seconds=channel.keep_seconds)
        return self._library.get(channel.name)

    def _index_next(self, channel: _Channel, record: VideoRecord) -> bool:
        """Indexes the next second in which something aired; False when none is complete."""
        done = self._done(record.number)
        start = record.live_since_ms + done * CHUNK_MS
        first = next(iter(self._stream.read(channel.stream, f"{start}-0", count=1)), None)
        if first is None:
            return False
        chunk = (_ms(first) - record.live_since_ms) // CHUNK_MS  # nothing may have aired for a while
        start = record.live_since_ms + chunk * CHUNK_MS
        if channel.seen_ms < start + CHUNK_MS:
            return False
        if (chunk + 1) * CHUNK_MS > LATEST_MS or chunk - done > channel.keep_seconds:
            with self._store.errors():  # it starts anew: after 24 days, or when all that is stored is too old anyway
                self._client.xtrim(channel.stream, minid=f"{start}-0", approximate=False)
            self._library.remove(channel.name)
            return False
        frames = list(self._stream.read(channel.stream, f"{start}-0", f"{start + CHUNK_MS - 1}"))
        track = _track_of(frames, record.live_since_ms, (chunk + 1) * CHUNK_MS)
        # 1. The runs. 2. Their postings. 3. That it is done.
        self._library.extend_live(record.number, track, (chunk + 1) * CHUNK_MS)
        self._library.lut.add(Postings.of_track(record.number, track))
        with self._store.errors():
            self._client.set(keys.channel_done(record.number), chunk + 1)
        return True

    def _done(self, number: int) -> int:
        with self._store.errors():
            return int(self._client.get(keys.channel_done(number)) or 0)

    def _forget(self, channel: _Channel, record: VideoRecord, now: float) -> None:
        """Forgets the minutes that are older than the channel is kept; the channel, when nothing is left of it."""
        if now - channel.seen_ms / 1000 > channel.keep_seconds + GONE_SECONDS:
            self._library.remove(channel.name)
            with self._store.errors():
                self._client.hdel(keys.CHANNELS, channel.name)
            log.info("channel forgotten", channel=channel.name)
            return
        oldest_ms = now * 1000 - channel.keep_seconds * 1000 - record.live_since_ms
        for track in self._library.forget_live(record.number, math.floor(oldest_ms / BLOCK_MS)):
            for postings in live_postings(record.number, track):
                self._library.lut.discard(postings)


def live_postings(number: int, track: Track) -> list[Postings]:
    """The postings of a channel's runs, as they were added second by second."""
    chunks = track.start_ms // CHUNK_MS
    bounds = [*np.flatnonzero(np.diff(chunks.astype(np.int64), prepend=-1)).tolist(), len(track)]
    parts = []
    for start, stop in itertools.pairwise(bounds):
        end_ms = (int(chunks[start]) + 1) * CHUNK_MS
        part = Track(track.start_ms[start:stop], track.codes[start:stop], end_ms, track.levels[start:stop])
        parts.append(Postings.of_track(number, part))
    return parts


def aired_at(record: VideoRecord, at_seconds: float) -> str | None:
    """When a moment of a channel was on the air, UTC, ISO 8601; None for a film."""
    if not record.is_live:
        return None
    return datetime.fromtimestamp(record.live_since_ms / 1000 + at_seconds, UTC).isoformat(timespec="milliseconds")


def _track_of(frames: list[StoredFrame], since_ms: int, end_ms: int) -> Track:
    """The runs of one second, at moments from the channel's begin."""
    coded = []
    for frame in frames:
        try:
            coded.append(frame.coded(since_ms * 1_000_000))
        except (ValueError, KeyError):  # damaged: the second is indexed without it
            log.warning("a frame's codes are damaged", id=frame.id)
    coded.sort(key=lambda frame: frame.pts_seconds)
    parts = [frame.views.get(INSIDE_BARS, frame.views.get(WHOLE)) for frame in coded]
    codes = FrameCodes.concatenate([part for part in parts if part is not None])
    if not len(codes):
        return Track.empty()
    track = Track.from_codes(codes.pts_seconds, codes.codes, end_ms / 1000, codes.margins)
    inside = track.start_ms < end_ms  # one that was rounded up belongs to no second
    return Track(track.start_ms[inside], track.codes[inside], end_ms, track.levels[inside])


def _ms(frame: StoredFrame) -> int:
    return int(frame.id.partition("-")[0])
