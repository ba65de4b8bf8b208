"""A small catalogue that is scanned whole: it finds what no probe finds, and accepts no more than before."""

import numpy as np
import pytest

from pipeline import reference as reference_module
from pipeline.codes import FrameCodes
from pipeline.library import Library
from pipeline.matching import Matcher
from pipeline.reference import CatalogueReference
from pipeline.store import Store
from pipeline.timeline import GAP_SECONDS, TICK_SECONDS, Timeline
from tests.memory_reference import MemoryReference, film_codes, plain_matcher, query_codes
from tests.pipeline.test_library import fields

FILMS = {1: 60.0, 2: 45.0, 3: 90.0}


def reference(scanned: bool) -> MemoryReference:
    films = MemoryReference(scanned)
    for number, seconds in FILMS.items():
        films.add(number, film_codes(number, seconds))
    return films


def test_line_of_time_holds_each_film_and_nothing_between() -> None:
    tracks = [(number, film_codes(number, seconds)) for number, seconds in FILMS.items()]
    line = Timeline.of_tracks([*tracks[:2], (9, film_codes(9, 1.0).slice(0, 0)), tracks[2]])
    gap = round(GAP_SECONDS / TICK_SECONDS)
    assert len(line.run) == len(line.number) == len(line.seconds) == 4 * gap + sum(FILMS.values()) / TICK_SECONDS
    assert (line.run[line.number < 0] == len(line.soft)).all()
    first = 0
    for number, track in tracks:
        at = line.number == number
        codes, there = track.codes_at(line.seconds[at])
        assert there.all()
        bits = np.packbits(line.soft[line.run[at]] > 0, axis=1, bitorder="little").view(np.uint32)[:, 0]
        np.testing.assert_array_equal(bits, codes)
        assert line.run[at].min() == first
        first += len(track)
    assert first == len(line.soft)


def test_an_empty_catalogue_has_no_places() -> None:
    query = query_codes(film_codes(1, 60.0), 10.0, 3.0)
    assert Matcher.best_guess(plain_matcher(MemoryReference(scanned=True)), [query]) is None


@pytest.mark.parametrize("start", [0.0, 21.4, 52.0])
@pytest.mark.parametrize("speed", [1.0, 0.96])
def test_a_film_of_which_no_code_comes_through_is_found_by_the_sum_of_all(start: float, speed: float) -> None:
    query = query_codes(film_codes(1, 60.0), start, 8.0, speed=speed, flips=13)  # more than probes try
    assert plain_matcher(reference(scanned=False)).match([query]) is None
    match = plain_matcher(reference(scanned=True)).match([query])
    assert match is not None
    assert match.number == 1
    assert match.at_seconds == pytest.approx(start, abs=0.3)
    assert match.speed == pytest.approx(speed, abs=0.025)


def test_random_and_unknown_queries_are_never_accepted() -> None:
    matcher, rng = plain_matcher(reference(scanned=True)), np.random.default_rng(5)
    for seed in range(20):
        margins = rng.uniform(0, 3, (60, 32)).astype(np.float32)
        noise = FrameCodes(np.arange(60) / 10, rng.integers(0, 1 << 32, 60, dtype=np.uint32), margins)
        stranger = query_codes(film_codes(70 + seed, 60.0), 20.0, 6.0, flips=3)
        assert matcher.match([noise]) is None
        assert matcher.match([stranger]) is None


@pytest.mark.redis
def test_line_of_time_of_a_catalogue_follows_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_module, "COUNT_SECONDS", 0.0)
    library = Library(store)
    catalogue = CatalogueReference(library)
    for number in (1, 2):
        film = film_codes(number, 40.0)
        library.add(fields(f"film{number}", f"f{number}"), film, 40.0, 400, {})
    line = catalogue.timeline()
    assert line is not None
    assert set(line.number[line.number >= 0].tolist()) == {library.get(f"film{number}").number for number in (1, 2)}
    assert catalogue.timeline() is line  # nothing has changed
    library.remove("film1")
    line = catalogue.timeline()
    assert line is not None
    assert set(line.number[line.number >= 0].tolist()) == {library.get("film2").number}
    library.add(fields("film2", "another"), film_codes(8, 30.0), 30.0, 300, {})  # another film under the same name
    line = catalogue.timeline()
    assert line is not None
    assert line.seconds.max() == pytest.approx(30.0 - TICK_SECONDS)
    monkeypatch.setattr(reference_module, "MOST_RUNS", 3)
    assert catalogue.timeline() is None
