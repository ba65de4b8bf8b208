"""What films show at a moment, remembered."""

from typing import Any

import pytest

from pipeline import film_labels, keys
from pipeline.film_labels import FilmLabels
from pipeline.labels import LabelStore, Stretch
from pipeline.store import Store

pytestmark = pytest.mark.redis

DOG, CAT, GRASS = Stretch("dog", 2.0, 6.0, 0.9), Stretch("cat", 5.0, 8.0, 0.7), Stretch("grass", 0.0, 10.0, 0.8)
AGAIN = Stretch("dog", 8.0, 9.0, 0.6)


@pytest.fixture
def films(store: Store) -> FilmLabels:
    LabelStore(store).put(1, [DOG, CAT, GRASS, AGAIN])
    return FilmLabels(store)


def gets(store: Store) -> int:
    stats: Any = store.client.info("commandstats")
    return int(stats.get("cmdstat_get", {}).get("calls", 0))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, [("grass", 0.8)]),
        (2.0, [("dog", 0.9), ("grass", 0.8)]),  # a stretch begins with its start
        (5.5, [("dog", 0.9), ("grass", 0.8), ("cat", 0.7)]),
        (6.0, [("grass", 0.8), ("cat", 0.7)]),  # and ends before its end
        (8.5, [("grass", 0.8), ("dog", 0.6)]),
        (10.0, []),
        (-1.0, []),
    ],
)
def test_a_moment_has_the_stretches_around_it(films: FilmLabels, seconds: float, shown: list[Any]) -> None:
    assert films.at(1, seconds) == shown


def test_a_part_weighs_each_label_by_how_much_of_it_it_fills(films: FilmLabels) -> None:
    # of [4, 9): grass 5/5 of 0.8, dog 2/5 of 0.9 and 1/5 of 0.6, cat 3/5 of 0.7
    assert films.between(1, 4.0, 9.0) == [("grass", 0.8), ("dog", 0.48), ("cat", 0.42)]
    assert films.between(1, 5.5, 5.5) == films.at(1, 5.5)
    assert films.between(1, 20.0, 30.0) == []


def test_the_best_five_are_told_of_many(store: Store) -> None:
    LabelStore(store).put(2, [Stretch(f"thing {k}", 0.0, 1.0, k / 10) for k in range(1, 9)])
    assert [label for label, _ in FilmLabels(store).at(2, 0.5)] == [f"thing {k}" for k in (8, 7, 6, 5, 4)]


def test_a_film_is_fetched_once_however_often_it_is_asked_for(films: FilmLabels, store: Store) -> None:
    before = gets(store)
    for k in range(100):
        assert films.at(1, k / 10)
        assert films.at(7, k / 10) == []  # of which nothing is known
    assert gets(store) - before == 2


def test_a_film_that_is_labelled_anew_is_told_so_after_a_while(
    films: FilmLabels, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert films.at(1, 5.5)[0] == ("dog", 0.9)
    LabelStore(store).put(1, [Stretch("fox", 0.0, 10.0, 0.95)])
    assert films.at(1, 5.5)[0] == ("dog", 0.9)
    monkeypatch.setattr(film_labels, "KEPT_SECONDS", 0.0)
    assert films.at(1, 5.5) == [("fox", 0.95)]


def test_what_is_remembered_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_labels, "KEPT_STRETCHES", 30)
    for number in range(10):
        LabelStore(store).put(number, [Stretch("dog", k, k + 1, 0.9) for k in range(10)])
    films = FilmLabels(store)
    for number in range(10):
        assert films.at(number, 5.0) == [("dog", 0.9)]
    assert list(films._known) == [7, 8, 9] and films._stretches == 30
    monkeypatch.setattr(film_labels, "KEPT_FILMS", 2)
    assert films.at(3, 5.0) and list(films._known) == [9, 3]
    store.client.delete(keys.labels(3))
    monkeypatch.setattr(film_labels, "KEPT_SECONDS", 0.0)
    assert films.at(3, 5.0) == [] and films._stretches == 10
