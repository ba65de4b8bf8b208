"""A catalogue as the version before stored it, carried over; its backup files, too."""

import io
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from pipeline import keys, schema1
from pipeline.backup import restore_backup
from pipeline.care import Care
from pipeline.errors import CatalogueError, InputError, StoreError
from pipeline.library import Library
from pipeline.migration import migrate
from pipeline.motion import BLOCKS
from pipeline.reference import CatalogueReference
from pipeline.soft import pack_soft
from pipeline.store import Store
from tests.commands import Vnome
from tests.memory_reference import film_codes, plain_matcher, query_codes

pytestmark = pytest.mark.redis

FILMS = {"one": film_codes(1, 130), "two": film_codes(2, 40)}
TEXT = "WEBVTT\n\n00:00.000 --> 00:01.000\nperché\n"
STEPS = np.random.default_rng(3).integers(-3, 4, (500, BLOCKS)).astype(np.int8)


def write_old(store: Store) -> None:
    """What VNOME wrote with schema 1, key by key."""
    store.client.set(keys.SCHEMA, json.dumps({"schema": 1, "encoder": "e"}))
    store.client.set(keys.POSTINGS, sum(map(len, FILMS.values())))
    for number, (name, track) in enumerate(FILMS.items(), 1):
        blocks = {"end": str(track.end_ms).encode()}
        for block in range((track.end_ms - 1) // 60_000 + 1):
            part = track.slice(block * 60_000, (block + 1) * 60_000)
            steps = np.diff(part.start_ms, prepend=np.uint32(0)).astype("<u4")
            blocks[str(block)] = zlib.compress(steps.tobytes() + pack_soft(part.codes, part.levels), 6)
        store.client.hset(f"vnome:track:{number}", mapping=blocks)  # type: ignore[arg-type]
        store.client.set(f"vnome:motion:{number}", zlib.compress(STEPS.tobytes(), 9))
        store.client.hset(f"vnome:subtitles:{number}", "it", TEXT)
        store.client.append("vnome:lut:00ff", b"0123456789")
        record = {
            "id": name, "title": name.title(), "source_name": f"{name}.mp4", "fingerprint": name, "encoder": "e",
            "number": number, "duration_seconds": track.end_ms / 1000, "frames": 1500, "runs": len(track),
            "subtitles": ["it"], "subtitles_digest": "d", "added_at": "2026-11-24T12:00:00+00:00",
        }  # fmt: skip
        store.client.hset(keys.VIDEOS, name, json.dumps(record))
        store.client.hset(keys.NUMBERS, str(number), name)


def is_carried_over(store: Store) -> bool:
    """Every film is found where it was, with its subtitles."""
    library = Library(store)
    matcher = plain_matcher(CatalogueReference(library))
    for name, track in FILMS.items():
        found = matcher.match([query_codes(track, 20.0, 5.0)])
        if found is None or found.number != library.get(name).number or abs(found.at_seconds - 20) > 0.3:
            return False
        assert library.subtitles(name, "it") == TEXT
        assert library.get(name).source_name == f"{name}.mp4"
        motion = library.whole_track(found.number)[1]
        assert motion is not None
        assert set(np.unique(motion.signs)) == {-1, 0, 1}
    return Care(store).check() == []


def test_an_old_catalogue_is_refused_and_carried_over(store: Store, tmp_path: Path) -> None:
    write_old(store)
    with pytest.raises(CatalogueError, match="the catalogue has schema 1, this version reads 2; vnome migrate FILE"):
        Library(store)
    steps: list[tuple[int, int]] = []
    assert migrate(store, tmp_path / "old.zip", lambda done, total: steps.append((done, total))) == 2
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert is_carried_over(store)
    with pytest.raises(InputError, match="nothing to migrate"):
        migrate(store, tmp_path / "again.zip", lambda *_: None)


@pytest.mark.parametrize("moment", ["writing", "clearing", "restoring"])
def test_an_interruption_loses_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    write_old(store)
    path = tmp_path / "old.zip"

    class Killed(Exception):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "writing":
            patch.setattr("pipeline.migration.write_videos", kill)
        elif moment == "clearing":
            patch.setattr(store.client, "scan_iter", kill)
        else:
            patch.setattr("pipeline.migration.restore_backup", kill)
        with pytest.raises(Killed):
            migrate(store, path, lambda *_: None)
    if moment == "restoring":
        assert restore_backup(Library(store), path, lambda *_: None)
    else:
        migrate(store, path, lambda *_: None)
    assert is_carried_over(store)


def test_a_file_in_the_way_is_not_overwritten(store: Store, tmp_path: Path) -> None:
    write_old(store)
    (tmp_path / "here").write_text("mine")
    with pytest.raises(InputError, match="is there already; give the name of a new file"):
        migrate(store, tmp_path / "here", lambda *_: None)
    assert (tmp_path / "here").read_text() == "mine"


def test_a_damaged_film_is_named(store: Store, tmp_path: Path) -> None:
    write_old(store)
    store.client.hset("vnome:track:2", "0", b"nonsense")
    with pytest.raises(StoreError, match="video 'two' of the old catalogue is damaged"):
        migrate(store, tmp_path / "old.zip", lambda *_: None)
    assert not (tmp_path / "old.zip").exists()


def test_a_backup_of_the_version_before_is_restored(store: Store, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:
        entries = []
        for number, (name, track) in enumerate(FILMS.items(), 7):
            packed = io.BytesIO()
            np.savez(packed, start_ms=track.start_ms + 3, codes=track.codes, levels=track.levels, end_ms=track.end_ms)
            archive.writestr(f"{number}/track.npz", packed.getvalue())
            archive.writestr(f"{number}/motion.bin", zlib.compress(STEPS.tobytes()))
            archive.writestr(f"{number}/subtitles/it", TEXT)
            entries.append(
                {"id": name, "title": name, "source_name": f"{name}.mp4", "fingerprint": name, "encoder": "e",
                 "number": number, "duration_seconds": 40.0, "frames": 400, "subtitles": ["it"]}
            )  # fmt: skip
        archive.writestr("manifest.json", json.dumps({"format": 1, "videos": entries}))
    restore_backup(Library(store), tmp_path / "old.zip", lambda *_: None)
    assert is_carried_over(store)


def test_runs_of_one_look_join(rng: np.random.Generator) -> None:
    """A code that wavers in one uncertain bit was a run for each change; now it is one until a second is over."""
    codes = np.where(np.arange(20) % 2, 0xFF, 0xFE).astype(np.uint32)
    levels = np.full((20, 32), 5, np.uint8)
    levels[:, 0] = 0
    track = schema1.track_of(np.arange(20, dtype=np.uint32) * 80, codes, levels, 1600)
    assert track.start_ms.tolist() == [0, 1040]
    assert track.end_ms == 1600


def test_the_command(
    store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    write_old(store)
    vnome = Vnome(capsys)
    assert vnome("list").code == 2
    assert vnome("migrate", str(tmp_path / "f"), "--json").document == {"videos": 2, "backup": str(tmp_path / "f")}
    assert vnome("migrate", str(tmp_path / "g")).code == 2
