"""Search by what films show: which labels are meant, and what it costs."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.labels import LabelStore, Stretch
from pipeline.library import Library
from pipeline.search import Search, Wanted
from pipeline.settings import settings
from pipeline.store import Store
from pipeline.videos import VideoFields
from tests.commands import Vnome
from tests.memory_reference import film_codes

pytestmark = pytest.mark.redis


def add(store: Store, name: str, *stretches: Stretch) -> None:
    library = Library(store)
    library.add(VideoFields(name, name, f"{name}.mp4", name, "encoder"), film_codes(1, 4), 100.0, 50, {})
    LabelStore(store).put(library.get(name).number, stretches)


@pytest.fixture
def vnome(store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Vnome:
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    settings.cache_clear()
    return Vnome(capsys)


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("car", ["car"]),  # no police car, no carpet, no scar
        ("CAR", ["car"]),
        ("police", ["police car"]),
        ("car police", ["police car"]),
        ("carp", ["carpet"]),
        ("sca", ["scar"]),
        ("boat car", []),
    ],
)
def test_the_label_that_is_meant(store: Store, query: str, labels: list[str]) -> None:
    names = ("car", "police car", "carpet", "scar")
    add(store, "film", *(Stretch(name, 10.0 * k, 10.0 * k + 5, 0.9) for k, name in enumerate(names)))
    assert [hit.text for hit in Search(Library(store)).find(query, Wanted("label"))] == labels


def test_what_a_label_is_a_kind_of_finds_it_too(store: Store) -> None:
    add(store, "walk", Stretch("dog", 10.0, 20.0, 0.9), Stretch("animal", 8.0, 21.0, 0.95))
    add(store, "zoo", Stretch("animal", 0.0, 50.0, 0.8))
    search = Search(Library(store))
    assert [(hit.video, hit.at_seconds) for hit in search.find("animal")] == [("walk", 8.0), ("zoo", 0.0)]
    assert [(hit.video, hit.at_seconds) for hit in search.find("dog")] == [("walk", 10.0)]


def test_of_one_video_all_is_found_however_much_better_others_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.search.MOST_HITS", 20)
    for k in range(3):
        add(store, f"good {k}", *(Stretch("dog", at, at + 1, 0.9) for at in range(10)))
    add(store, "poor", Stretch("dog", 3.0, 9.0, 0.4))
    search = Search(Library(store))
    assert [hit.at_seconds for hit in search.find("dog", Wanted("label", video="poor"))] == [3.0]
    assert len(search.find("dog", Wanted("label"))) == 20


def test_where_nothing_is_found_the_labels_that_are_near_are_told(store: Store, vnome: Vnome) -> None:
    ran = vnome("search", "dog")
    assert (ran.code, ran.out) == (1, "nothing found\n")  # there is no label at all
    add(store, "film", Stretch("dog", 0, 5, 0.9), Stretch("dog", 6, 9, 0.9), Stretch("red bicycle", 0, 5, 0.9))
    assert vnome("search", "bycicle").out == "nothing found; there are labels red bicycle\n"
    assert vnome("search", "dgo", "--json").document == {"results": [], "total": 0, "near": ["dog"]}
    assert vnome("search", "submarine", "--json").document["near"] == ["dog", "red bicycle"]  # most moments first
    assert vnome("search", "dgo", "--kind", "title").out == "nothing found\n"
    assert vnome("search", "dog", "--json").document["near"] == []
    assert vnome("search", "dog", "--video", "flim").failed_with(2, "no video 'flim'", "film")
    assert vnome("search", " ").failed_with(2, "no word")


def cost(store: Store, vnome: Vnome, *arguments: str | Path) -> tuple[int, int]:
    """What a command sends to and gets from Redis: commands, and bytes both ways."""

    def now() -> tuple[int, int]:
        stats: Any = store.client.info("stats")
        return stats["total_commands_processed"], stats["total_net_input_bytes"] + stats["total_net_output_bytes"]

    before = now()
    assert vnome(*arguments).code == 0
    return tuple(after - begun for after, begun in zip(now(), before, strict=True))  # type: ignore[return-value]


def test_what_a_search_by_label_costs_grows_with_what_it_finds_and_not_with_the_catalogue(
    store: Store, vnome: Vnome, tmp_path: Path
) -> None:
    edl = tmp_path / "cut.edl"
    look = ("search", "dog", "--kind", "label", "--edl", edl, "--fps", "25", "--json")
    for k in range(3):
        add(store, f"dogs-{k}", Stretch("dog", 1.0, 9.0, 0.9 - k / 10), Stretch("grass", 0.0, 90.0, 0.9))
    cost(store, vnome, *look)  # the first answer is longer: what INFO tells of itself
    small = cost(store, vnome, *look)
    for k in range(100):
        add(store, f"others-{k}", *(Stretch("grass", 2.0 * at, 2.0 * at + 1, 0.9) for at in range(40)))
    large = cost(store, vnome, *look)
    assert large[0] == small[0]
    assert large[1] < 1.05 * small[1]
    for k in range(3, 30):
        add(store, f"dogs-{k}", Stretch("dog", 1.0, 9.0, 0.5))
    more = cost(store, vnome, *look)
    assert more[0] == small[0] and more[1] > 1.5 * small[1]


def test_what_a_search_by_subtitles_costs_grows_with_what_it_finds_and_not_with_the_catalogue(
    store: Store, vnome: Vnome
) -> None:
    def say(name: str, line: str) -> None:
        text = f"WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n{line}\n"
        fields = VideoFields(name, name, f"{name}.mp4", name, "encoder")
        Library(store).add(fields, film_codes(1, 4), 100.0, 50, {"en": text})

    look = ("search", "bicycle", "--kind", "subtitle", "--json")
    for k in range(3):
        say(f"bicycles-{k}", "a red bicycle " * 50)
    cost(store, vnome, *look)
    small = cost(store, vnome, *look)
    for k in range(60):
        say(f"others-{k}", f"a boat called number{k} " * 50)
    large = cost(store, vnome, *look)
    assert large[0] == small[0]
    assert large[1] < 1.05 * small[1]
