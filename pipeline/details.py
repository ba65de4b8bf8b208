"""What may be changed of a video that is in the catalogue, without indexing it again: title, subtitles, poster."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import redis

from pipeline import keys
from pipeline.errors import InputError
from pipeline.frames import RgbImage
from pipeline.library import Library, subtitles_digest
from pipeline.subtitles import check_language, read_cues
from pipeline.videos import VideoRecord

POSTER_WIDTH = 320  # pixels; a phone's list shows it at 160
POSTER_MOST_BYTES = 8 << 20  # of a picture that is sent to become one
POSTER_MOST_PIXELS = 50_000_000
POSTER_QUALITY = 80
MOST_TITLE = 300  # characters


class Details:
    """The details of the videos of a library. Raises CatalogueError for a video that is not there, StoreError."""

    def __init__(self, library: Library) -> None:
        self._library, self._store, self._client = library, library.store, library.store.client

    def change(
        self, video: str, title: str | None = None, subtitles: Mapping[str, str | None] | None = None
    ) -> VideoRecord:
        """Gives a video another title; adds, replaces or, where the text is None, deletes subtitles; all or nothing.

        Raises InputError for what is no title or no subtitles.
        """
        changed = {check_language(language): text for language, text in (subtitles or {}).items()}
        for language, text in changed.items():
            if text is not None:
                read_cues(text, f"the subtitles in {language!r}")
        if title is not None:
            title = check_title(title)

        new = None
        while new is None:  # again when the video was replaced meanwhile
            number = self._library.get(video).number
            with self._store.errors():
                self._write_texts(number, changed, deleting=False)
                new = self._rewrite(video, number, title, changed)
        with self._store.errors():
            self._write_texts(number, changed, deleting=True)
            self._store.confirm()
        return new

    def _rewrite(
        self, video: str, number: int, title: str | None, changed: Mapping[str, str | None]
    ) -> VideoRecord | None:
        """Writes the record anew; None when the video has another number by now."""

        def write(pipe: "redis.client.Pipeline") -> VideoRecord | None:
            record = self._library.find(video)
            stored: Any = self._client.hgetall(keys.subtitles(number))
            pipe.multi()
            if record is None or record.number != number:
                return None
            texts = {language.decode(): text.decode() for language, text in stored.items()}
            texts = {language: text for language, text in texts.items() if changed.get(language, text) is not None}
            languages = tuple(sorted(texts))
            new = replace(
                record, title=title or record.title, subtitles=languages, subtitles_digest=subtitles_digest(texts)
            )
            pipe.hset(keys.VIDEOS, video, new.text())
            return new

        return self._store.transaction(write, keys.VIDEOS)

    def _write_texts(self, number: int, texts: Mapping[str, str | None], deleting: bool) -> None:
        """Texts lie in the slot of their video: they come before the record names them, and go after."""
        given = {language: text for language, text in texts.items() if text is not None}
        gone = [language for language, text in texts.items() if text is None]
        if given and not deleting:
            self._client.hset(keys.subtitles(number), mapping=given)  # type: ignore[arg-type]
        if gone and deleting:
            self._client.hdel(keys.subtitles(number), *gone)

    def poster(self, video: str) -> bytes | None:
        """The poster of a video, a JPEG picture; None when it has none."""
        record = self._library.get(video)
        with self._store.errors():
            found = self._client.get(keys.poster(record.number))
        return bytes(found) if found else None  # type: ignore[arg-type]

    def set_poster(self, video: str, poster: bytes | None) -> None:
        """Keeps a JPEG picture as poster, see `poster_of`; None deletes it."""
        record = self._library.get(video)
        with self._store.errors():
            if poster is None:
                self._client.delete(keys.poster(record.number))
            else:
                self._client.set(keys.poster(record.number), poster)

    def with_posters(self, records: list[VideoRecord]) -> set[int]:
        """The numbers of those videos that have a poster."""
        with self._store.errors():
            found = self._store.many([("EXISTS", keys.poster(record.number)) for record in records])
        return {record.number for record, there in zip(records, found, strict=True) if there}


def check_title(title: str) -> str:
    """The title without blanks around it. Raises InputError when it is empty or too long."""
    text = " ".join(title.split())
    if not text or len(text) > MOST_TITLE or not text.isprintable():
        raise InputError(f"a title has 1 to {MOST_TITLE} printable characters")
    return text


def poster_of_file(data: bytes) -> bytes:
    """A picture of any common format, as a poster. Raises InputError when it is none, or too large."""
    if len(data) > POSTER_MOST_BYTES:
        raise InputError(f"the poster has more than {POSTER_MOST_BYTES >> 20} MB; give a smaller picture")
    image = _decode(data)
    if image is None:
        raise InputError("the poster is no picture that can be read; give a JPEG or PNG file")
    return poster_of(image[:, :, ::-1])


def poster_of(image: RgbImage) -> bytes:
    """A picture, uint8 (H, W, 3) RGB, as a JPEG of `POSTER_WIDTH` pixels width; smaller ones keep their size."""
    height, width = image.shape[:2]
    if width > POSTER_WIDTH:
        size = (POSTER_WIDTH, max(round(height * POSTER_WIDTH / width), 1))
        image = np.asarray(cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA), np.uint8)
    _, packed = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, POSTER_QUALITY])
    return packed.tobytes()


def _decode(data: bytes) -> RgbImage | None:
    """BGR, None for what cannot be read. The size that a header claims is looked at before anything is decoded."""
    width, height = _size(data)
    if not 0 < width * height <= POSTER_MOST_PIXELS:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else np.asarray(image, np.uint8)


def _size(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG or PNG picture; zeros for anything else."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 < len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return 0, 0
