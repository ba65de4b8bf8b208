"""The table made anew from the tracks, with queries and writers at work meanwhile."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from pipeline import keys
from pipeline.buckets import tags
from pipeline.care import Care
from pipeline.errors import StoreError
from pipeline.library import Library
from pipeline.lut import RedisLut
from pipeline.partitions import Partitions
from pipeline.postings import Postings
from pipeline.rebuild import rebuild
from pipeline.store import Store, open_store
from pipeline.videos import VideoFields
from tests.commands import Vnome
from tests.memory_reference import film_codes

pytestmark = pytest.mark.redis
ON_CLUSTER = True

FILMS = {f"film-{number}": film_codes(number, 120) for number in range(8)}


def put(library: Library, name: str, seed: int | None = None) -> None:
    track = FILMS[name] if seed is None else film_codes(seed, 120)
    library.add(VideoFields(name, name, f"{name}.mp4", f"{name} {seed}", "e"), track, 120.0, 1000, {})


@pytest.fixture
def library(store: Store) -> Library:
    filled = Library(store)
    for name in list(FILMS)[:5]:
        put(filled, name)
    return filled


def found(library: Library, name: str) -> int:
    """How many of a film's postings a look-up finds under its number."""
    wanted = Postings.of_track(1, FILMS[name])
    hits = RedisLut(library.store).lookup(wanted.codes)
    record = library.find(name)
    return len(np.unique(hits.probe[hits.video_numbers == record.number])) if record else 0


def is_whole(library: Library, names: list[str]) -> bool:
    return all(found(library, name) == len(Postings.of_track(1, FILMS[name])) for name in names)


def test_a_lost_table_comes_back(library: Library, store: Store) -> None:
    names = [key for key in store.client.scan_iter(match=keys.LUT)]
    for name in names:
        store.client.delete(name)
    fresh = Library(store)
    assert found(fresh, "film-1") == 0
    done: list[tuple[int, int]] = []
    count = rebuild(fresh, lambda step, total: done.append((step, total)))
    assert done[-1] == (5 + 64, 5 + 64)
    assert count == fresh.posting_count()
    assert is_whole(fresh, list(FILMS)[:5])
    assert Care(store).check() == []


def test_one_that_grew_is_compact_again(library: Library, store: Store, rng: np.random.Generator) -> None:
    big = Postings(999, rng.integers(0, 2**32, 30_000, dtype=np.uint32), np.arange(30_000, dtype=np.uint32))
    library.lut.add(big)  # of a video that is not there
    grown = sum(state.buckets for state in library.lut.partitions.states())
    rebuild(library, lambda *_: None)
    assert sum(state.buckets for state in RedisLut(store).partitions.states()) < grown / 2
    assert is_whole(library, list(FILMS)[:5])
    assert Care(store).check() == []
    rebuild(library, lambda *_: None)
    assert Care(store).check() == []


def test_queries_and_changes_go_on(library: Library, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A film is added, replaced or removed before and after the exchange of some partition; a reader misses nothing."""
    replace = Partitions.replace
    changes: dict[int, Callable[[], None]] = {
        0: lambda: put(library, "film-5"),
        20: lambda: library.remove("film-1"),
        30: lambda: put(library, "film-2", 77),
        40: lambda: put(library, "film-6"),
        63: lambda: library.remove("film-0"),
    }

    def replace_amid_changes(self: Partitions, partition: int, contents: object, seen: object) -> bool:
        if partition in changes:
            store.client.delete(keys.lut_lock(tags()[partition]))  # as if it had run out
            changes.pop(partition)()
        return replace(self, partition, contents, seen)  # type: ignore[arg-type]

    monkeypatch.setattr(Partitions, "replace", replace_amid_changes)
    stop, misses, looks = threading.Event(), [0], [0]
    wanted = len(Postings.of_track(1, FILMS["film-3"]))

    def look() -> None:
        while not stop.is_set():
            misses[0] += wanted - found(library, "film-3")
            looks[0] += 1

    reader = threading.Thread(target=look)
    reader.start()
    try:
        rebuild(Library(store), lambda *_: None)
    finally:
        stop.set()
        reader.join()
    assert looks[0] > 3
    assert misses[0] == 0
    assert is_whole(library, ["film-3", "film-4", "film-5", "film-6"])
    assert Care(store).check() == []


def test_a_film_that_is_being_added_gets_all_its_postings(
    library: Library, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole rebuild falls between its postings and its publication."""
    commit = Library._commit

    def commit_after_a_rebuild(self: Library, *arguments: object) -> object:
        monkeypatch.setattr(Library, "_commit", commit)
        rebuild(Library(store), lambda *_: None)
        assert found(library, "film-7") == 0  # it is not visible yet
        return commit(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Library, "_commit", commit_after_a_rebuild)
    put(library, "film-7")
    assert is_whole(library, ["film-7"])
    assert Care(store).check() == []


def test_writers_wait_while_a_partition_is_exchanged(library: Library, store: Store) -> None:
    adding = threading.Thread(target=lambda: put(Library(store), "film-6"))
    with library.lut.partitions.locked(7), library.lut.partitions.locked(8):
        adding.start()
        time.sleep(0.5)
        assert library.find("film-6") is None
        assert is_whole(library, ["film-3"])  # look-ups go on
    adding.join(10)
    assert is_whole(library, ["film-6"])


def test_a_lock_that_nobody_lifts_runs_out(library: Library, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.client.set(keys.lut_lock(tags()[7]), "one that died", px=400)
    put(library, "film-6")
    assert is_whole(library, ["film-6"])
    assert Care(store).check() == []


def test_half_a_rebuild_does_no_harm(library: Library, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends after some partitions; a film came and one went since it began."""
    replace = Partitions.replace

    class Killed(Exception):
        pass

    def replace_or_die(self: Partitions, partition: int, contents: object, seen: object) -> bool:
        if partition == 5 and library.find("film-1"):
            store.client.delete(keys.lut_lock(tags()[partition]))
            put(library, "film-5")
            library.remove("film-1")
        if partition == 40:
            raise Killed
        return replace(self, partition, contents, seen)  # type: ignore[arg-type]

    monkeypatch.setattr(Partitions, "replace", replace_or_die)
    with pytest.raises(Killed):
        rebuild(Library(store), lambda *_: None)
    assert is_whole(library, ["film-0", "film-2", "film-5"])
    assert Care(store).check() == []


def test_what_a_kill_leaves_is_found_and_mended(library: Library, store: Store) -> None:
    store.client.set(keys.bucket(tags()[3], 1, 5), b"0" * 10)  # of a generation that never came to be
    store.client.set(keys.bucket(tags()[4], 0, 1000), b"0" * 10)
    assert len(Care(store).check()) == 2
    assert all(fault.mended for fault in Care(store).check(mend=True))
    assert Care(store).check() == []


def test_one_at_a_time(library: Library, store: Store) -> None:
    store.client.set(keys.REBUILD, "another", px=60_000)
    with pytest.raises(StoreError, match="another process is rebuilding"):
        rebuild(library, lambda *_: None)
    store.client.delete(keys.REBUILD)
    rebuild(library, lambda *_: None)
    assert store.client.get(keys.REBUILD) is None


def test_the_command(redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    with open_store(redis_url) as opened:
        opened.client.flushdb()
        put(Library(opened), "film-1")
        postings = len(Postings.of_track(1, FILMS["film-1"]))
        vnome = Vnome(capsys)
        assert vnome("rebuild", "--json").document == {"videos": 1, "postings": postings}
        assert f"1 videos, {postings} postings" in vnome("rebuild").out
        opened.client.flushdb()
