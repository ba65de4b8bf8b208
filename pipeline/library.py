"""The catalogue of videos, and what keeps it whole.

A video gets a fresh number; its track and postings are stored under that number and stay invisible until one
transaction puts the number into the catalogue. So a kill at any point leaves nothing half visible: `recover`, which
every writing command runs first, finishes or clears what a writer that is gone had begun.
"""

import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Literal

import redis

from pipeline import keys
from pipeline.errors import CatalogueError, MissingError, StoreError
from pipeline.journal import Journal, entry_text, lost
from pipeline.labels import LabelStore
from pipeline.lut import RedisLut
from pipeline.motion import Motion
from pipeline.postings import Postings
from pipeline.spoken_words import SpokenWords, words_said
from pipeline.store import Store
from pipeline.tracks import Track, Tracks
from pipeline.videos import VideoFields, VideoRecord

SCHEMA_VERSION = 2
POSTINGS_A_WRITE = 100_000  # 1 MB; the lease is renewed between writes

Outcome = Literal["added", "unchanged", "replaced"]
Verdict = Literal[
    Outcome,
    "outdated",  # a later change of the same video is in the catalogue, or another process has cleared this one
    "other encoder",  # the catalogue has meanwhile been started with another one
    "lost",  # another process has taken over the number
    "done",  # it is in the catalogue already
]


