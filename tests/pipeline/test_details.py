"""Title, subtitles and poster of a video that is there, changed while others change it, too."""

import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline.care import Care
from pipeline.details import Details
from pipeline.errors import InputError, MissingError
from pipeline.library import Library
from pipeline.search import Search, Wanted
from pipeline.store import Store
from pipeline.videos import VideoFields
from tests.commands import Vnome
from tests.memory_reference import film_codes

pytestmark = pytest.mark.redis
ON_CLUSTER = True
VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\nOne word\n"


@pytest.fixture
def library(store: Store) -> Library:
    made = Library(store)
    add(made, "one", 1, {"en": VTT})
    return made


def add(library: Library, name: str, seed: int, texts: dict[str, str]) -> None:
    library.add(
        VideoFields(name, name, f"{name}.mp4", f"digest {seed}", "encoder"), film_codes(seed, 20), 20.0, 250, texts
    )


def test_a_change_is_whole_and_leaves_the_rest(library: Library, store: Store) -> None:
    before = library.get("one")
    Details(library).change("one", "Uno", {"it": VTT, "en": None})
    after = library.get("one")
    assert (after.title, after.subtitles) == ("Uno", ("it",))
    assert (after.number, after.runs, after.postings, after.added_at) == (
        before.number,
        before.runs,
        before.postings,
        before.added_at,
    )
    with pytest.raises(MissingError, match="it"):
        library.subtitles("one", "en")
    assert not Care(store).check()
    # indexing the same again is seen as a change back, not as nothing
    fields = VideoFields("one", "Uno", "one.mp4", "digest 1", "encoder")
    assert library.unchanged(fields, {"it": VTT}) is not None and library.unchanged(fields, {"en": VTT}) is None


def test_a_video_that_is_replaced_meanwhile_gets_the_change_nevertheless(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    details = Details(library)
    write, done = details._write_texts, threading.Event()

    def slow(number: int, texts: Any, deleting: bool) -> None:
        write(number, texts, deleting)
        if not done.is_set():
            done.set()
            add(library, "one", 2, {"en": VTT})  # another number from here on

    monkeypatch.setattr(details, "_write_texts", slow)
    record = details.change("one", subtitles={"de": VTT})
    assert record.subtitles == ("de", "en") and library.subtitles("one", "de") == VTT
    assert record.number == library.get("one").number


def test_what_is_not_there_or_no_title_is_told(library: Library) -> None:
    with pytest.raises(MissingError, match="did you mean one"):
        Details(library).change("on", "x")
    for title in ("", "x" * 301, "a\x00b"):
        with pytest.raises(InputError, match="printable"):
            Details(library).change("one", title)


def test_a_poster_without_its_video_is_seen_and_mended(library: Library, store: Store) -> None:
    store.client.set("vnome:poster:{99}", b"x")
    assert [fault.video for fault in Care(store).check(mend=True)] == ["number 99"]
    assert not Care(store).check()


def test_search_finds_titles_first(library: Library) -> None:
    add(library, "word", 3, {"it": VTT})
    hits = Search(library).find("Word")
    assert [(hit.kind, hit.video, hit.language) for hit in hits] == [
        ("title", "word", None),
        ("subtitle", "one", "en"),
        ("subtitle", "word", "it"),
    ]
    assert [hit.video for hit in Search(library).find("word", Wanted("subtitle", "it"))] == ["word"]


def test_the_search_command(
    library: Library,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    home: Path,
    store: Store,
) -> None:
    if store.is_cluster:
        return
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    vnome = Vnome(capsys)
    assert vnome("search", "one", "WORD").out == "0:00:01.00 - 0:00:02.00  one  subtitle  One word\n"
    assert vnome("search", "one", "--json").document["total"] == 2
    assert vnome("search", "nothing").code == 1
    assert vnome("search", " ").failed_with(2, "no word")
