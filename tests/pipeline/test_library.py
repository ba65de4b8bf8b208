"""The catalogue: what is visible when, and that nothing is left behind."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline import keys
from pipeline.codes import CodeArray
from pipeline.errors import CatalogueError, StoreError
from pipeline.library import Library
from pipeline.motion import BLOCKS, Motion
from pipeline.store import Store, open_store
from pipeline.supervisor import SERVER_LOCK
from pipeline.tracks import Track
from pipeline.videos import VideoFields

pytestmark = pytest.mark.redis

ENCODER = "e" * 64
COUNTERS = {name.encode() for name in (keys.SCHEMA, keys.NEXT_NUMBER, keys.POSTINGS)}


def fields(video: str = "film", fingerprint: str = "f1", encoder: str = ENCODER, title: str = "") -> VideoFields:
    return VideoFields(video, title or video.title(), f"{video}.mp4", fingerprint, encoder)


def track(seed: int, runs: int = 50) -> Track:
    """Runs of 500 ms with codes of this seed."""
    codes = np.random.default_rng(seed).integers(0, 2**32, runs, dtype=np.uint32)
    return Track(np.arange(runs, dtype=np.uint32) * 500, codes, runs * 500)


def put(library: Library, video: str = "film", seed: int = 1, subtitles: dict[str, str] | None = None) -> str:
    """Adds a video whose file and codes follow from the seed."""
    return library.add(fields(video, f"f{seed}"), track(seed), 25.0, 300, subtitles or {})


def found(library: Library, codes: CodeArray) -> set[tuple[str, int]]:
    """Visible (video, start_ms) with any of these codes."""
    hits = library.lut.lookup(codes)
    visible = library.resolve(hits.video_numbers.tolist())
    pairs = zip(hits.video_numbers.tolist(), hits.start_ms.tolist(), strict=True)
    return {(visible[number].id, start) for number, start in pairs if number in visible}


def holds(library: Library, video: str, seed: int) -> bool:
    """Whether a video is there with the codes of a seed, all of them and in its track."""
    wanted = track(seed)
    there = found(library, wanted.codes) == {(video, start) for start in wanted.start_ms.tolist()}
    whole, _ = library.whole_track(library.get(video).number)
    return there and np.array_equal(whole.codes, wanted.codes) and whole.end_ms == wanted.end_ms


def left_behind(store: Store) -> set[bytes | str]:
    """All keys but the counters."""
    return {*store.client.keys("*")} - COUNTERS - {*store.client.keys("vnome:confirmed:*")}


def test_added_video_is_listed_found_and_read(store: Store) -> None:
    library = Library(store)
    motion = Motion(np.eye(5, BLOCKS, dtype=np.int8))
    assert library.add(fields(), track(1), 25.0, 300, {"en": "Hello"}, motion) == "added"
    (record,) = library.videos()
    assert (record.id, record.title, record.source_name) == ("film", "Film", "film.mp4")
    assert (record.runs, record.frames, record.duration_seconds, record.subtitles) == (50, 300, 25.0, ("en",))
    assert library.get("film") == library.find("film") == record == library.resolve([record.number])[record.number]
    assert holds(library, "film", 1)
    assert library.posting_count() == 50
    _, stored = library.whole_track(record.number)
    assert stored is not None
    assert np.array_equal(stored.steps, motion.steps)
    (part,) = library.read_tracks([(record.number, 1.0, 2.0)])
    assert part.start_ms.tolist() == [1000, 1500]
    assert not store.client.hlen(keys.PENDING)
    assert not store.client.keys(keys.lease(record.number))


def test_same_film_again_changes_nothing(store: Store) -> None:
    library = Library(store)
    put(library, subtitles={"en": "a"})
    before = {key: store.client.dump(key) for key in store.client.keys("*")}
    assert put(library, subtitles={"en": "a"}) == "unchanged"
    assert {key: store.client.dump(key) for key in store.client.keys("*")} == before
    assert library.unchanged(fields(), {"en": "a"}) == library.get("film")
    assert library.unchanged(fields(), {}) is None
    assert library.unchanged(fields(title="Other"), {"en": "a"}) is None
    assert library.unchanged(fields("other"), {"en": "a"}) is None


@pytest.mark.parametrize("change", ["film", "title", "subtitles"])
def test_changed_video_replaces_the_old_one(store: Store, change: str) -> None:
    library = Library(store)
    put(library, subtitles={"en": "a"})
    old = library.get("film").number
    seed = 2 if change == "film" else 1
    new = fields(fingerprint=f"f{seed}", title="New" if change == "title" else "")
    subtitles = {"de": "b"} if change == "subtitles" else {"en": "a"}
    assert library.add(new, track(seed), 25.0, 300, subtitles) == "replaced"
    assert holds(library, "film", seed)
    assert library.resolve([old]) == {}
    assert library.posting_count() == 50
    assert len(library.lut.lookup(track(1).codes).probe) == (0 if seed == 2 else 50)
    assert not store.client.exists(keys.track(old, 0), keys.subtitles(old))
    assert library.recover() == 0


def test_removed_video_leaves_nothing(store: Store) -> None:
    library = Library(store)
    motion = Motion(np.eye(5, BLOCKS, dtype=np.int8))
    library.add(fields("one"), track(1), 25.0, 300, {"en": "a"}, motion)
    library.add(fields("two"), track(1), 25.0, 300, {})  # the same codes: every bucket is shared
    library.remove("one")
    assert holds(library, "two", 1)
    assert library.find("one") is None
    assert library.posting_count() == 50
    library.remove("two")
    assert left_behind(store) == set()
    assert library.posting_count() == 0
    assert library.recover() == 0


def test_video_without_frames_can_be_added_and_removed(store: Store) -> None:
    library = Library(store)
    library.add(fields(), Track.empty(), 0.0, 0, {})
    assert library.get("film").runs == 0
    library.remove("film")
    assert left_behind(store) == set()


def test_unknown_ids_are_told_with_near_ones(store: Store) -> None:
    library = Library(store)
    with pytest.raises(CatalogueError, match="no video 'film' in the catalogue; vnome list shows what there is"):
        library.get("film")
    put(library, "sintel-2010")
    for call in (library.get, library.remove):
        with pytest.raises(CatalogueError, match=r"no video 'sintel' .*; did you mean sintel-2010\?"):
            call("sintel")
    assert holds(library, "sintel-2010", 1)


def test_subtitles_by_language(store: Store) -> None:
    library = Library(store)
    put(library, subtitles={"en": "1\n00:00 Hello", "de": "Grüße"})
    assert library.subtitles("film", "de") == "Grüße"
    assert library.get("film").subtitles == ("de", "en")
    with pytest.raises(CatalogueError, match="video 'film' has no subtitles in 'fr'; there are: de, en"):
        library.subtitles("film", "fr")
    put(library, "plain", 2)
    with pytest.raises(CatalogueError, match="there are: none"):
        library.subtitles("plain", "en")


def test_other_encoder_is_refused_until_the_catalogue_is_empty(store: Store) -> None:
    library = Library(store)
    library.check_encoder("any will do")
    put(library)
    library.check_encoder(ENCODER)
    other = fields("other", encoder="d" * 64)
    message = "coded with encoder eeeeeeeeeeee, not dddddddddddd; set VNOME_ENCODER"
    with pytest.raises(CatalogueError, match=message):
        library.check_encoder(other.encoder)
    with pytest.raises(CatalogueError, match=message):
        library.add(other, track(2), 25.0, 300, {})
    assert [record.id for record in library.videos()] == ["film"]
    library.remove("film")
    assert library.add(other, track(2), 25.0, 300, {}) == "added"
    library.check_encoder(other.encoder)


def test_other_schema_is_refused(store: Store) -> None:
    store.client.set(keys.SCHEMA, '{"schema": 3, "encoder": null}')
    with pytest.raises(CatalogueError, match="the catalogue has schema 3, this version reads 2; use the VNOME"):
        Library(store)


def test_invisible_numbers_are_not_resolved(store: Store) -> None:
    library = Library(store)
    put(library)
    number = library.get("film").number
    assert library.resolve([]) == {}
    assert list(library.resolve([number, number, 99, 0])) == [number]
    store.client.hset(keys.NUMBERS, "99", "film")  # a number whose record says otherwise
    store.client.hset(keys.NUMBERS, "98", "gone")
    assert list(library.resolve([98, 99, number])) == [number]


def test_store_that_fails_leaves_nothing_visible(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(store)
    put(library)

    def refuse(*_: object) -> None:
        raise StoreError("refused")

    monkeypatch.setattr(library.lut, "add", refuse)
    for video in ("film", "other"):
        with pytest.raises(StoreError, match="refused"):
            put(library, video, 2)
    assert [record.id for record in library.videos()] == ["film"]
    assert holds(library, "film", 1)
    again = Library(store)
    assert again.recover() == 2  # their tracks were complete: they are finished, the disk permitting
    assert [record.id for record in again.videos()] == ["film", "other"]
    assert again.recover() == 0


CHILD = """
import sys, time
from pathlib import Path
from pipeline.library import Library
from pipeline.store import open_store
from tests.pipeline.test_library import fields, track
url, seed, start = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
with open_store(url) as store:
    library = Library(store)
    time.sleep(max(start - time.time(), 0))
    print(library.add(fields(fingerprint=f"f{seed}"), track(seed, 2000), 1000.0, 2000, {"en": str(seed)}))
