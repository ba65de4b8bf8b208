"""Labels of films: smoothed, stored, searched, given to editors."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import keys
from pipeline.care import Care
from pipeline.contact_sheet import CELL_WIDTH, COLUMNS, draw_sheet
from pipeline.labels import LabelStore, Stretch, smooth
from pipeline.library import Library
from pipeline.recogniser import default_recogniser
from pipeline.search import Search, Wanted
from pipeline.settings import settings
from pipeline.store import Store
from pipeline.videos import VideoFields
from tests.commands import Vnome
from tests.media_samples import write_film
from tests.memory_reference import film_codes
from tests.pipeline.test_recogniser import colour_bundle

SECONDS = [float(k) for k in range(10)]


def said(*rows: float) -> list[list[tuple[str, float]]]:
    """A picture's probability of "dog"; 0 where it was not told."""
    return [[("dog", share)] if share else [] for share in rows]


def test_one_picture_alone_begins_nothing_and_a_gap_ends_nothing() -> None:
    assert smooth(SECONDS, said(0, 0, 0.9, 0, 0, 0, 0, 0, 0, 0), 10.0) == []
    (stretch,) = smooth(SECONDS, said(0, 0, 0.9, 0.9, 0.9, 0, 0.9, 0.9, 0, 0), 10.0)
    # smoothed: 0 .3 .6 .9 .6 .6 .6 .6 .3 0; it begins at 2, and 8 (0.3) is the last that is not under the end
    assert (stretch.start, stretch.end) == (2.0, 9.0)
    assert stretch.score == pytest.approx(0.9 * 5 / 7)


def test_ends_of_a_film_are_smoothed_over_what_there_is() -> None:
    (stretch,) = smooth([0.0, 1.0], said(0.6, 0.6), 1.5)
    assert stretch == Stretch("dog", 0.0, 1.5, 0.6)
    assert smooth([0.0], said(0.9), 0.4) == [Stretch("dog", 0.0, 0.4, 0.9)]
    assert smooth([], [], 0.0) == []


def test_labels_are_smoothed_each_by_itself() -> None:
    rows = [[("dog", 0.8), ("cat", 0.9)], [("cat", 0.9)], [("dog", 0.8)], [("dog", 0.8)], [("dog", 0.8)]]
    # smoothed: cat .9 .6 .3 0 0, dog .4 .53 .53 .8 .8
    found = smooth(SECONDS[:5], rows, 5.0)
    assert [(one.label, one.start, one.end) for one in found] == [("cat", 0.0, 3.0), ("dog", 1.0, 5.0)]


@pytest.mark.redis
class TestStore:
    """By video and by label."""

    STRETCHES = (Stretch("dog", 1.0, 4.0, 0.7), Stretch("dog", 8.0, 9.0, 0.9), Stretch("red car", 0.0, 5.5, 0.6))

    @pytest.fixture
    def library(self, store: Store) -> Library:
        made = Library(store)
        for k, name in enumerate(("one", "two")):
            made.add(VideoFields(name, name, f"{name}.mp4", name, "encoder"), film_codes(k, 20), 20.0, 250, {})
        LabelStore(store).put(made.get("one").number, self.STRETCHES)
        LabelStore(store).put(made.get("two").number, [Stretch("dog", 2.0, 6.0, 0.8)])
        return made

    def test_a_search_gives_the_best_first(self, library: Library) -> None:
        hits = Search(library).find("DOG")
        assert [(hit.video, hit.at_seconds, hit.score) for hit in hits] == [
            ("one", 8.0, 0.9),
            ("two", 2.0, 0.8),
            ("one", 1.0, 0.7),
        ]
        assert [hit.text for hit in Search(library).find("car red")] == ["red car"]
        assert [hit.video for hit in Search(library).find("dog", Wanted(video="two"))] == ["two"]
        assert [hit.at_seconds for hit in Search(library).find("dog", Wanted("label", shortest=3.0))] == [2.0, 1.0]

    def test_labels_go_with_their_video_and_when_they_are_replaced(self, library: Library, store: Store) -> None:
        labels = LabelStore(store)
        assert labels.names() == {"dog": 3, "red car": 1}
        labels.put(library.get("one").number, [Stretch("dog", 5.0, 6.0, 0.5)])
        assert labels.names() == {"dog": 2} and labels.of(library.get("one").number)[0].start == 5.0
        library.remove("one")
        assert [hit.video for hit in Search(library).find("dog")] == ["two"]
        library.remove("two")
        assert labels.names() == {} and not [*store.client.scan_iter("vnome:*label:*")]
        assert not Care(store).check()

    def test_no_other_film_is_looked_at(self, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Library, "videos", lambda _: pytest.fail("the whole catalogue was read"))
        assert len(Search(library).find("dog", Wanted("label"))) == 3


