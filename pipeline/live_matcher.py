"""The matcher: follows the codes of many cameras, and shares them with other matchers.

Each camera belongs to one matcher, by a lease that runs out. Whoever takes it over goes on where the other stopped:
the session's state is in Redis, and codes that were given to a matcher that died are given again. What follows from
some codes - events, sightings, state, and that the codes are done - is written in one transaction under the lease,
so that every change is told once.
"""

import json
import math
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis

from pipeline import keys
from pipeline.camera_follower import CameraFollower, Changes, MatchEvent, sighting_id
from pipeline.camera_pictures import keep_for_sighting
from pipeline.code_stream import CodeStream, StoredFrame, stored_frames
from pipeline.errors import StoreError
from pipeline.film_labels import FilmLabels
from pipeline.library import Library
from pipeline.logs import get_logger
from pipeline.matching import Matcher
from pipeline.metrics import Metrics
from pipeline.session import LIVE_WINDOW_SECONDS
from pipeline.sightings import Sightings
from pipeline.store import Store
from pipeline.tracing import frames_span

GROUP = "matchers"
LEASE_MS = 10_000
SHARE_SECONDS = 2.0  # between looks at which cameras there are, and whose
ACTIVE_SECONDS = 3600.0  # since its newest frame; a camera that was silent for longer needs no matcher
SILENT_SECONDS = 10.0  # then what was found counts as lost
READ_FRAMES = 50  # of a camera at a time
BLOCK_MS = 200
KEEP_EVENTS = 100_000  # in the stream of match events, about
WAIT_SECONDS = (0.2, 5.0)  # first and longest, while Redis is away

log = get_logger(__name__)


