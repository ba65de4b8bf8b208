"""Search of the catalogue by words: videos by their titles, moments by what is said in them.

A search reads the subtitles of every video that has some, language by language; it holds no index of its own.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pipeline.errors import InputError, MissingError
from pipeline.library import Library
from pipeline.subtitles import read_cues
from pipeline.videos import VideoRecord

Kind = Literal["title", "subtitle", "label"]
MOST_HITS = 5000  # moments that are found; more help nobody, and fill the memory


@dataclass(frozen=True)
class Hit:
    """A video, or a moment [at_seconds, until_seconds) of one. text: what was said. score: of a label."""

    kind: Kind
    video: str
    title: str
    at_seconds: float
    until_seconds: float
    text: str
    language: str | None = None
    score: float | None = None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        times = {"at_seconds": round(self.at_seconds, 3), "until_seconds": round(self.until_seconds, 3)}
        return {**asdict(self), **times}


class Search:
    """Finds words in a library. Raises StoreError."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def find(self, query: str, kind: Kind | None = None, language: str | None = None) -> list[Hit]:
        """What has all words of the query, whatever their case: titles first, then moments by video and time.

        kind: only these. language: of subtitles; a tag finds its variants, too. Raises InputError for no word at all.
        """
        words = query.casefold().split()
        if not words:
            raise InputError("the search has no word; give one")
        records = self._library.videos()
        found = list(_titles(records, words)) if kind in (None, "title") else []
        if kind in (None, "subtitle"):
            for record in records:
                found += self._said(record, words, language)
                if len(found) >= MOST_HITS:
                    return found[:MOST_HITS]
        return found

    def _said(self, record: VideoRecord, words: list[str], language: str | None) -> Iterator[Hit]:
        for spoken in record.subtitles:
            if language and spoken != language and not spoken.startswith(f"{language}-"):
                continue
            try:
                cues = read_cues(self._library.subtitles(record.id, spoken))
            except (MissingError, InputError):  # removed meanwhile; or of an older VNOME, which looked less closely
                continue
            for cue in cues:
                if _has_all(cue.text, words):
                    text = " ".join(cue.text.split())
                    yield Hit("subtitle", record.id, record.title, cue.start, cue.end, text, spoken)


def _titles(records: list[VideoRecord], words: list[str]) -> Iterator[Hit]:
    for record in records:
        if _has_all(f"{record.title} {record.id}", words):
            yield Hit("title", record.id, record.title, 0.0, record.duration_seconds, record.title)


def _has_all(text: str, words: list[str]) -> bool:
    lower = text.casefold()
    return all(word in lower for word in words)
