"""The catalogue in one portable file, and back: a zip with a manifest, and of each video what is stored of it.

The look-up table is not in it: it follows from the tracks, in whatever layout the VNOME that restores uses.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import schema1
from pipeline.details import Details
from pipeline.errors import CatalogueError, InputError
from pipeline.kept import Kept
from pipeline.labels import LabelStore, Stretch
from pipeline.library import Library, Outcome
from pipeline.motion import Motion
from pipeline.tracks import Track
from pipeline.videos import VideoFields, VideoRecord

FORMAT, OLD_FORMAT = 2, 1  # the old one holds tracks and motion as they were in schema 1
MANIFEST = "manifest.json"
POSTER, LABELS = "poster.jpg", "labels.json"
FIELDS = tuple(part.name for part in fields(VideoFields))


@dataclass(frozen=True)
class Restored:
    """What became of one video."""

    video: str
    outcome: Outcome


def write_backup(library: Library, path: Path, report: Callable[[int, int], None]) -> int:
    """Writes all videos; a file of that name is replaced when the new one is complete. Returns how many videos.

    A channel is left out: it comes by itself. report: called with videos done and videos in all. Raises InputError
    when the file cannot be written, StoreError.
    """
    videos = [record for record in library.videos() if not record.is_live]
    return write_videos(filter(None, (_kept(library, record) for record in videos)), len(videos), path, report)


def write_videos(videos: Iterable[Kept], count: int, path: Path, report: Callable[[int, int], None]) -> int:
    """Writes videos, as `write_backup`. count: about how many there are."""
    part = path.with_name(f"{path.name}.part")
    entries: list[dict[str, Any]] = []
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for number, video in enumerate(videos, 1):
                entries.append(_write_video(archive, number, video))
                report(number, max(count, number))
            created = datetime.now(UTC).isoformat(timespec="seconds")
            manifest = {"format": FORMAT, "created_at": created, "videos": entries}
            archive.writestr(MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1))
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
    return len(entries)


def _kept(library: Library, record: VideoRecord) -> Kept | None:
    """None for a video that was removed meanwhile."""
    track, motion = library.whole_track(record.number)
    if len(track) != record.runs:
        if library.find(record.id) == record:
            raise CatalogueError(f"video {record.id!r} is damaged; vnome check says how")
        return None
    texts = {language: library.subtitles(record.id, language) for language in record.subtitles}
    fields = VideoFields(*(getattr(record, name) for name in FIELDS))
    poster = Details(library).poster(record.id)
    labels = tuple(LabelStore(library.store).of(record.number))
    return Kept(fields, record.duration_seconds, record.frames, track, motion, texts, poster, labels)


def _write_video(archive: zipfile.ZipFile, number: int, video: Kept) -> dict[str, Any]:
    """Writes a video under a number and returns its entry in the manifest."""
    packed, track = io.BytesIO(), video.track
    np.savez(packed, start_ms=track.start_ms, codes=track.codes, levels=track.levels, end_ms=np.int64(track.end_ms))
    archive.writestr(f"{number}/track.npz", packed.getvalue())
    if video.motion is not None:
        archive.writestr(f"{number}/motion.bin", video.motion.pack())
    if video.poster is not None:
        archive.writestr(f"{number}/{POSTER}", video.poster)
    if video.labels:
        archive.writestr(f"{number}/{LABELS}", json.dumps([astuple(one) for one in video.labels], ensure_ascii=False))
    for language, text in video.texts.items():
        archive.writestr(f"{number}/subtitles/{language}", text)
    about = {"number": number, "duration_seconds": video.duration_seconds, "frames": video.frames}
    return {**asdict(video.fields), **about, "subtitles": sorted(video.texts)}


def restore_backup(library: Library, path: Path, report: Callable[[int, int], None]) -> list[Restored]:
    """Adds the videos of a file; those that are there unchanged are left alone, changed ones are replaced, others stay.

    Raises InputError when the file is no backup or damaged (then nothing of the video in question is changed),
    CatalogueError when the catalogue was coded with another encoder, StoreError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            kind, entries = _manifest(archive, path)
            restored = []
            for k, entry in enumerate(entries):
                restored.append(_restore_video(library, archive, entry, kind))
                report(k + 1, len(entries))
            return restored
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError) as error:
        raise InputError(f"{path} is no backup, or damaged ({error}); give a file of vnome backup") from None


def _manifest(archive: zipfile.ZipFile, path: Path) -> tuple[int, list[dict[str, Any]]]:
    """The file's format and entries."""
    manifest = json.loads(archive.read(MANIFEST))
    if manifest["format"] not in (FORMAT, OLD_FORMAT):
        raise InputError(f"{path} has format {manifest['format']!r}, this version reads {FORMAT}; use the VNOME of it")
    return manifest["format"], list(manifest["videos"])


def _restore_video(library: Library, archive: zipfile.ZipFile, entry: dict[str, Any], kind: int) -> Restored:
    number = int(entry["number"])
    with np.load(io.BytesIO(archive.read(f"{number}/track.npz")), allow_pickle=False) as packed:
        parts = packed["start_ms"], packed["codes"], packed["levels"], int(packed["end_ms"])
    has_motion = f"{number}/motion.bin" in set(archive.namelist())
    motion = Motion.unpack(archive.read(f"{number}/motion.bin")) if has_motion else None
    if kind == OLD_FORMAT:
        track, motion = schema1.track_of(*parts), schema1.motion_of(motion.signs) if motion else None
    else:
        track = Track(parts[0], parts[1], parts[3], parts[2])
    texts = {language: archive.read(f"{number}/subtitles/{language}").decode() for language in entry["subtitles"]}
    video = VideoFields(**{name: entry[name] for name in FIELDS})
    outcome = library.add(video, track, float(entry["duration_seconds"]), int(entry["frames"]), texts, motion)
    if f"{number}/{LABELS}" in set(archive.namelist()):
        stretches = [Stretch(*parts) for parts in json.loads(archive.read(f"{number}/{LABELS}"))]
        LabelStore(library.store).put(library.get(video.id).number, stretches)
    if f"{number}/{POSTER}" in set(archive.namelist()):
        Details(library).set_poster(video.id, archive.read(f"{number}/{POSTER}"))
    return Restored(video.id, outcome)
