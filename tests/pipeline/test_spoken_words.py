"""The index of the words that subtitles say: by any part of a word, and at what cost."""

from typing import Any

import pytest

from pipeline import keys
from pipeline.care import Care
from pipeline.library import Library
from pipeline.search import Search, Wanted
from pipeline.spoken_words import SpokenWords, words_in, words_said
from pipeline.store import Store
from pipeline.videos import VideoFields
from tests.memory_reference import film_codes

pytestmark = pytest.mark.redis
ON_CLUSTER = True


def spoken(*lines: str) -> str:
    cues = [f"00:00:{k:02}.000 --> 00:00:{k + 1:02}.000\n{line}\n" for k, line in enumerate(lines)]
    return "\n".join(["WEBVTT\n", *cues])


def add(store: Store, name: str, **subtitles: str) -> None:
    fields = VideoFields(name, name, f"{name}.mp4", f"{name}{subtitles}", "encoder")
    Library(store).add(fields, film_codes(1, 4), 100.0, 50, subtitles)


def found(store: Store, query: str, **wanted: Any) -> list[tuple[str, float]]:
    hits = Search(Library(store)).find(query, Wanted("subtitle", **wanted))
    return [(hit.video, hit.at_seconds) for hit in hits]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Buon GIORNO, l'uomo!", ["buon", "giorno", "l", "uomo"]),
        ("film_2 100%", ["film", "2", "100"]),
        ("映画を見る", ["映", "画", "を", "見", "る"]),
        ("… - ♪", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert words_in(text) == words


def test_words_of_subtitles_are_those_of_their_cues_alone() -> None:
    assert words_said([spoken("Good day", "<i>good</i> night"), "no subtitles"]) == {"good", "day", "night"}


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("bicycle", [("one", 0.0), ("two", 1.0)]),
        ("BICYCLE", [("one", 0.0), ("two", 1.0)]),
        ("cycl", [("one", 0.0), ("two", 1.0)]),  # in the middle of a word
        ("red bicycle", [("two", 1.0)]),  # said at once, not apart
        ("re", [("one", 1.0), ("two", 1.0)]),  # short: where words begin, for a video
        ("uomo", [("two", 0.0)]),
        ("l'uomo", [("two", 0.0)]),
        ("画", [("one", 2.0)]),
        ("映画", [("one", 2.0)]),
        ("submarine", []),
        ("...", []),
    ],
)
def test_what_is_found(store: Store, query: str, places: list[tuple[str, float]]) -> None:
    add(store, "one", en=spoken("A bicycle", "Something red", "映画を見る"))
    add(store, "two", it=spoken("Ecco l'uomo", "A red bicycle"))
    add(store, "silent")
    assert found(store, query) == places


def test_language_and_video_narrow_it(store: Store) -> None:
    add(store, "one", en=spoken("Ciao"), it=spoken("Buongiorno", "Ciao"))
    add(store, "two", it=spoken("Ciao"))
    assert found(store, "ciao", language="it") == [("one", 1.0), ("two", 0.0)]
    assert found(store, "ciao", video="two") == [("two", 0.0)]


def test_a_removed_and_a_replaced_video_are_found_no_more_and_leave_nothing(store: Store) -> None:
    add(store, "one", en=spoken("A bicycle"))
    add(store, "two", en=spoken("A bicycle too"))
    add(store, "one", en=spoken("A tricycle"))
    assert found(store, "bicycle") == [("two", 0.0)]
    assert found(store, "tricycle") == [("one", 0.0)]
    Library(store).remove("two")
    assert found(store, "bicycle") == []
    Library(store).remove("one")
    patterns = (keys.word("*"), keys.letters("*"), keys.SPOKEN)
    assert [name for pattern in patterns for name in store.client.scan_iter(match=pattern)] == []


def test_check_tells_and_mends_what_is_missing_and_what_is_too_much(store: Store) -> None:
    add(store, "one", en=spoken("A bicycle"))
    add(store, "two", en=spoken("A boat"))
    number = Library(store).get("one").number
    assert Care(store).check() == []
    store.client.delete(keys.word("bicycle"))
    store.client.srem(keys.letters("oat"), "boat")
    store.client.sadd(keys.word("anchor"), "99")
    told = {(fault.video, fault.text) for fault in Care(store).check(mend=True)}
    assert told == {
        ("one", "1 of the words that it says cannot be found"),
        ("two", "1 of the words that it says cannot be found"),
        ("number 99", "1 words of a video that is not there, or does not say them"),
    }
    assert Care(store).check() == []
    assert SpokenWords(store).videos("bicycle") == [number]
    assert found(store, "oat") == [("two", 0.0)]


def test_a_catalogue_without_the_index_is_given_one_by_repair(store: Store) -> None:
    add(store, "one", en=spoken("A bicycle"))
    for pattern in (keys.word("*"), keys.letters("*"), keys.SPOKEN):
        for name in list(store.client.scan_iter(match=pattern)):
            store.client.delete(name)
    assert found(store, "bicycle") == []
    assert len(Care(store).check(mend=True)) == 1
    assert found(store, "bicycle") == [("one", 0.0)]


def test_words_that_stay_of_a_video_that_is_gone_are_told_and_cleared(store: Store) -> None:
    add(store, "one", en=spoken("A bicycle"))
    SpokenWords(store).put(77, {"ghost"})
    texts = [fault.text for fault in Care(store).check(mend=True)]
    assert len(texts) == 2 and all("not there" in text for text in texts)
    assert Care(store).check() == []
    assert not store.client.exists(keys.letters("gho"))
