"""Films that are uploaded: kept on disk until they are in the catalogue, coded one after the other.

What was accepted is in a folder of its own with a note of what it is, so that it goes on after the gateway was
stopped or killed at any moment.
"""

import json
import os
import queue
import shutil
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from pipeline.details import Details
from pipeline.errors import InputError, ServiceError, StoreError, VnomeError
from pipeline.gateway.films import Films
from pipeline.gateway.sandbox import Cancelled, Report, Sandbox
from pipeline.labels import LabelStore, Stretch
from pipeline.library import Library
from pipeline.logs import get_logger
from pipeline.metrics import Metrics
from pipeline.motion import Motion
from pipeline.tracks import Track
from pipeline.videos import VideoFields

State = Literal["waiting", "coding", "storing", "done", "failed", "cancelled"]
OVER: tuple[State, ...] = ("done", "failed", "cancelled")
KEPT = 200  # uploads that are over and still told of
MOST_OPEN = 50  # that wait; a client must not fill the disk with work for days
RETRY_SECONDS = 2.0  # while Redis is away
NOTE, FILM = "upload.json", "film"

log = get_logger(__name__)


@dataclass(frozen=True)
class Upload:
    """One upload. has_poster: whether one was sent along. progress: share of the film that is coded."""

    id: str
    video: str
    title: str
    source_name: str
    subtitles: dict[str, str] = field(repr=False)
    has_poster: bool
    started_at: float
    state: State = "waiting"
    progress: float = 0.0
    detail: str | None = None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "upload": self.id,
            "video": self.video,
            "title": self.title,
            "state": self.state,
            "progress": round(self.progress, 3),
            "detail": self.detail,
            "started_at": round(self.started_at, 3),
        }


@dataclass(frozen=True)
class Limits:
    """Of one film. seconds: its length. work: seconds that coding may take."""

    seconds: float
    work: float


