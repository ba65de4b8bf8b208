"""Sightings: which video was on which camera, from when to when, and which part of it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline import keys
from pipeline.camera_labels import CameraLabels
from pipeline.film_labels import FilmLabels
from pipeline.library import Library
from pipeline.recogniser import Labels
from pipeline.store import Store

CHUNK = 500  # sightings read at a time
ROUNDED = {"start": 3, "end": 3, "film_start": 3, "film_end": 3, "confidence": 6}


@dataclass(frozen=True)
class Sighting:
    """start, end: epoch seconds. film_start, film_end: the part of the film, seconds. open: it is still on."""

    id: str
    video: str
    title: str
    camera: str
    start: float
    end: float
    film_start: float
    film_end: float
    confidence: float
    open: bool

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {name: round(value, ROUNDED[name]) if name in ROUNDED else value for name, value in asdict(self).items()}


def labels_of(sightings: Sequence[Sighting], library: Library, films: FilmLabels) -> list[Labels]:
    """What the part of the film shows that was seen, for each; nothing for a video that is gone by now."""
    records = library.named(sighting.video for sighting in sightings)
    return [
        films.between(records[one.video].number, one.film_start, one.film_end) if one.video in records else []
        for one in sightings
    ]


class Sightings:
    """All sightings in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, pipe: Any, sighting: Sighting) -> None:
        """Queues the writes of a sighting, new or changed, on a pipeline of the caller's."""
        pipe.hset(keys.SIGHTINGS, sighting.id, json.dumps(sighting.document(), ensure_ascii=False))
        pipe.zadd(keys.SIGHTINGS_BY_END, {sighting.id: sighting.end})
        pipe.zadd(keys.sightings_of(sighting.video), {sighting.id: sighting.end})

    def find(
        self,
        video: str | None = None,
        camera: str | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int | None = None,
    ) -> list[Sighting]:
        """Those that overlap [since, until], epoch seconds; of more than `limit` the newest. Oldest first."""
        found: list[Sighting] = []
        for sighting in self._newest_first(video, since):
            if (camera is None or sighting.camera == camera) and (until is None or sighting.start <= until):
                found.append(sighting)
                if limit is not None and len(found) >= limit:
                    break
        return sorted(found, key=lambda sighting: (sighting.start, sighting.id))

    def open_on(self, cameras: Sequence[str]) -> dict[str, tuple[Sighting | None, Labels]]:
        """What is on these cameras now, as their matchers know it: what is found, and what recognition says."""
        with self._store.errors():
            states = self._store.many([("HGET", keys.camera_state(camera), "session") for camera in cameras])
        sessions = {camera: json.loads(state) for camera, state in zip(cameras, states, strict=True) if state}
        return {camera: _shown_now(session) for camera, session in sessions.items()}

    def get(self, ids: Sequence[str]) -> list[Sighting]:
        """Those of these ids that there are."""
        with self._store.errors():
            texts = self._store.client.hmget(keys.SIGHTINGS, list(ids)) if ids else []
        return [Sighting(**json.loads(text)) for text in texts if text]

    def known(self, video: str) -> bool:
        """Whether a video was ever seen."""
        with self._store.errors():
            return bool(self._store.client.exists(keys.sightings_of(video)))

    def count(self) -> int:
        """How many there are."""
        with self._store.errors():
            return int(self._store.client.zcard(keys.SIGHTINGS_BY_END))

    def _newest_first(self, video: str | None, since: float | None) -> Iterator[Sighting]:
        """By when they ended, each once: one that goes on meanwhile moves to the front and shifts all others."""
        name = keys.sightings_of(video) if video is not None else keys.SIGHTINGS_BY_END
        seen: set[bytes] = set()
        start = 0
        while True:
            with self._store.errors():
                ids: Any = self._store.client.zrange(
                    name, "+inf", "-inf" if since is None else since, desc=True, byscore=True, offset=start, num=CHUNK
                )
                new = [id for id in ids if id not in seen]
                texts = self._store.client.hmget(keys.SIGHTINGS, new) if new else []
            seen.update(new)
            yield from (Sighting(**json.loads(text)) for text in texts if text)
            if len(ids) < CHUNK:
                return
            start += CHUNK


def _shown_now(session: dict[str, Any]) -> tuple[Sighting | None, Labels]:
    sighting = Sighting(**session["sighting"]) if session.get("sighting") else None
    return sighting, CameraLabels(session.get("labelled")).now(int(session.get("last_ns", 0)))
