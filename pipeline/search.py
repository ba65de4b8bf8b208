"""Search of the catalogue by words: videos by their titles, moments by what they show and by what is said in them.

Labels and spoken words have an index, so that finding them costs what is found. Of titles there is none, for it would
weigh more than they do: a search that is not for labels or subtitles alone reads every record.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pipeline.errors import InputError, MissingError
from pipeline.labels import LabelStore, Stretch
from pipeline.library import Library
from pipeline.spoken_words import SpokenWords
from pipeline.subtitles import read_cues
from pipeline.videos import VideoRecord

Kind = Literal["title", "subtitle", "label"]
MOST_HITS = 5000  # moments that are found; more help nobody, and fill the memory
RESOLVED_TOGETHER = 100  # videos whose records are read in one round trip
MOST_NEAR = 5  # labels that are named where nothing is found


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


@dataclass(frozen=True)
class Wanted:
    """What to look for, beside the words. None and 0 are no bound.

    kind: only these. language: of subtitles; a tag finds its variants, too. video: in this one. shortest: seconds.
    """

    kind: Kind | None = None
    language: str | None = None
    video: str | None = None
    shortest: float = 0.0


class Search:
    """Finds words in a library. Raises StoreError."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._labels = LabelStore(library.store)
        self._words = SpokenWords(library.store)

    def find(self, query: str, wanted: Wanted = Wanted()) -> list[Hit]:
        """What has all words of the query, whatever their case: titles, then labels best first, then what is said.

        Raises InputError for no word at all, MissingError for a video that is not there.
        """
        words = query.casefold().split()
        if not words:
            raise InputError("the search has no word; give one")
        found: list[Hit] = []
        if wanted.kind in (None, "label"):
            found += self._shown(words, wanted.video)
        only = [self._library.get(wanted.video)] if wanted.video else None
        if wanted.kind in (None, "title"):
            found = [*_titles(only or self._library.videos(), words), *found]
        if wanted.kind in (None, "subtitle"):
            for record in only or self._speaking(query):
                found += self._said(record, words, wanted.language)
                if len(found) >= MOST_HITS:
                    break
        return [hit for hit in found if hit.until_seconds - hit.at_seconds >= wanted.shortest][:MOST_HITS]

    def near(self, query: str, wanted: Wanted = Wanted()) -> list[str]:
        """Labels that are written like the query, or else those that most moments have: for who found nothing.

        None where labels were not looked through.
        """
        if wanted.kind not in (None, "label"):
            return []
        names, query = self._labels.names(), query.casefold()
        parts: dict[str, str] = {}
        for name in names:  # "cars" is near to "red car", by its second word
            for part in (name, *name.split()):
                parts.setdefault(part.casefold(), name)
        close = [parts[part] for part in difflib.get_close_matches(query, parts, n=MOST_NEAR)]
        return list(dict.fromkeys(close)) or sorted(names, key=lambda name: (-names[name], name))[:MOST_NEAR]

    def _shown(self, words: list[str], video: str | None) -> list[Hit]:
        """Moments by label; what is read grows with what is found."""
        names = _meant(self._labels.names(), words)
        found = list(self._stretches(names, video))
        records = self._library.resolve([number for number, _ in found])
        hits = [
            Hit("label", record.id, record.title, one.start, one.end, one.label, None, round(one.score, 4))
            for number, one in found
            if (record := records.get(number)) is not None and video in (None, record.id)
        ]
        return sorted(hits, key=lambda hit: (-(hit.score or 0.0), hit.video, hit.at_seconds))

    def _stretches(self, names: list[str], video: str | None) -> Iterator[tuple[int, Stretch]]:
        """The best of each label; of one video all of them, from what is stored with it."""
        if video is None:
            for name in names:
                yield from self._labels.find(name, MOST_HITS)
            return
        number = self._library.get(video).number
        yield from ((number, one) for one in self._labels.of(number) if one.label in names)

    def _speaking(self, query: str) -> Iterator[VideoRecord]:
        """The videos that say all words of the query, by number; perhaps not at once."""
        numbers = self._words.videos(query)
        for start in range(0, len(numbers), RESOLVED_TOGETHER):
            records = self._library.resolve(numbers[start : start + RESOLVED_TOGETHER])
            yield from (record for _, record in sorted(records.items()))

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


def _meant(names: Iterable[str], words: list[str]) -> list[str]:
    """The labels that are meant: the one that is the query, else those that have its words, else parts of words.

    Who looks for a car wants no carpets, but finds them where nothing has a car.
    """
    given = {name: name.casefold().split() for name in names}
    exact = [name for name, parts in given.items() if parts == words]
    whole = [name for name, parts in given.items() if set(words) <= set(parts)]
    return exact or whole or [name for name in given if _has_all(name, words)]


def _has_all(text: str, words: list[str]) -> bool:
    lower = text.casefold()
    return all(word in lower for word in words)
