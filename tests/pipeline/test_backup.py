"""The catalogue in a file, and back."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.backup import MANIFEST, restore_backup, write_backup
from pipeline.details import Details
from pipeline.errors import CatalogueError, InputError
from pipeline.labels import LabelStore, Stretch
from pipeline.library import Library
from pipeline.motion import Motion
from pipeline.store import Store
from pipeline.videos import VideoFields
from tests.commands import Vnome
from tests.memory_reference import film_codes

pytestmark = pytest.mark.redis

MOTION = Motion(np.tile(np.arange(-1, 2, dtype=np.int8), 256)[: 6 * 128].reshape(6, 128))
POSTER = b"\xff\xd8 a picture"
TEXTS = {"it": "WEBVTT\n\n00:00.000 --> 00:01.000\nperché\n"}


def fields(name: str) -> VideoFields:
    return VideoFields(name, name.title(), f"{name}.mp4", f"digest of {name}", "encoder")


@pytest.fixture
def library(store: Store) -> Library:
    filled = Library(store)
    filled.add(fields("one"), film_codes(1, 70), 70.0, 800, TEXTS, MOTION)
    filled.add(fields("two"), film_codes(2, 30), 30.0, 300, {})
    Details(filled).set_poster("one", POSTER)
    LabelStore(store).put(filled.get("one").number, [Stretch("dog", 1.0, 4.0, 0.75)])
    return filled


def quiet(done: int, total: int) -> None:
    assert 0 < done <= total


def test_a_catalogue_comes_back_as_it_was(library: Library, store: Store, tmp_path: Path) -> None:
    assert write_backup(library, tmp_path / "b", quiet) == 2
    before = {record.id: record for record in library.videos()}
    found = library.lut.lookup(film_codes(1, 70).codes)
    store.client.flushdb()
    empty = Library(store)
    assert [one.outcome for one in restore_backup(empty, tmp_path / "b", quiet)] == ["added", "added"]
    for record in empty.videos():
        old = before[record.id]
        assert record.same_as(old)
        assert (record.frames, record.runs, record.duration_seconds) == (old.frames, old.runs, old.duration_seconds)
    assert LabelStore(store).find("dog", 9) == [(empty.get("one").number, Stretch("dog", 1.0, 4.0, 0.75))]
    assert (Details(empty).poster("one"), Details(empty).poster("two")) == (POSTER, None)
    track, motion = empty.whole_track(empty.get("one").number)
    assert np.array_equal(track.codes, film_codes(1, 70).codes)
    assert np.array_equal(track.levels, film_codes(1, 70).levels)
    assert motion is not None
    assert np.array_equal(motion.signs, MOTION.signs)
    assert empty.subtitles("one", "it") == TEXTS["it"]
    assert len(empty.lut.lookup(film_codes(1, 70).codes).start_ms) == len(found.start_ms)


def test_restoring_twice_changes_nothing_and_leaves_others_alone(library: Library, tmp_path: Path) -> None:
    write_backup(library, tmp_path / "b", quiet)
    library.add(fields("three"), film_codes(3, 10), 10.0, 100, {})
    library.remove("two")
    assert [one.outcome for one in restore_backup(library, tmp_path / "b", quiet)] == ["unchanged", "added"]
    assert [record.id for record in library.videos()] == ["one", "three", "two"]


def test_another_encoder_is_refused(library: Library, store: Store, tmp_path: Path) -> None:
    write_backup(library, tmp_path / "b", quiet)
    store.client.flushdb()
    other = Library(store)
    other.add(VideoFields("x", "X", "x.mp4", "d", "another"), film_codes(9, 10), 10.0, 100, {})
    with pytest.raises(CatalogueError, match="was coded with encoder"):
        restore_backup(other, tmp_path / "b", quiet)


def test_files_that_are_no_backup(library: Library, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        restore_backup(library, tmp_path / "none", quiet)
    (tmp_path / "text").write_text("hello")
    write_backup(library, tmp_path / "b", quiet)
    cut = (tmp_path / "b").read_bytes()
    (tmp_path / "cut").write_bytes(cut[: len(cut) // 2])
    flipped = bytearray(cut)
    flipped[200] ^= 255
    (tmp_path / "flipped").write_bytes(flipped)
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr(MANIFEST, json.dumps({"format": 1, "videos": [{"id": "x"}]}))
    for name in ("text", "cut", "flipped", "other"):
        with pytest.raises(InputError, match="no backup, or damaged"):
            restore_backup(library, tmp_path / name, quiet)
    with zipfile.ZipFile(tmp_path / "later", "w") as archive:
        archive.writestr(MANIFEST, json.dumps({"format": 3, "videos": []}))
    with pytest.raises(InputError, match="format 3"):
        restore_backup(library, tmp_path / "later", quiet)
    assert [record.id for record in library.videos()] == ["one", "two"]


def test_a_place_that_cannot_be_written(library: Library, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_backup(library, tmp_path / "nofolder" / "b", quiet)
    assert list(tmp_path.iterdir()) == []


def test_the_commands(
    library: Library,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    vnome = Vnome(capsys)
    assert vnome("backup", tmp_path / "b", "--json").document["videos"] == 2
    assert "2 videos" in vnome("backup", tmp_path / "b").out
    library.remove("one")
    assert vnome("restore", tmp_path / "b").out.endswith("1 added, 1 unchanged\n")
    assert vnome("restore", tmp_path / "b", "--json").document["videos"][0] == {"video": "one", "outcome": "unchanged"}
    assert vnome("restore", tmp_path / "none").failed_with(2, "cannot be read")
