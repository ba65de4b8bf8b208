"""The files of the catalogue's films, where they are at hand: to show a moment, or to play it.

The catalogue itself holds no pictures. A film is found by its file's name in the folders given, and is taken for the
video only when its content is that which was indexed.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from pipeline.errors import MediaError, MissingError
from pipeline.gateway.sandbox import Sandbox
from pipeline.indexing import fingerprint
from pipeline.videos import VideoRecord

KEPT_PICTURES = 400  # JPEG pictures of moments that are remembered, about 6 MB
MOMENT_SECONDS = 0.2  # to which the moment of a picture is rounded, so that it is made once
HASHED_AT_ONCE = 64 << 20  # bytes; a larger film is hashed in the background, which nobody waits for
WIDTHS = (64, 1280)  # pixels, of a picture of a moment

_Name = tuple[Path, int, int]  # of a file's content: its size and when it was changed


class Films:
    """own: folder of films that were uploaded. others: folders in which indexed films lie."""

    def __init__(self, own: Path, others: Sequence[Path], sandbox: Sandbox) -> None:
        self.own, self._others, self._sandbox = own, others, sandbox
        self._checked: dict[_Name, str] = {}
        self._hashing: set[_Name] = set()
        self._hasher = ThreadPoolExecutor(1, "hash-films")
        self._pictures: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def place(self, video: str, suffix: str) -> Path:
        """Where an uploaded film of a video is kept."""
        return self.own / f"{quote(video, safe='')}{suffix.lower()}"

    def find(self, record: VideoRecord) -> Path | None:
        """The film's file; None when it is not at hand, or so large that its content is still being looked at."""
        suffix = Path(record.source_name).suffix
        candidates = [self.place(record.id, suffix), *(folder / record.source_name for folder in self._others)]
        return next((path for path in candidates if self._is_it(path, record)), None)

    def frame(self, record: VideoRecord, at_seconds: float, width: int) -> bytes:
        """The picture of a moment as JPEG. Raises MissingError when the film is not at hand, InputError."""
        path = self.find(record)
        if path is None:
            raise MissingError(f"the film of video {record.id!r} is not at hand; start the gateway with --films FOLDER")
        cell = round(at_seconds / MOMENT_SECONDS)
        name = (record.number, cell, width)
        with self._lock:
            known = self._pictures.get(name)
        if known is None:
            known = self._sandbox.frame(path, cell * MOMENT_SECONDS, width)
            with self._lock:
                self._pictures[name] = known
                if len(self._pictures) > KEPT_PICTURES:
                    self._pictures.popitem(last=False)
        return known

    def close(self) -> None:
        """Gives up what is still to be hashed."""
        self._hasher.shutdown(wait=False, cancel_futures=True)

    def forget(self, record: VideoRecord) -> None:
        """Deletes the uploaded film of a video that was removed."""
        self.place(record.id, Path(record.source_name).suffix).unlink(missing_ok=True)

    def _is_it(self, path: Path, record: VideoRecord) -> bool:
        try:
            status = path.stat()
        except OSError:
            return False
        name = (path, status.st_size, status.st_mtime_ns)
        if name not in self._checked and status.st_size <= HASHED_AT_ONCE:
            self._hash(name)
        elif name not in self._checked:
            with self._lock:
                new = name not in self._hashing
                self._hashing.add(name)
            if new:
                self._hasher.submit(self._hash, name)
        return self._checked.get(name) == record.fingerprint

    def _hash(self, name: "_Name") -> None:
        with suppress(MediaError):
            self._checked[name] = fingerprint(name[0])
        with self._lock:
            self._hashing.discard(name)
