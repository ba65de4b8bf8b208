"""Checking and mending a catalogue that somebody has damaged."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline import keys
from pipeline.care import Care
from pipeline.library import Library
from pipeline.lut import RedisLut
from pipeline.postings import TICK_MS, Postings
from pipeline.store import Store
from pipeline.videos import VideoFields
from tests.commands import Vnome
from tests.memory_reference import film_codes

pytestmark = pytest.mark.redis
ON_CLUSTER = True

FILMS = {"one": film_codes(1, 90), "two": film_codes(2, 40)}


@pytest.fixture
def library(store: Store) -> Library:
    filled = Library(store)
    for name, track in FILMS.items():
        filled.add(VideoFields(name, name, f"{name}.mp4", name, "e"), track, 60.0, 500, {"it": "x --> y"})
    return filled


def number(library: Library, video: str) -> int:
    return library.get(video).number


def drop_posting(library: Library) -> None:
    key = next(name for name in library.store.client.scan_iter(match=keys.LUT) if not name.endswith(b"}"))
    content = library.store.client.get(key)
    assert isinstance(content, bytes)
    library.store.client.set(key, content[10:])


def double_posting(library: Library) -> None:
    key = next(name for name in library.store.client.scan_iter(match=keys.LUT) if not name.endswith(b"}"))
    content = library.store.client.get(key)
    assert isinstance(content, bytes)
    library.store.client.set(key, content + content[:10])


def move_posting(library: Library) -> None:
    """As many as before, one of them at another moment."""
    track, owner = FILMS["one"], number(library, "one")
    library.lut.remove(owner, track.codes)
    start = track.start_ms.copy()
    start[3] += TICK_MS
    library.lut.add(Postings(owner, track.codes, start // TICK_MS))


def foreign_postings(library: Library) -> None:
    library.lut.add(Postings(999, np.arange(50, dtype=np.uint32), np.arange(50, dtype=np.uint32)))


def lost_number(library: Library) -> None:
    library.store.client.hdel(keys.NUMBERS, str(number(library, "two")))


def stray_number(library: Library) -> None:
    library.store.client.hset(keys.NUMBERS, "77", "ghost")


def stray_keys(library: Library) -> None:
    library.store.client.set(keys.track(55, 0), b"x")
    library.store.client.set(keys.motion(56), b"x")
    library.store.client.hset(keys.subtitles(57), "it", "x")


def wrong_partition(library: Library) -> None:
    (key, *_) = (name for name in library.store.client.scan_iter(match=keys.LUT) if name.endswith(b"}"))
    text = library.store.client.get(key)
    assert isinstance(text, bytes)
    buckets, count, generation, changes = text.split()
    library.store.client.set(key, b"%b %d %b %b" % (buckets, int(count) + 7, generation, changes))


def wrong_count(library: Library) -> None:
    library.store.client.set(keys.POSTINGS, 5)


DAMAGES = [
    drop_posting,
    double_posting,
    move_posting,
    foreign_postings,
    lost_number,
    stray_number,
    stray_keys,
    wrong_partition,
    wrong_count,
]


def test_a_whole_catalogue_has_no_fault(library: Library, store: Store) -> None:
    assert Care(store).check() == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_seen_and_mended(library: Library, store: Store, damage: Callable[[Library], None]) -> None:
    damage(library)
    seen = Care(store).check()
    assert seen
    assert not any(fault.mended for fault in seen)
    assert len(Care(store).check()) == len(seen)  # looking changes nothing
    assert all(fault.mended for fault in Care(store).check(mend=True))
    assert Care(store).check() == []
    for name, track in FILMS.items():
        hits = RedisLut(store).lookup(track.codes)
        assert (hits.video_numbers == number(library, name)).sum() == len(Postings.of_track(1, track))
        assert np.array_equal(library.whole_track(number(library, name))[0].codes, track.codes)


def test_a_track_that_is_gone_is_told_and_left(library: Library, store: Store) -> None:
    for block in range(9):
        store.client.delete(keys.track(number(library, "one"), block))
    (fault,) = Care(store).check(mend=True)
    assert fault.video == "one"
    assert "0 runs instead of" in fault.text
    assert not fault.mended


def test_what_is_being_indexed_is_left_alone(library: Library, store: Store) -> None:
    store.client.hset(keys.PENDING, "500", '{"state": "storing"}')
    library.lut.add(Postings(500, np.arange(5, dtype=np.uint32), np.arange(5, dtype=np.uint32)))
    store.client.set(keys.track(500, 0), b"x")
    assert Care(store).check() == []


def test_an_empty_catalogue_is_whole(store: Store) -> None:
    assert Care(store).check(mend=True) == []


def test_the_command(
    library: Library, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    vnome = Vnome(capsys)
    assert vnome("check").code == 0
    wrong_count(library)
    ran = vnome("check")
    assert (ran.code, ran.out.splitlines()[0]) == (1, f"fault   catalogue: it counts 5 postings instead of {total()}")
    assert vnome("check", "--repair", "--json").document["faults"][0]["mended"]
    assert vnome("check", "--json").document == {"videos": 2, "postings": total(), "faults": []}


def total() -> int:
    return sum(len(Postings.of_track(1, track)) for track in FILMS.values())