class Uploads:
    """All uploads of this gateway, in a folder. Those that a former process left are gone on with."""

    def __init__(
        self, folder: Path, library: Library, films: Films, sandbox: Sandbox, limits: Limits, metrics: Metrics
    ) -> None:
        self._folder, self._library, self._films, self._sandbox = folder, library, films, sandbox
        self._details = Details(library)
        self._limits, self._metrics = limits, metrics
        for state in OVER:
            metrics.uploads_total.labels(state)  # from 0 on: Prometheus does not see a series' first step
        self._lock = threading.Lock()
        self._known: dict[str, Upload] = {}
        self._cancelled: set[str] = set()
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)
        self._resume()
        self._thread.start()

    def all(self) -> list[Upload]:
        """The newest first."""
        with self._lock:
            return sorted(self._known.values(), key=lambda upload: -upload.started_at)

    def get(self, id: str) -> Upload | None:
        """One upload; None when there is none of this id."""
        with self._lock:
            return self._known.get(id)

    def accept(
        self,
        video: str,
        title: str,
        source_name: str,
        film: BinaryIO,
        subtitles: Mapping[str, str],
        poster: bytes | None,
    ) -> Upload:
        """Keeps a film; when this returns it is on the disk and will be coded.

        Raises InputError when too many wait, ServiceError when the disk takes no more.
        """
        upload = Upload(
            uuid.uuid4().hex[:16], video, title, source_name, dict(subtitles), poster is not None, time.time()
        )
        with self._lock:
            waiting = sum(other.state not in OVER for other in self._known.values())
        if waiting >= MOST_OPEN:
            raise InputError(f"{waiting} uploads wait already; send it again when some are done")
        folder = self._folder / upload.id
        try:
            folder.mkdir(parents=True)
            with (folder / FILM).open("wb") as file:
                shutil.copyfileobj(film, file, 1 << 20)
                file.flush()
                os.fsync(file.fileno())
            if poster is not None:
                (folder / "poster").write_bytes(poster)
            self._note(upload)  # last: a folder without a note was never accepted
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise ServiceError(f"the upload cannot be kept: {error.strerror}; free some space and send again") from None
        with self._lock:
            self._known[upload.id] = upload
            self._forget_old()
        self._queue.put(upload.id)
        return upload

    def cancel(self, id: str) -> Upload | None:
        """Gives an upload up; one that is over stays what it is. None when there is none of this id."""
        with self._lock:
            upload = self._known.get(id)
            if upload is None or upload.state in OVER or upload.state == "storing":
                return upload
            self._cancelled.add(id)
            if upload.state == "waiting":
                self._known[id] = replace(upload, state="cancelled")
                shutil.rmtree(self._folder / id, ignore_errors=True)  # or it would go on after a restart
            return self._known[id]

    def close(self) -> None:
        """Stops; what is not done yet goes on when a gateway starts again."""
        self._stop.set()
        self._queue.put(None)
        self._thread.join()

    # The worker

    def _resume(self) -> None:
        for note in sorted(self._folder.glob(f"*/{NOTE}"), key=lambda path: path.stat().st_mtime):
            if not (
                note.parent / FILM
            ).exists():  # it was done: the film is moved last, once the video is in the catalogue
                continue
            with suppress(OSError, ValueError, TypeError):
                upload = replace(Upload(**json.loads(note.read_text())), state="waiting", progress=0.0)
                self._known[upload.id] = upload
                self._queue.put(upload.id)
        if self._folder.is_dir():
            for folder in self._folder.iterdir():
                if folder.is_dir() and folder.name not in self._known:
                    shutil.rmtree(folder, ignore_errors=True)

    def _run(self) -> None:
        while (id := self._queue.get()) is not None and not self._stop.is_set():
            try:
                self._work(id)
            except Cancelled:
                if self._stop.is_set():
                    return
                self._end(id, "cancelled")
            except VnomeError as error:
                self._end(id, "failed", str(error))
            except Exception as error:
                log.exception("an upload failed", kind=type(error).__name__)
                self._end(id, "failed", "the gateway failed at it; its log says why")

    def _work(self, id: str) -> None:
        upload = self._known[id]
        if id in self._cancelled:
            raise Cancelled
        folder = self._folder / id
        self._set(id, state="coding")
        out = folder / "coded.npz"
        coded = self._sandbox.code_film(
            folder / FILM, out, self._limits.seconds, self._limits.work, lambda report: self._report(id, report)
        )
        self._set(id, state="storing", progress=1.0)
        self._store(upload, coded, out)
        place = self._films.place(upload.video, Path(upload.source_name).suffix)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / FILM, place)
        self._end(id, "done")

    def _report(self, id: str, report: Report) -> None:
        if id in self._cancelled or self._stop.is_set():
            raise Cancelled
        if "progress" in report:
            whole = report["of"] or self._limits.seconds
            self._set(id, progress=min(float(report["progress"]) / max(float(whole), 0.1), 0.99))

    def _store(self, upload: Upload, coded: Report, out: Path) -> None:
        """Puts the video into the catalogue; waits while Redis is away."""
        with np.load(out, allow_pickle=False) as arrays:
            track = Track(arrays["start_ms"], arrays["codes"], int(arrays["end_ms"]), arrays["levels"])
            motion = Motion(arrays["signs"]) if "signs" in arrays else None
            poster = arrays["poster"].tobytes() if "poster" in arrays else None
        if upload.has_poster:
            poster = (out.parent / "poster").read_bytes()
        fields = VideoFields(upload.video, upload.title, upload.source_name, coded["fingerprint"], coded["encoder"])
        while True:
            try:
                self._library.recover()
                self._library.add(fields, track, coded["duration_seconds"], coded["frames"], upload.subtitles, motion)
                self._details.set_poster(upload.video, poster)
                stretches = [Stretch(*parts) for parts in coded["labels"]]
                LabelStore(self._library.store).put(self._library.get(upload.video).number, stretches)
            except StoreError as error:
                log.warning("Redis is away, an upload waits", error=str(error))
                if self._stop.wait(RETRY_SECONDS):
                    raise Cancelled from None
            else:
                return

    def _set(self, id: str, **changes: Any) -> None:
        with self._lock:
            self._known[id] = replace(self._known[id], **changes)

    def _end(self, id: str, state: State, detail: str | None = None) -> None:
        self._set(id, state=state, detail=detail)
        self._cancelled.discard(id)
        shutil.rmtree(self._folder / id, ignore_errors=True)
        self._metrics.uploads_total.labels(state).inc()

    def _forget_old(self) -> None:
        over = [upload for upload in self._known.values() if upload.state in OVER]
        for upload in sorted(over, key=lambda upload: upload.started_at)[: max(len(over) - KEPT, 0)]:
            del self._known[upload.id]

    def _note(self, upload: Upload) -> None:
        path = self._folder / upload.id / NOTE
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(upload), ensure_ascii=False), encoding="utf-8")
        os.replace(part, path)
