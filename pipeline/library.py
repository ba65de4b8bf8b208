"""The catalogue of videos, and what keeps it whole.

A video gets a fresh number; its track and postings are stored under that number and stay invisible until one
transaction puts the number into the catalogue. So a kill at any point leaves nothing half visible: `recover`, which
every writing command runs first, finishes or clears what a writer that is gone had begun.
"""

import difflib
import hashlib
import json
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import redis

from pipeline import keys
from pipeline.errors import CatalogueError
from pipeline.lut import Postings, RedisLut
from pipeline.motion import Motion
from pipeline.store import Store
from pipeline.tracks import Track, Tracks

SCHEMA_VERSION = 1
LEASE_MS = 15_000  # a writer on another machine that is silent for so long is taken to be gone
POSTINGS_A_WRITE = 20_000  # 200 kB; the lease is renewed between writes

Outcome = Literal["added", "unchanged", "replaced"]


@dataclass(frozen=True)
class VideoFields:
    """What the caller knows of a video. fingerprint: SHA-256 of its file. encoder: SHA-256 of the coding model."""

    id: str
    title: str
    source_name: str
    fingerprint: str
    encoder: str


@dataclass(frozen=True)
class VideoRecord(VideoFields):
    """A video of the catalogue. number: its own in postings and tracks. frames: coded; runs: stored.

    subtitles: languages. subtitles_digest: to see a change. added_at: UTC, ISO 8601.
    """

    number: int
    duration_seconds: float
    frames: int
    runs: int
    subtitles: tuple[str, ...]
    subtitles_digest: str
    added_at: str


