"""The process that decodes for the gateway: requests as JSON lines on stdin, answers on stdout.

{"do": "frame", "path", "at", "width"}        -> {"jpeg": base64}
{"do": "identify", "path"}                     -> the document of `vnome match --json`
{"do": "film", "path", "out", "most_seconds"}  -> {"progress": seconds, "of": seconds or null} ..., then {"frames", ...}
                                                  and in `out` an .npz of track, motion and poster
any                                            -> {"error": one line, "kind": "input", "store" or "service"}
"""

import base64
import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.details import poster_of
from pipeline.detector import default_detector
from pipeline.encoder import default_encoder
from pipeline.errors import InputError, MediaError, ServiceError, StoreError, VnomeError
from pipeline.frames import Frame
from pipeline.indexing import code_film, fingerprint
from pipeline.labels import Labeller
from pipeline.library import Library
from pipeline.match_document import match_document
from pipeline.matching import matcher_of
from pipeline.media import probe, read_frames
from pipeline.query import QUERY_FPS
from pipeline.recogniser import default_recogniser
from pipeline.reference import CatalogueReference
from pipeline.session import identify_clip
from pipeline.store import Store, open_store

MOST_PIXELS = 8192 * 4608  # of a film's picture
MOST_CLIP_SECONDS = 120.0
REPORT_SECONDS = 2.0  # of film between two lines of progress
POSTER_AT = 0.3  # of the film: after its titles, before its end
NICENESS = 10


def main() -> None:
    """Answers until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    os.nice(NICENESS)
    default_encoder(), default_detector(), default_recogniser()
    limit_memory(int(sys.argv[1]))
    work = Work(answers)
    for line in sys.stdin:
        try:
            answer = work.do(json.loads(line))
        except StoreError as error:
            answer = {"error": str(error), "kind": "store"}
        except ServiceError as error:
            answer = {"error": str(error), "kind": "service"}
        except VnomeError as error:
            answer = {"error": str(error), "kind": "input"}
        except MemoryError:
            answer = {"error": "its pictures do not fit in memory; give a smaller file", "kind": "input"}
        print(json.dumps(answer), file=answers, flush=True)


def limit_memory(more_bytes: int) -> None:
    """From now on the process may take so much more address space, and write no core."""
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more_bytes, now + more_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Work:
    """What can be asked. answers: where progress is told."""

    def __init__(self, answers: Any) -> None:
        self._answers = answers
        self._store: Store | None = None

    def do(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request. Raises VnomeError."""
        path = Path(request["path"])
        try:
            check_size(path)
            if request["do"] == "frame":
                return frame_at(path, float(request["at"]), int(request["width"]))
            if request["do"] == "identify":
                return self._identify(path)
            return self._film(path, Path(request["out"]), float(request["most_seconds"]))
        except MediaError as error:
            raise MediaError(_without_path(str(error), path)) from None

    def _identify(self, path: Path) -> dict[str, Any]:
        if self._store is None:
            self._store = open_store()
        library, bundle = Library(self._store), default_encoder().bundle
        library.check_encoder(bundle.sha256)
        matcher = matcher_of(CatalogueReference(library), bundle)
        frames = read_frames(path, max_fps=QUERY_FPS, end_seconds=MOST_CLIP_SECONDS)
        answer = identify_clip(frames, default_encoder(), matcher)
        return match_document(answer, library)

    def _film(self, path: Path, out: Path, most_seconds: float) -> dict[str, Any]:
        declared = probe(path).duration_seconds
        told = -REPORT_SECONDS

        def report(seconds: float) -> None:
            nonlocal told
            if seconds > most_seconds:
                raise InputError(f"it lasts longer than the {most_seconds:.0f} s that are taken; cut it")
            if seconds - told >= REPORT_SECONDS:
                told = seconds
                line = {"progress": round(seconds, 2), "of": declared}
                print(json.dumps(line), file=self._answers, flush=True)

        recogniser = default_recogniser()
        labeller = Labeller(recogniser) if recogniser is not None else None
        coded = code_film(path, default_encoder(), report, labeller)
        track = coded.track
        arrays: dict[str, Any] = {"start_ms": track.start_ms, "codes": track.codes, "levels": track.levels}
        if coded.motion is not None:
            arrays["signs"] = coded.motion.signs
        poster = _first(read_frames(path, start_seconds=coded.duration_seconds * POSTER_AT))
        if poster is not None:
            arrays["poster"] = np.frombuffer(poster_of(poster.image), np.uint8)
        np.savez(out, end_ms=np.int64(track.end_ms), **arrays)
        return {
            "frames": coded.frames,
            "duration_seconds": coded.duration_seconds,
            "fingerprint": fingerprint(path),
            "encoder": default_encoder().bundle.sha256,
            "labels": [astuple(one) for one in labeller.stretches(coded.duration_seconds)] if labeller else [],
        }


def check_size(path: Path) -> None:
    """Raises InputError for a film whose pictures are too large to be one's."""
    about = probe(path)
    if about.width * about.height > MOST_PIXELS:
        raise InputError(f"its pictures have {about.width} x {about.height} pixels; give a smaller file")


def frame_at(path: Path, at_seconds: float, width: int) -> dict[str, Any]:
    """The picture shown at a moment, the last one after the end."""
    duration = probe(path).duration_seconds or 0.0
    at = max(0.0, min(at_seconds, duration - 0.1) if duration else at_seconds)
    frame = _first(read_frames(path, start_seconds=at, max_side=max(width, 16))) or _first(read_frames(path))
    if frame is None:
        raise InputError("nothing in it can be decoded; check it with a player")
    _, packed = cv2.imencode(".jpg", frame.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    return {"jpeg": base64.b64encode(packed.tobytes()).decode()}


def _first(frames: Iterator[Frame]) -> Frame | None:
    with closing(frames) as given:  # type: ignore[type-var]
        return next(given, None)


def _without_path(text: str, path: Path) -> str:
    """The name of a temporary file says nothing to who sent it."""
    return text.replace(str(path), "the file")


if __name__ == "__main__":
    main()
