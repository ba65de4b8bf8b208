"""Sightings in a real Redis, and the command that lists them."""

import csv
import io
import time
from dataclasses import replace

import pytest

from pipeline.sightings import CHUNK, Sighting, Sightings
from pipeline.store import Store
from tests.commands import Vnome

pytestmark = pytest.mark.redis

ONE = Sighting("a/1", "film", "A Film", "a", 1000.0, 1060.0, 5.0, 65.0, 0.999, False)


def put(store: Store, *sightings: Sighting) -> None:
    seen = Sightings(store)
    pipe = store.client.pipeline()
    for sighting in sightings:
        seen.put(pipe, sighting)
    pipe.execute()


def many(count: int) -> list[Sighting]:
    """One a minute, half a minute long, on two cameras, of three videos."""
    return [
        replace(ONE, id=f"s{k}", video=f"v{k % 3}", camera="ab"[k % 2], start=60.0 * k, end=60.0 * k + 30)
        for k in range(count)
    ]


def test_a_sighting_is_there_once_in_its_newest_state(store: Store) -> None:
    put(store, replace(ONE, open=True, end=1030.0), ONE)
    assert Sightings(store).find() == [ONE]
    assert Sightings(store).known("film")
    assert not Sightings(store).known("other")


def test_filters(store: Store) -> None:
    put(store, *many(30))
    seen = Sightings(store)
    assert [s.id for s in seen.find(video="v1", camera="b")] == ["s1", "s7", "s13", "s19", "s25"]
    assert [s.id for s in seen.find(since=60 * 10 + 15, until=60 * 12)] == ["s10", "s11", "s12"]
    assert [s.id for s in seen.find(since=60 * 10 + 45, until=60 * 11 - 1)] == []
    assert [s.id for s in seen.find(limit=2)] == ["s28", "s29"]
    assert [s.id for s in seen.find(video="v0", until=200)] == ["s0", "s3"]


def test_more_than_one_read(store: Store) -> None:
    put(store, *many(2 * CHUNK + 7))
    assert len(Sightings(store).find()) == 2 * CHUNK + 7


def test_each_comes_once_while_sightings_go_on(store: Store) -> None:
    put(store, *many(2 * CHUNK + 7))
    found = []
    for place, sighting in enumerate(Sightings(store)._newest_first(None, None)):
        found.append(sighting.id)
        if place == 3:
            put(store, replace(many(6)[5], end=1e6))  # goes to the front: the next read begins one too early
    assert len(found) == len(set(found)) == 2 * CHUNK + 6
    assert Sightings(store).count() == 2 * CHUNK + 7


@pytest.fixture
def vnome(redis_url: str, monkeypatch: pytest.MonkeyPatch, store: Store, capsys: pytest.CaptureFixture[str]) -> Vnome:
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    return Vnome(capsys)


def test_the_command_lists_for_people_and_for_programs(store: Store, vnome: Vnome) -> None:
    now = time.time()
    recent = replace(ONE, id="b/2", camera="b", start=now - 600, end=now - 1, open=True)
    put(store, ONE, recent)
    shown = vnome("sightings")
    assert shown.code == 0
    assert [line.split()[2:5] for line in shown.out.splitlines()] == [["60", "s", "a"], ["on", "now", "b"]]
    assert [s["id"] for s in vnome("sightings", "film", "--since", "1h", "--json").document["sightings"]] == ["b/2"]
    rows = list(csv.DictReader(io.StringIO(vnome("sightings", "--camera", "a", "--csv").out)))
    assert [(row["video"], row["start"]) for row in rows] == [("film", "1970-01-01T00:16:40.000+00:00")]
    until = vnome("sightings", "--until", "2001-01-01T00:00+00:00", "--json").document["sightings"]
    assert [s["id"] for s in until] == ["a/1"]


def test_the_command_says_what_is_wrong(store: Store, vnome: Vnome) -> None:
    put(store, ONE)
    assert vnome("sightings", "nosuch").failed_with(2, "no video 'nosuch'")
    assert vnome("sightings", "--since", "soon").failed_with(2, "--since 'soon'")
    assert vnome("sightings", "--json", "--csv").failed_with(2, "--json and --csv")