@pytest.mark.redis
def test_a_film_is_labelled_when_indexed_or_later_and_given_to_an_editor(
    tmp_path: Path, store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    colours = [(230, 20, 20)] * 125 + [(20, 20, 230)] * 125  # five seconds of red, five of blue
    pictures = [np.full((48, 64, 3), colour, np.uint8) for colour in colours]
    film = write_film(tmp_path / "flag.mp4", pictures, [40 * k for k in range(250)])
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    monkeypatch.setenv("VNOME_RECOGNISER", "none")
    settings.cache_clear()
    vnome = Vnome(capsys)
    assert vnome("index", film).code == 0
    assert vnome("search", "red").code == 1
    assert vnome("index", film, "--relabel").failed_with(2, "VNOME_RECOGNISER")
    monkeypatch.setenv("VNOME_RECOGNISER", str(colour_bundle(tmp_path / "colours")))
    settings.cache_clear()
    default_recogniser.cache_clear()
    assert vnome("index", film, "--json").document["videos"][0]["outcome"] == "unchanged"
    (red,) = vnome("search", "red", "--json").document["results"]
    assert (red["video"], red["kind"]) == ("flag", "label")
    assert (red["at_seconds"], red["until_seconds"]) == pytest.approx((0, 5), abs=1.01)
    vnome("remove", "flag")
    assert vnome("index", film).code == 0  # with its labels from the start
    sheet, edl = tmp_path / "sheet.png", tmp_path / "cut.edl"
    assert vnome("search", "blue", "--sheet", sheet, "--films", tmp_path, "--edl", edl).code == 0
    drawn = cv2.imread(str(sheet))
    assert drawn is not None and drawn.shape[1] > COLUMNS * CELL_WIDTH
    assert drawn[100, 100, 0] > 200 > drawn[100, 100, 2]  # blue, as OpenCV orders colours
    assert "* FROM CLIP NAME: flag.mp4" in edl.read_text()
    assert vnome("search", "blue", "--sheet", sheet).failed_with(2, "--films")
    assert vnome("search", "blue", "--edl", tmp_path / "none" / "x").failed_with(2, "--edl")
    assert vnome("search", "blue", "--sheet", tmp_path / "none" / "x.png", "--films", tmp_path).failed_with(
        2, "--sheet"
    )


def test_a_sheet_has_a_cell_for_each_moment() -> None:
    sheet = draw_sheet(
        [(np.full((50, 100, 3), 200, np.uint8), "0:01", "dog"), (None, "0:02", "dog"), *[(None, "", "")] * 3]
    )
    one_row = draw_sheet([(None, "", "")])
    assert sheet.shape[0] > one_row.shape[0] and sheet.shape[1] == one_row.shape[1]
    assert sheet[100, 100].max() == 200


@pytest.mark.redis
def test_labels_that_cannot_be_found_or_have_no_video_are_seen_and_mended(store: Store) -> None:
    library, labels = Library(store), LabelStore(store)
    library.add(VideoFields("one", "one", "one.mp4", "one", "encoder"), film_codes(1, 20), 20.0, 250, {})
    number = library.get("one").number
    labels.put(number, [Stretch("dog", 1.0, 4.0, 0.7), Stretch("cat", 2.0, 3.0, 0.6)])
    store.client.zrem(keys.label("dog"), f"{number}:10:40")
    store.client.zadd(keys.label("cat"), {"99:0:10": 0.5})
    assert len(Care(store).check()) == 2
    faults = Care(store).check(mend=True)
    assert [fault.video for fault in faults] == ["one", "number 99"] and all(fault.mended for fault in faults)
    assert not Care(store).check() and len(labels.find("dog", 9)) == len(labels.find("cat", 9)) == 1
