"""The catalogue in one portable file, and back: a zip with a manifest, and of each video its track, motion, subtitles.

The look-up table is not in it: it follows from the tracks, in whatever layout the VNOME that restores uses.
"""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import CatalogueError, InputError
from pipeline.library import Library, Outcome
from pipeline.motion import Motion
from pipeline.tracks import Track
from pipeline.videos import VideoFields, VideoRecord

FORMAT = 1
MANIFEST = "manifest.json"
FIELDS = tuple(field.name for field in fields(VideoFields))


@dataclass(frozen=True)
class Restored:
    """What became of one video."""

    video: str
    outcome: Outcome


def write_backup(library: Library, path: Path, report: Callable[[int, int], None]) -> int:
    """Writes all videos; a file of that name is replaced when the new one is complete. Returns how many videos.

    report: called with videos done and videos in all. Raises InputError when the file cannot be written, StoreError.
    """
    part = path.with_name(f"{path.name}.part")
    videos = [record for record in library.videos() if not record.is_live]  # a channel comes by itself
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            kept = [
                record for k, record in enumerate(videos) if _write_video(archive, library, record, k, report, videos)
            ]
            manifest = {
                "format": FORMAT,
                "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "videos": [_entry(record) for record in kept],
            }
            archive.writestr(MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1))
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
    return len(kept)


def _write_video(
    archive: zipfile.ZipFile,
    library: Library,
    record: VideoRecord,
    done: int,
    report: Callable[[int, int], None],
    videos: list[VideoRecord],
) -> bool:
    """False for a video that was removed meanwhile."""
    track, motion = library.whole_track(record.number)
    if len(track) != record.runs:
        if library.find(record.id) == record:
            raise CatalogueError(f"video {record.id!r} is damaged; vnome check says how")
        return False
    packed = io.BytesIO()
    np.savez(packed, start_ms=track.start_ms, codes=track.codes, levels=track.levels, end_ms=np.int64(track.end_ms))
    archive.writestr(f"{record.number}/track.npz", packed.getvalue())
    if motion is not None:
        archive.writestr(f"{record.number}/motion.bin", motion.pack())
    for language in record.subtitles:
        archive.writestr(f"{record.number}/subtitles/{language}", library.subtitles(record.id, language))
    report(done + 1, len(videos))
    return True


def _entry(record: VideoRecord) -> dict[str, Any]:
    return {
        **{name: getattr(record, name) for name in FIELDS},
        "number": record.number,
        "duration_seconds": record.duration_seconds,
        "frames": record.frames,
        "subtitles": list(record.subtitles),
    }


def restore_backup(library: Library, path: Path, report: Callable[[int, int], None]) -> list[Restored]:
    """Adds the videos of a file; those that are there unchanged are left alone, changed ones are replaced, others stay.

    Raises InputError when the file is no backup or damaged (then nothing of the video in question is changed),
    CatalogueError when the catalogue was coded with another encoder, StoreError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _manifest(archive, path)
            restored = []
            for k, entry in enumerate(entries):
                restored.append(_restore_video(library, archive, entry))
                report(k + 1, len(entries))
            return restored
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError) as error:
        raise InputError(f"{path} is no backup, or damaged ({error}); give a file of vnome backup") from None


def _manifest(archive: zipfile.ZipFile, path: Path) -> list[dict[str, Any]]:
    manifest = json.loads(archive.read(MANIFEST))
    if manifest["format"] != FORMAT:
        raise InputError(f"{path} has format {manifest['format']!r}, this version reads {FORMAT}; use the VNOME of it")
    return list(manifest["videos"])


def _restore_video(library: Library, archive: zipfile.ZipFile, entry: dict[str, Any]) -> Restored:
    number = int(entry["number"])
    with np.load(io.BytesIO(archive.read(f"{number}/track.npz")), allow_pickle=False) as packed:
        track = Track(packed["start_ms"], packed["codes"], int(packed["end_ms"]), packed["levels"])
    names = set(archive.namelist())
    motion = Motion.unpack(archive.read(f"{number}/motion.bin")) if f"{number}/motion.bin" in names else None
    texts = {language: archive.read(f"{number}/subtitles/{language}").decode() for language in entry["subtitles"]}
    video = VideoFields(**{name: entry[name] for name in FIELDS})
    outcome = library.add(video, track, float(entry["duration_seconds"]), int(entry["frames"]), texts, motion)
    return Restored(video.id, outcome)