class Library:
    """The catalogue in a store. Raises CatalogueError when it was made by another version."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lut = RedisLut(store)
        self._tracks = Tracks(store)
        self._client = store.client
        self._journal = Journal(store)
        with store.errors():
            schema = json.loads(self._client.get(keys.SCHEMA) or "{}")
        version = schema.get("schema", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            advice = "vnome migrate FILE carries it over" if version < SCHEMA_VERSION else "use the VNOME that made it"
            raise CatalogueError(
                f"the catalogue has schema {version}, this version reads {SCHEMA_VERSION}; "
                f"{advice}, or set VNOME_REDIS or VNOME_HOME to another place"
            )

    # Reading

    def videos(self) -> list[VideoRecord]:
        """All videos, by id."""
        with self.store.errors():
            schema, stored = self.store.many([("GET", keys.SCHEMA), ("HGETALL", keys.VIDEOS)])
        return [_record(video.decode(), text, schema) for video, text in sorted(stored.items())]

    def get(self, video: str) -> VideoRecord:
        """One video. Raises CatalogueError, with near ids, when there is none."""
        record = self.find(video)
        if record is None:
            raise self.unknown(video)
        return record

    def unknown(self, video: str) -> MissingError:
        """The error for a video that is not there, with near ids."""
        near = difflib.get_close_matches(video, [known.id for known in self.videos()], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "vnome list shows what there is"
        return MissingError(f"no video {video!r} in the catalogue; {hint}")

    def find(self, video: str) -> VideoRecord | None:
        """One video, or None."""
        with self.store.errors():
            schema, text = self.store.many([("GET", keys.SCHEMA), ("HGET", keys.VIDEOS, video)])
        return _record(video, text, schema) if text else None

    def named(self, videos: Iterable[str]) -> dict[str, VideoRecord]:
        """The records of those ids that are in the catalogue, in one round trip."""
        distinct = sorted(set(videos))
        if not distinct:
            return {}
        with self.store.errors():
            schema, texts = self.store.many([("GET", keys.SCHEMA), ("HMGET", keys.VIDEOS, *distinct)])
        return {video: _record(video, text, schema) for video, text in zip(distinct, texts, strict=True) if text}

    def resolve(self, numbers: Sequence[int]) -> dict[int, VideoRecord]:
        """The records of those numbers that are in the catalogue, in two round trips."""
        distinct = sorted(set(numbers))
        if not distinct:
            return {}
        with self.store.errors():
            ids = self._client.hmget(keys.NUMBERS, [str(number) for number in distinct])
            known = [(number, video) for number, video in zip(distinct, ids, strict=True) if video]
            if not known:
                return {}
            names = [video for _, video in known]
            schema, texts = self.store.many([("GET", keys.SCHEMA), ("HMGET", keys.VIDEOS, *names)])
        found = zip(known, texts, strict=True)
        records = {number: _record(bytes(video).decode(), text, schema) for (number, video), text in found if text}  # type: ignore[arg-type]
        return {number: record for number, record in records.items() if record.number == number}

    def numbers(self) -> set[int]:
        """The numbers of all visible videos."""
        with self.store.errors():
            return {int(number) for number in self._client.hkeys(keys.NUMBERS)}

    def in_work(self) -> set[int]:
        """The numbers of videos that are being added or deleted."""
        with self.store.errors():
            return set(self._journal.entries())

    def posting_count(self) -> int:
        """Postings of all visible videos."""
        with self.store.errors():
            return int(self._client.get(keys.POSTINGS) or 0)

    def read_tracks(self, windows: Sequence[tuple[int, float, float]]) -> list[Track]:
        """Parts (number, from seconds, to seconds) of tracks, in one round trip; empty for what is not visible."""
        if not windows:
            return []
        numbers = [str(number) for number, _, _ in windows]
        with self.store.errors():
            tracks, (visible,) = self._tracks.read(windows, ("HMGET", keys.NUMBERS, *numbers))
        return [track if there else Track.empty() for track, there in zip(tracks, visible, strict=True)]

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
            raise MissingError(f"video {video!r} has no subtitles in {language!r}; there are: {there}")
        return bytes(text).decode()  # type: ignore[arg-type]

    def check_encoder(self, encoder: str) -> None:
        """Raises CatalogueError when the catalogue was coded with another encoder than this (SHA-256)."""
        with self.store.errors():
            schema = json.loads(self._client.get(keys.SCHEMA) or "{}")
            empty = not self._client.hlen(keys.VIDEOS)
        if not empty and schema.get("encoder") != encoder:
            raise _other_encoder(str(schema.get("encoder")), encoder)

    # Writing

    def unchanged(self, fields: VideoFields, subtitles: dict[str, str]) -> VideoRecord | None:
        """The video's record if indexing it would change nothing, else None."""
        record = self.find(fields.id)
        if record is None or record.subtitles_digest != subtitles_digest(subtitles):
            return None
        return record if record.same_film(fields) else None

    def add(
        self,
        fields: VideoFields,
        track: Track,
        duration_seconds: float,
        frames: int,
        subtitles: dict[str, str],
        motion: Motion | None = None,
        live: tuple[int, int] = (0, 0),
    ) -> Outcome:
        """Adds a video, or puts it in place of the one with the same id.

        live: of a channel, see `pipeline.channels`: the epoch time of its moment 0, ms, and for how many seconds it is
        kept; its track is empty at first.

        Raises CatalogueError when the catalogue was coded with another encoder, StoreError when the store fails:
        then nothing of the video is visible and what was there before still is.
        """
        if self.unchanged(fields, subtitles):
            return "unchanged"
        self.check_encoder(fields.encoder)
        with self.store.errors():
            number = int(self._client.incr(keys.NEXT_NUMBER))
            record = VideoRecord(
                **asdict(fields),
                number=number,
                duration_seconds=duration_seconds,
                frames=frames,
                runs=len(track),
                postings=len(Postings.of_track(number, track)),
                subtitles=tuple(sorted(subtitles)),
                subtitles_digest=subtitles_digest(subtitles),
                added_at=datetime.now(UTC).isoformat(timespec="seconds"),
                live_since_ms=live[0],
                keep_seconds=live[1],
            )
            try:
                # Step 1. The fresh number is in the journal before anything is stored under it.
                self._journal.claim(number)
                self._journal.note(number, "storing")
                # Step 2. Track, motion and subtitles; then the journal says that they are complete.
                self._tracks.write(number, track)
                if motion is not None:
                    self._client.set(keys.motion(number), motion.pack())
                if subtitles:
                    self._client.hset(keys.subtitles(number), mapping=subtitles)  # type: ignore[arg-type]
                    SpokenWords(self.store).put(number, words_said(subtitles.values()))
                self._journal.note(number, "stored", asdict(record))
                verdict = self._publish(record, track)
            finally:
                self._release(number)
        if verdict == "other encoder":
            self.check_encoder(fields.encoder)
        if verdict == "added" or verdict == "replaced" or verdict == "unchanged":
            return verdict
        raise lost(self.store)

    def extend_live(self, number: int, part: Track, end_ms: int) -> None:
        """Adds runs to the track of a channel, which then ends at end_ms; those that are there already stay."""
        with self.store.errors():
            self._tracks.extend(number, part, end_ms)

    def forget_live(self, number: int, before_block: int) -> Iterator[Track]:
        """Deletes the minutes of a channel's track before a block, each after its runs were taken by the caller."""
        with self.store.errors():
            yield from self._tracks.forget(number, before_block)

    def remove(self, video: str) -> None:
        """Takes a video out of the catalogue and deletes all that is stored of it.

        Raises CatalogueError when it is not there.
        """

        def change(pipe: "redis.client.Pipeline") -> VideoRecord | None:
            record = _read(pipe, video)
            pipe.multi()
            if record is not None:
                pipe.hdel(keys.VIDEOS, video)
                _retire(pipe, record)
            return record

        with self.store.errors():
            record = self.store.transaction(change, keys.VIDEOS)
            if record is None:
                raise self.unknown(video)
            self.store.confirm()
            self._clear(record.number)

    def recover(self) -> int:
        """Finishes or clears what writers that are gone had begun. Returns how many changes that were."""
        done = 0
        with self.store.errors():
            for number in self._journal.entries():
                if not self._journal.claim(number):
                    continue
                try:
                    done += self._finish(number)
                finally:
                    self._release(number)
        return done

    def _finish(self, number: int) -> bool:
        """Brings the change of a number, whose lease this process holds, to its end. False when it is there."""
        entry = self._journal.entry(number)
        if entry is None:  # another process was quicker
            return False
        track = self._tracks.whole(number)
        if entry["state"] == "stored" and len(track) == entry["record"]["runs"]:
            self._remove_postings(number, track)  # those that were already appended
            fields = entry["record"]
            record = VideoRecord(**{**fields, "subtitles": tuple(fields["subtitles"])})
            self._publish(record, track, recovering=True)
        else:
            self._clear(number)
        return True

    def _publish(self, record: VideoRecord, track: Track, recovering: bool = False) -> Verdict:
        """The rest of adding a video, from its postings on. recovering: a later change of the video wins."""
        number = record.number
        # Step 3. Postings.
        postings = Postings.of_track(number, track)
        for start in range(0, len(postings), POSTINGS_A_WRITE):
            self._journal.renew(number)
            self.lut.add(postings.part(slice(start, start + POSTINGS_A_WRITE)))
        # Step 4. All of it is on disk.
        self._journal.renew(number)
        self.store.confirm()
        # Step 5. One transaction makes it visible and retires what it replaces.
        verdict, retired = self._commit(record, recovering)
        # Step 6. That is on disk, too.
        self.store.confirm()
        # Step 7. What it replaced, or what came to nothing, is deleted.
        if retired is not None:
            self._clear(retired)
        return verdict

    def _commit(self, record: VideoRecord, recovering: bool) -> tuple[Verdict, int | None]:
        """Puts a video into the catalogue, if nothing speaks against it. Returns also the number that it retired."""
        number = str(record.number)

        def change(pipe: "redis.client.Pipeline") -> tuple[Verdict, int | None]:
            verdict, old = self._judge(pipe, record, recovering)
            pipe.multi()
            if verdict == "done":
                return "added", None
            if verdict == "lost":
                return verdict, None
            if verdict in ("unchanged", "outdated", "other encoder"):
                pipe.hset(keys.PENDING, number, entry_text("retired"))
                return verdict, record.number
            pipe.hset(keys.VIDEOS, record.id, record.text())
            pipe.hset(keys.NUMBERS, number, record.id)
            pipe.hdel(keys.PENDING, number)
            pipe.set(keys.SCHEMA, json.dumps({"schema": SCHEMA_VERSION, "encoder": record.encoder}))
            pipe.incrby(keys.POSTINGS, record.postings)
            if old is not None:
                _retire(pipe, old)
            return verdict, old.number if old else None

        watched = (keys.VIDEOS, keys.NUMBERS, keys.PENDING, keys.SCHEMA, keys.lease(record.number))
        return self.store.transaction(change, *watched)

    def _judge(
        self, pipe: "redis.client.Pipeline", record: VideoRecord, recovering: bool
    ) -> tuple[Verdict, VideoRecord | None]:
        """What committing a record comes to, and the one that it replaces; read under WATCH."""
        if pipe.hexists(keys.NUMBERS, str(record.number)):  # the answer to the first try was lost on the way
            return "done", None
        if not pipe.hexists(keys.PENDING, str(record.number)):
            return "outdated", None
        if not self._journal.holds(pipe, record.number):
            return "lost", None
        schema = json.loads(pipe.get(keys.SCHEMA) or "{}")
        if pipe.hlen(keys.VIDEOS) and schema.get("encoder") != record.encoder:
            return "other encoder", None
        old = _read(pipe, record.id)
        if old is None:
            return "added", None
        if old.same_as(record):
            return "unchanged", old
        return ("outdated" if recovering and old.number > record.number else "replaced"), old

    def _clear(self, number: int) -> None:
        """Deletes all that is stored under a number that is not in the catalogue, its journal entry last."""
        self._remove_postings(number, self._tracks.whole(number))
        self._tracks.delete(number)  # from here on its postings could not be found any more
        self._client.delete(keys.subtitles(number))
        self._client.delete(keys.motion(number))
        self._client.delete(keys.poster(number))
        LabelStore(self.store).remove(number)
        SpokenWords(self.store).remove(number)
        self._journal.finish(number)

    def _remove_postings(self, number: int, track: Track) -> None:
        for start in range(0, len(track), POSTINGS_A_WRITE):
            self.lut.remove(number, track.codes[start : start + POSTINGS_A_WRITE])

    def _release(self, number: int) -> None:
        with suppress(StoreError), self.store.errors():  # a lease that cannot be given up runs out
            self._journal.release(number)