class Library:
    """The catalogue in a store. Raises CatalogueError when it was made by another version."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lut = RedisLut(store)
        self._tracks = Tracks(store)
        self._client = store.client
        with store.errors():
            schema = json.loads(self._client.get(keys.SCHEMA) or "{}")
        if schema.get("schema", SCHEMA_VERSION) != SCHEMA_VERSION:
            raise CatalogueError(
                f"the catalogue has schema {schema['schema']}, this version reads {SCHEMA_VERSION}; "
                "use the VNOME that made it"
            )

    # Reading

    def videos(self) -> list[VideoRecord]:
        """All videos, by id."""
        with self.store.errors():
            stored = self._client.hvals(keys.VIDEOS)
        return sorted((_record(text) for text in stored), key=lambda record: record.id)

    def get(self, video: str) -> VideoRecord:
        """One video. Raises CatalogueError, with near ids, when there is none."""
        record = self.find(video)
        if record is None:
            near = difflib.get_close_matches(video, [known.id for known in self.videos()], n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "vnome list shows what there is"
            raise CatalogueError(f"no video {video!r} in the catalogue; {hint}")
        return record

    def find(self, video: str) -> VideoRecord | None:
        """One video, or None."""
        with self.store.errors():
            text = self._client.hget(keys.VIDEOS, video)
        return _record(text) if text else None

    def resolve(self, numbers: Sequence[int]) -> dict[int, VideoRecord]:
        """The records of those numbers that are in the catalogue, in two round trips."""
        distinct = sorted(set(numbers))
        if not distinct:
            return {}
        with self.store.errors():
            ids = self._client.hmget(keys.NUMBERS, [str(number) for number in distinct])
            known = [(number, video) for number, video in zip(distinct, ids, strict=True) if video]
            texts = self._client.hmget(keys.VIDEOS, [video for _, video in known]) if known else []
        records = {number: _record(text) for (number, _), text in zip(known, texts, strict=True) if text}
        return {number: record for number, record in records.items() if record.number == number}

    def posting_count(self) -> int:
        """Postings of all visible videos."""
        with self.store.errors():
            return int(self._client.get(keys.POSTINGS) or 0)

    def read_tracks(self, windows: Sequence[tuple[int, float, float]]) -> list[Track]:
        """Parts (number, from seconds, to seconds) of tracks, in one round trip."""
        with self.store.errors():
            return self._tracks.read(windows)

    def whole_track(self, number: int) -> tuple[Track, Motion | None]:
        """All that is stored of a video's course in time."""
        with self.store.errors():
            packed = self._client.get(keys.motion(number))
            return self._tracks.whole(number), Motion.unpack(bytes(packed)) if packed else None  # type: ignore[arg-type]

    def subtitles(self, video: str, language: str) -> str:
        """A video's subtitle file. Raises CatalogueError when the video or the language is not there."""
        record = self.get(video)
        with self.store.errors():
            text = self._client.hget(keys.subtitles(record.number), language)
        if text is None:
            there = ", ".join(record.subtitles) or "none"
            raise CatalogueError(f"video {video!r} has no subtitles in {language!r}; there are: {there}")
        return bytes(text).decode()  # type: ignore[arg-type]

    def check_encoder(self, encoder: str) -> None:
        """Raises CatalogueError when the catalogue was coded with another encoder than this (SHA-256)."""
        with self.store.errors():
            schema = json.loads(self._client.get(keys.SCHEMA) or "{}")
            empty = not self._client.hlen(keys.VIDEOS)
        made_with = schema.get("encoder")
        if made_with not in (None, encoder) and not empty:
            raise CatalogueError(
                f"the catalogue was coded with encoder {made_with[:12]}, not {encoder[:12]}; set VNOME_ENCODER to that "
                "bundle, or remove all films and index them again"
            )

    # Writing

    def unchanged(self, fields: VideoFields, subtitles: dict[str, str]) -> VideoRecord | None:
        """The video's record if indexing it would change nothing, else None."""
        record = self.find(fields.id)
        if record is None or record.subtitles_digest != _digest(subtitles):
            return None
        same = all(getattr(record, name) == value for name, value in asdict(fields).items() if name != "source_name")
        return record if same else None

    def add(
        self,
        fields: VideoFields,
        track: Track,
        duration_seconds: float,
        frames: int,
        subtitles: dict[str, str],
        motion: Motion | None = None,
    ) -> Outcome:
        """Adds a video, or puts it in place of the one with the same id.

        Raises CatalogueError when the catalogue was coded with another encoder, StoreError when the store fails:
        then nothing of the video is visible and what was there before still is.
        """
        if self.unchanged(fields, subtitles):
            return "unchanged"
        self.check_encoder(fields.encoder)
        with self.store.errors():
            # Step 1. A fresh number, in the journal before anything is stored under it.
            number = int(self._client.incr(keys.NEXT_NUMBER))
            record = VideoRecord(
                **asdict(fields),
                number=number,
                duration_seconds=duration_seconds,
                frames=frames,
                runs=len(track),
                subtitles=tuple(sorted(subtitles)),
                subtitles_digest=_digest(subtitles),
                added_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            self._hold(number)
            self._note(number, {"state": "storing"})
            # Step 2. Track, motion and subtitles; then the journal says that they are complete.
            self._tracks.write(number, track)
            if motion is not None:
                self._client.set(keys.motion(number), motion.pack())
            if subtitles:
                self._client.hset(keys.subtitles(number), mapping=subtitles)  # type: ignore[arg-type]
            self._note(number, {"state": "stored", "record": asdict(record)})
            # Steps 3 to 6.
            return self._publish(record, track)

    def remove(self, video: str) -> None:
        """Takes a video out of the catalogue and deletes all that is stored of it.

        Raises CatalogueError when it is not there.
        """
        record = self.get(video)
        with self.store.errors():
            self._hold(record.number)

            def change(pipe: "redis.client.Pipeline") -> None:
                pipe.hdel(keys.VIDEOS, video)
                pipe.hdel(keys.NUMBERS, str(record.number))
                pipe.hset(keys.PENDING, str(record.number), json.dumps({"state": "retired"}))
                pipe.decrby(keys.POSTINGS, record.runs)

            if self._commit(video, record.number, change):
                self.store.confirm()
                self._clear(record.number)
            else:
                raise CatalogueError(f"video {video!r} was changed by another command meanwhile; try again")

    def recover(self) -> int:
        """Finishes or clears what writers that are gone had begun. Returns how many changes that were."""
        done = 0
        with self.store.errors():
            for name, text in self._client.hgetall(keys.PENDING).items():
                number, state = int(name), json.loads(text)
                if self._writer_lives(number):
                    continue
                self._hold(number)
                if state["state"] == "stored":
                    record = _record(json.dumps(state["record"]))
                    track = self._tracks.whole(number)
                    self.lut.remove(number, track.codes)  # those that were already appended
                    self._publish(record, track)
                else:
                    self._clear(number)
                done += 1
        return done

    def _publish(self, record: VideoRecord, track: Track) -> Outcome:
        number = record.number
        # Step 3. Postings.
        for start in range(0, len(track), POSTINGS_A_WRITE):
            part = slice(start, start + POSTINGS_A_WRITE)
            self._hold(number)
            self.lut.add(Postings(number, track.codes[part], track.start_ms[part]))
        # Step 4. All of it is on disk.
        self.store.confirm()
        # Step 5. One transaction makes it visible and retires what it replaces.
        while True:
            old = self.find(record.id)

            def change(pipe: "redis.client.Pipeline", old: VideoRecord | None = old) -> None:
                pipe.hset(keys.VIDEOS, record.id, json.dumps(asdict(record)))
                pipe.hset(keys.NUMBERS, str(number), record.id)
                pipe.hdel(keys.PENDING, str(number))
                pipe.set(keys.SCHEMA, json.dumps({"schema": SCHEMA_VERSION, "encoder": record.encoder}))
                pipe.incrby(keys.POSTINGS, record.runs - (old.runs if old else 0))
                if old:
                    pipe.hdel(keys.NUMBERS, str(old.number))
                    pipe.hset(keys.PENDING, str(old.number), json.dumps({"state": "retired"}))

            if self._commit(record.id, old.number if old else None, change):
                break
        self.store.confirm()
        # Step 6. What it replaced is deleted.
        if old:
            self._hold(old.number)
            self._clear(old.number)
        self._client.delete(keys.lease(number))
        return "replaced" if old else "added"

    def _commit(self, video: str, number: int | None, change: Callable[["redis.client.Pipeline"], None]) -> bool:
        """Runs `change` in one transaction, provided that the id still stands for `number` (None: for nothing)."""
        with self._client.pipeline(transaction=True) as pipe:
            try:
                pipe.watch(keys.VIDEOS)  # type: ignore[no-untyped-call]
                text = pipe.hget(keys.VIDEOS, video)
                now = _record(text).number if text else None
                if now != number:
                    return False
                pipe.multi()
                change(pipe)
                pipe.execute()
            except redis.WatchError:
                return self._commit(video, number, change)
        return True

    def _clear(self, number: int) -> None:
        """Deletes postings, track, subtitles and the journal's entry of a number that is not in the catalogue."""
        self.lut.remove(number, self._tracks.whole(number).codes)
        self._tracks.delete(number)
        self._client.delete(keys.subtitles(number))
        self._client.delete(keys.motion(number))
        self._client.hdel(keys.PENDING, str(number))
        self._client.delete(keys.lease(number))

    def _note(self, number: int, entry: dict[str, Any]) -> None:
        self._client.hset(keys.PENDING, str(number), json.dumps(entry))

    def _hold(self, number: int) -> None:
        self._client.set(keys.lease(number), _process_name(os.getpid()), px=LEASE_MS)

    def _writer_lives(self, number: int) -> bool:
        stored = self._client.get(keys.lease(number))
        if stored is None:
            return False
        holder = stored.decode() if isinstance(stored, bytes) else stored
        host, process, _ = holder.split(" ")
        if host != socket.gethostname() or not Path("/proc").is_dir():
            return True  # only the lease's time to live tells
        return _process_name(int(process)) == holder


def _record(text: bytes | str) -> VideoRecord:
    record = VideoRecord(**json.loads(text))
    return replace(record, subtitles=tuple(record.subtitles))


def _digest(subtitles: dict[str, str]) -> str:
    """Changes when the subtitles change; empty without any."""
    return hashlib.sha256(json.dumps(subtitles, sort_keys=True).encode()).hexdigest() if subtitles else ""


def _process_name(process: int) -> str:
    """Host, process id and start of a process; the start tells it from a later one with the same id."""
    try:
        started = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        started = "gone" if process != os.getpid() else "unknown"
    return f"{socket.gethostname()} {process} {started}"
