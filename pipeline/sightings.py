"""Sightings: which video was on which camera, from when to when, and which part of it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline import keys
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

    def open_on(self, cameras: Sequence[str]) -> list[Sighting]:
        """What is on these cameras now, as their matchers know it."""
        with self._store.errors():
            states = self._store.many([("HGET", keys.camera_state(camera), "session") for camera in cameras])
        sessions = [json.loads(state) for state in states if state]
        return [Sighting(**session["sighting"]) for session in sessions if session.get("sighting")]

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