class LiveMatcher:
    """One matcher process. name: its own among the matchers. tells_shown: see `CameraFollower`."""

    def __init__(
        self,
        store: Store,
        matcher: Matcher,
        library: Library,
        metrics: Metrics,
        name: str,
        tells_shown: bool = False,
    ) -> None:
        self._store, self._client = store, store.client
        self._films, self._tells_shown = FilmLabels(store), tells_shown
        self._matcher, self._library, self._metrics = matcher, library, metrics
        self._name = name
        self._stream = CodeStream(store)
        self._sightings = Sightings(store)
        self._followers: dict[str, CameraFollower] = {}
        self._fed_at: dict[str, float] = {}
        self._shared_at = -math.inf
        self._rounds_at = time.monotonic()
        self.trouble: str | None = "not started"

    @property
    def cameras(self) -> list[str]:
        """The cameras that this matcher follows."""
        return sorted(self._followers)

    def not_ready(self) -> str | None:
        """Why it does not follow cameras; None when it does."""
        return self.trouble

    def stuck(self) -> str | None:
        """Why this process should be replaced; None when it works."""
        silent = time.monotonic() - self._rounds_at
        return f"no round for {silent:.0f} s" if silent > 120 else None

    def run(self, stop: threading.Event) -> None:
        """Follows cameras until told to stop; waits while Redis is away."""
        wait = WAIT_SECONDS[0]
        while not stop.is_set():
            self._rounds_at = time.monotonic()
            try:
                self.round()
            except StoreError as error:
                self.trouble = str(error)
                log.warning("Redis is away, waiting", error=str(error))
                self._followers.clear()  # what was not written is followed again
                self._shared_at = -math.inf
                stop.wait(wait)
                wait = min(wait * 2, WAIT_SECONDS[1])
            else:
                self.trouble, wait = None, WAIT_SECONDS[0]
        with suppress(StoreError):
            self._leave()

    def round(self) -> None:
        """Shares cameras with the other matchers when it is time to, and follows what came. Raises StoreError."""
        if time.monotonic() - self._shared_at >= SHARE_SECONDS:
            self._shared_at = time.monotonic()
            self._share()
        if not self._followers:
            time.sleep(BLOCK_MS / 1000)
            return
        for camera, frames in self._read():
            self._follow(camera, frames)
        for camera in [c for c, at in self._fed_at.items() if time.monotonic() - at > SILENT_SECONDS]:
            self._fed_at[camera] = time.monotonic()
            follower = self._followers.get(camera)
            if follower is not None and follower.holds:
                self._write(follower, follower.end(), [])

    # Which cameras

    def _share(self) -> None:
        now = time.time()
        with self._store.errors():
            pipe = self._client.pipeline(transaction=False)
            pipe.zadd(keys.MATCHERS, {self._name: now})
            pipe.zremrangebyscore(keys.MATCHERS, "-inf", now - LEASE_MS / 1000)
            pipe.zcard(keys.MATCHERS)
            pipe.zrangebyscore(keys.CAMERAS, now - ACTIVE_SECONDS, "+inf")
            *_, matchers, names = pipe.execute()
            cameras = [name.decode() for name in names]
            for camera in [name for name in self._followers if not self._renew(name)]:
                self._drop(camera)
            share = math.ceil(len(cameras) / max(matchers, 1))
            for camera in self.cameras[share:]:
                self._release(camera)
            for camera in cameras:
                if len(self._followers) >= share:
                    break
                if camera not in self._followers and self._claim(camera):
                    self._take_over(camera)
            self._metrics.cameras_followed.set(len(self._followers))

    def _renew(self, camera: str) -> bool:
        """Prolongs the lease of a camera; False when another matcher has it."""
        name = keys.camera_matcher(camera)
        holder = self._client.get(name)
        if holder is not None and bytes(holder).decode() != self._name:  # type: ignore[arg-type]
            return False
        return bool(self._client.set(name, self._name, px=LEASE_MS))

    def _claim(self, camera: str) -> bool:
        return bool(self._client.set(keys.camera_matcher(camera), self._name, px=LEASE_MS, nx=True))

    def _release(self, camera: str) -> None:
        """Gives a camera to whoever wants it; what it knows is in Redis."""
        self._drop(camera)
        self._client.delete(keys.camera_matcher(camera))

    def _drop(self, camera: str) -> None:
        self._followers.pop(camera, None)
        self._fed_at.pop(camera, None)
        log.info("released", camera=camera)

    def _leave(self) -> None:
        with self._store.errors():
            for camera in self.cameras:
                self._release(camera)
            self._client.zrem(keys.MATCHERS, self._name)

    def _take_over(self, camera: str) -> None:
        """Follows a camera from where the last matcher's work is written; first what that one did not finish."""
        stream = keys.camera_codes(camera)
        self._make_group(stream)
        state = self._client.hget(keys.camera_state(camera), "session")
        follower = CameraFollower(
            camera,
            self._matcher,
            self._library,
            bytes(state).decode() if state else None,  # type: ignore[arg-type]
            self._films,
            self._tells_shown,
        )
        self._followers[camera], self._fed_at[camera] = follower, time.monotonic()
        log.info("following", camera=camera)
        first, given = "0-0", []
        while True:
            first, part, *_ = self._client.xautoclaim(stream, GROUP, self._name, 0, first, count=1000)
            given += stored_frames(part)
            first = first.decode() if isinstance(first, bytes) else str(first)
            if first == "0-0":
                break
        newest = given[0].id if given else self._delivered(stream)
        follower.remember(self._stream.before(camera, newest, LIVE_WINDOW_SECONDS))
        if given:
            self._follow(camera, given)

    def _make_group(self, stream: str) -> None:
        try:
            self._client.xgroup_create(stream, GROUP, "0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _delivered(self, stream: str) -> str:
        """The id after the newest entry that was given to a matcher."""
        group = next(group for group in self._client.xinfo_groups(stream) if group["name"] == GROUP.encode())
        ms, _, number = bytes(group["last-delivered-id"]).decode().partition("-")
        return f"{ms}-{int(number) + 1}"

    # Following

    def _read(self) -> list[tuple[str, list[StoredFrame]]]:
        """New frames of the cameras that are followed."""
        streams: dict[Any, Any] = {keys.camera_codes(camera): ">" for camera in self.cameras}
        with self._store.errors():
            try:
                found: Any = self._client.xreadgroup(GROUP, self._name, streams, count=READ_FRAMES, block=BLOCK_MS)
            except redis.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                for stream in streams:  # a stream that was silent for long is gone, its group with it
                    self._make_group(stream)
                return []
        by_stream = found.items() if isinstance(found, dict) else found
        names = {keys.camera_codes(camera).encode(): camera for camera in self.cameras}
        read = []
        for name, entries in by_stream:
            flat = entries[0] if entries and isinstance(entries[0], list) else entries
            read.append((names[name], stored_frames(flat)))
        return read

    def _follow(self, camera: str, frames: Sequence[StoredFrame]) -> None:
        follower = self._followers[camera]
        self._fed_at[camera] = time.monotonic()
        started = time.monotonic()
        with frames_span("match.decide", (frame.trace for frame in frames), camera=camera, frames=len(frames)):
            changes = follower.advance(frames)
        self._metrics.stage_seconds.labels("match").observe(time.monotonic() - started)
        self._write(follower, changes, [frame.id for frame in frames])

    def _write(self, follower: CameraFollower, changes: Changes, done: Sequence[str]) -> None:
        """One transaction: 1. events, 2. sightings and pictures, 3. the session's state, 4. that the codes are done."""
        camera = follower.camera
        lease = keys.camera_matcher(camera)

        def change(pipe: "redis.client.Pipeline") -> bool:
            holder: Any = pipe.get(lease)
            pipe.multi()
            if holder is None or holder.decode() != self._name:
                return False
            # 1. Events.
            for event in changes.events:
                document = json.dumps(event.document(), ensure_ascii=False)
                pipe.xadd(keys.MATCHES, {"event": document}, maxlen=KEEP_EVENTS, approximate=True)
            # 2. Sightings.
            for sighting in changes.sightings.values():
                self._sightings.put(pipe, sighting)
            for event in changes.events:
                if isinstance(event, MatchEvent) and event.event != "lost":
                    keep_for_sighting(pipe, camera, sighting_id(camera, event.time))
            # 3. The session.
            follow = "" if follower.follow is None else follower.follow
            pipe.hset(keys.camera_state(camera), mapping={"session": follower.state(), "follow": follow})
            # 4. The codes.
            if done:
                pipe.xack(keys.camera_codes(camera), GROUP, *done)
            return True

        with self._store.errors():
            written = self._store.transaction(change, lease)
        if not written:
            log.warning("another matcher has taken a camera over", camera=camera)
            self._drop(camera)
            return
        for sighting in changes.sightings.values():
            if not sighting.open:
                self._metrics.sighting_seconds.observe(sighting.end - sighting.start)
        now = time.time()
        for event in changes.events:
            self._metrics.match_events_total.labels(event.event).inc()
            if event.event == "found":
                self._metrics.capture_to_match_seconds.observe(max(now - event.time, 0))
            if isinstance(event, MatchEvent):
                log.info(event.event, camera=camera, video=event.video, at_seconds=round(event.at_seconds, 2))
            else:
                log.info(event.event, camera=camera, labels=[label for label, _ in event.labels])