def _read(pipe: "redis.client.Pipeline", video: str) -> VideoRecord | None:
    schema, text = pipe.get(keys.SCHEMA), pipe.hget(keys.VIDEOS, video)
    return _record(video, text, schema) if text else None


def _retire(pipe: "redis.client.Pipeline", record: VideoRecord) -> None:
    """Makes a number invisible, in a transaction."""
    pipe.hdel(keys.NUMBERS, str(record.number))
    pipe.hset(keys.PENDING, str(record.number), entry_text("retired"))
    pipe.decrby(keys.POSTINGS, record.postings)


def _other_encoder(made_with: str, encoder: str) -> CatalogueError:
    return CatalogueError(
        f"the catalogue was coded with encoder {made_with[:12]}, not {encoder[:12]}; set VNOME_ENCODER to that "
        "bundle, or remove all films and index them again"
    )


def _record(video: str, text: bytes | str, schema: bytes | str | None) -> VideoRecord:
    try:
        return VideoRecord.of_text(video, text, json.loads(schema or b"{}").get("encoder") or "")
    except (ValueError, TypeError):
        raise StoreError(f"the record of video {video!r} is damaged; remove it and index the film again") from None


def subtitles_digest(subtitles: Mapping[str, str]) -> str:
    """Changes when the subtitles change; empty without any."""
    return hashlib.sha256(json.dumps(dict(subtitles), sort_keys=True).encode()).hexdigest() if subtitles else ""
