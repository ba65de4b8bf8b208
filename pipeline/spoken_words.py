"""Which videos say a word: found by any part of the word, whatever else is indexed.

Of each word the store keeps the videos whose subtitles have it, and of each three letters in a row the words that have
them (an index of trigrams; Zobel, Moffat, Sacks-Davis, "Searching large lexicons for partially specified terms", VLDB
1993). A search reads the words that have the query's letters and the videos of those, not the subtitles of all.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pipeline import keys
from pipeline.errors import InputError
from pipeline.store import Store
from pipeline.subtitles import read_cues

LONGEST = 64  # letters of a word that are kept
MOST_WORDS = 2000  # that a part of a word finds; the shortest of them, which are nearest to it
TOGETHER = 500  # keys in one command
BEGIN = "^"  # stands before the first letter; no word has it
# Languages that write no spaces between words: each sign is a word
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")


def words_in(text: str) -> list[str]:
    """The words of a text, in lower case, in their order."""
    return [word[:LONGEST] for word in _WORD.findall(text.casefold())]


def words_said(subtitles: Iterable[str]) -> set[str]:
    """All words of some subtitle files; what is none says nothing."""
    said: set[str] = set()
    for text in subtitles:
        try:
            cues = read_cues(text)
        except InputError:  # of an older VNOME, which looked less closely
            continue
        said.update(word for cue in cues for word in words_in(cue.text))
    return said


class SpokenWords:
    """The index. Raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._client: Any = store.client  # its answers have other types than its stubs say

    def put(self, number: int, words: set[str]) -> None:
        """Stores the words of the video with this number; what is there already stays."""
        if not words:
            return
        with self._store.errors():
            # 1. With the video, so that what follows can be undone. 2. By word.
            self._client.set(keys.spoken(number), " ".join(sorted(words)))
            pipe = self._client.pipeline(transaction=True)  # so that a word is never there without its letters
            for word in words:
                pipe.sadd(keys.word(word), str(number))
            for letters, having in _by_letters(words).items():
                pipe.sadd(keys.letters(letters), *having)
            pipe.execute()

    def of(self, number: int) -> set[str]:
        """The words of a video."""
        with self._store.errors():
            text: Any = self._client.get(keys.spoken(number))
        return set(text.decode().split()) if text else set()

    def remove(self, number: int) -> None:
        """Deletes the words of a video, and those that no other has."""
        words = self.of(number)
        if not words:
            return
        with self._store.errors():
            pipe = self._client.pipeline(transaction=True)
            for word in words:
                pipe.srem(keys.word(word), str(number))
            pipe.execute()
            ordered = sorted(words)
            for start in range(0, len(ordered), TOGETHER):
                self._drop_unsaid(ordered[start : start + TOGETHER])
            self._client.delete(keys.spoken(number))

    def videos(self, query: str) -> list[int]:
        """The numbers of videos that have all words of the query, each perhaps as a part of a word; some may be gone.

        A word of one or two letters is looked for where words begin.
        """
        found: set[bytes] | None = None
        with self._store.errors():
            for part in dict.fromkeys(words_in(query)):
                having = self._having(part)
                told: set[bytes] = set()
                for start in range(0, len(having), TOGETHER):
                    told |= self._client.sunion([keys.word(word) for word in having[start : start + TOGETHER]])
                found = told if found is None else found & told
                if not found:
                    break
        return sorted(map(int, found or ()))

    def faults(
        self, wanted: Mapping[int, set[str]], is_new: Callable[[int], bool], mend: bool
    ) -> Iterator[tuple[int, str]]:
        """Where the index differs from the words of all visible videos: (number, what).

        is_new: whether another number came meanwhile, which is left alone.
        """
        there: dict[int, set[str]] = defaultdict(set)
        by_letters: set[tuple[str, str]] = set()
        with self._store.errors():
            for name in self._client.scan_iter(match=keys.word("*"), count=1000):
                word = bytes(name).decode().removeprefix(keys.word(""))
                for number in self._client.smembers(name):
                    there[int(number)].add(word)
            for name in self._client.scan_iter(match=keys.letters("*"), count=1000):
                letters = bytes(name).decode().removeprefix(keys.letters(""))
                by_letters |= {(letters, word.decode()) for word in self._client.smembers(name)}
        unfound = {word for words in wanted.values() for word in words if not _spelled(word) <= by_letters}
        for number, words in wanted.items():
            missing = (words - there[number]) | (words & unfound)
            if missing:
                if mend:
                    self.put(number, words)
                yield number, f"{len(missing)} of the words that it says cannot be found"
        for number, words in sorted(there.items()):
            extra = words - wanted.get(number, set())
            if not extra or is_new(number):
                continue
            if mend:
                with self._store.errors():
                    for word in extra:
                        self._client.srem(keys.word(word), str(number))
                    self._drop_unsaid(sorted(extra))
            yield number, f"{len(extra)} words of a video that is not there, or does not say them"

    def _having(self, part: str) -> list[str]:
        """The words that have this part, those nearest to it first."""
        names = [keys.letters(letters) for letters in _letters(part, whole=False)]
        words = [bytes(word).decode() for word in self._client.sinter(names)]
        having = [word for word in words if part in word]
        return sorted(having, key=lambda word: (len(word), word))[:MOST_WORDS]

    def _drop_unsaid(self, words: list[str]) -> None:
        """Takes out of the index of letters those words that no video says any more."""

        def change(pipe: Any) -> None:
            unsaid = [word for word in words if not pipe.exists(keys.word(word))]
            pipe.multi()
            for letters, having in _by_letters(unsaid).items():
                pipe.srem(keys.letters(letters), *having)

        self._store.transaction(change, *(keys.word(word) for word in words))


def _letters(word: str, whole: bool) -> set[str]:
    """The letters in a row by which a word is found. whole: with those of its beginning, which a part may not be."""
    begin = f"{BEGIN}{word}"
    if not whole and len(word) < 3:
        return {begin}
    rows = {word[k : k + 3] for k in range(len(word) - 2)}
    return rows | ({begin[:2], begin[:3]} if whole else set())


def _by_letters(words: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for word in words:
        for letters in _letters(word, whole=True):
            found[letters].append(word)
    return found


def _spelled(word: str) -> set[tuple[str, str]]:
    return {(letters, word) for letters in _letters(word, whole=True)}