"""


@pytest.mark.parametrize("seeds", [(1, 1), (1, 2)])
def test_two_processes_add_one_id_at_once(store: Store, redis_url: str, seeds: tuple[int, int]) -> None:
    start = str(time.time() + 1.5)
    command = [sys.executable, "-c", CHILD, redis_url]
    root = Path(__file__).parents[2]
    children = [
        subprocess.Popen([*command, str(seed), start], stdout=subprocess.PIPE, text=True, cwd=root) for seed in seeds
    ]
    outcomes = sorted(child.communicate(timeout=30)[0].strip() for child in children)
    assert outcomes == (["added", "unchanged"] if seeds[0] == seeds[1] else ["added", "replaced"])
    library = Library(store)
    (record,) = library.videos()
    winner = track(int(record.fingerprint[1:]), 2000)
    assert library.posting_count() == 2000
    assert {video for video, _ in found(library, winner.codes)} == {"film"}
    assert library.recover() == 0
    assert sum(len(contents.mixed) for contents in library.lut.scan()) == 2000
    blocks = {keys.track(record.number, block).encode() for block in range(17)}
    assert set(store.client.scan_iter("vnome:track:*")) == blocks
    assert list(store.client.scan_iter("vnome:subtitles:*")) == [keys.subtitles(record.number).encode()]
    library.remove("film")
    assert left_behind(store) == set()


def test_full_disk_hides_the_failed_film_and_keeps_the_others(home: Path) -> None:
    """The server may write no file beyond a size: each further write really fails (EFBIG)."""
    with open_store("embedded") as store:
        library = Library(store)
        put(library, "kept", 1)
        server = int((home / "redis" / SERVER_LOCK).read_text())
        (log,) = (home / "redis" / "appendonlydir").glob("*.incr.aof")
        unlimited = resource.prlimit(
            server, resource.RLIMIT_FSIZE, (log.stat().st_size + 20_000, resource.RLIM_INFINITY)
        )
        big = track(2, 50_000)
        with pytest.raises(StoreError) as caught:
            library.add(fields("failed", "f2"), big, 25_000.0, 50_000, {})
        assert "no room on the disk; free some space and try again" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert [record.id for record in library.videos()] == ["kept"]
        assert holds(library, "kept", 1)
        assert found(library, big.codes[:1000]) == set()
        resource.prlimit(server, resource.RLIMIT_FSIZE, unlimited)
        deadline = time.monotonic() + 10
        while store.client.info("persistence")["aof_last_write_status"] != "ok":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(server, 9)
    with open_store("embedded") as store:
        library = Library(store)
        assert holds(library, "kept", 1)
        for lease in store.client.keys(f"{keys.CATALOGUE}lease:*"):
            store.client.delete(
                lease
            )  # could not be given up on the full disk; it would run out, as this process lives
        assert library.recover() == 1
        assert not store.client.hlen(keys.PENDING)
        assert holds(library, "kept", 1)
        library.add(fields("failed", "f2"), big, 25_000.0, 50_000, {})
        for video in library.videos():
            library.remove(video.id)
        assert left_behind(store) == set()
