"""From a film to what the catalogue holds of it: its codes over time."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.codes import FrameCodes
from pipeline.encoder import BATCH_FRAMES, Corners, FrameEncoder, batches_of_one_size, whole_picture
from pipeline.errors import MediaError
from pipeline.frames import Frame
from pipeline.labels import EVERY_SECONDS, Labeller, Stretch
from pipeline.letterbox import ActiveArea
from pipeline.media import probe, read_frames, read_key_frames
from pipeline.motion import Motion, block_lights
from pipeline.prefetch import read_ahead
from pipeline.recogniser import Recogniser
from pipeline.tracks import Track

INDEX_FPS = 12.5  # every other frame of a 25 fps film: dense enough that a query's phase does not matter
BAR_SAMPLES = 16  # moments of the film at which black bars are looked for
SHORT_SECONDS = 20.0  # a film as short as this may have a single key frame; its pictures fit in 45 MB
INDEX_MAX_SIDE = 320  # pixels, five times the network's side: against 640 it changes one bit in 400
READ_AHEAD_FRAMES = 24  # decoded while others are coded: 4 MB


@dataclass(frozen=True)
class CodedFilm:
    """What indexing keeps of a film. duration_seconds: of the frames read. frames: how many were coded.

    motion: where the codes stand still, None for a film without such stretches.
    """

    track: Track
    motion: Motion | None
    duration_seconds: float
    frames: int


def code_film(
    path: Path, encoder: FrameEncoder, report: Callable[[float], None], labeller: Labeller | None = None
) -> CodedFilm:
    """Codes a film, its black bars set aside.

    report: called with the film's second reached. labeller: is shown the frames, too.
    Raises MediaError when the film cannot be read.
    """
    frames, inside = open_film(path)
    parts: list[FrameCodes] = []
    lights: list[npt.NDArray[np.float32]] = []
    for batch in batches_of_one_size(frames, BATCH_FRAMES):
        corners = [inside if inside is not None else whole_picture(frame.image) for frame in batch]
        parts.append(encoder.encode_views(batch, [corners])[0])
        lights += [block_lights(frame.image, where) for frame, where in zip(batch, corners, strict=True)]
        if labeller is not None:
            labeller.add(batch, corners)
        report(batch[-1].pts_seconds)
    coded = FrameCodes.concatenate(parts)
    if len(coded) == 0:
        raise MediaError(f"{path}: no picture in it could be decoded; check the file with a player")
    return film_of_codes(replace(coded, lights=np.stack(lights)))


def label_film(path: Path, recogniser: Recogniser, report: Callable[[float], None]) -> list[Stretch]:
    """What a film shows, when it need not be coded. Raises MediaError when the film cannot be read."""
    labeller, end = Labeller(recogniser), 0.0
    for frame in read_frames(path, max_fps=1 / EVERY_SECONDS, max_side=INDEX_MAX_SIDE):
        labeller.add([frame], [whole_picture(frame.image)])
        end = frame.pts_seconds
        report(end)
    return labeller.stretches(max(end, probe(path).duration_seconds or 0.0))


def film_of_codes(coded: FrameCodes) -> CodedFilm:
    """A film of the codes of its frames, at least one; without lights it has no motion."""
    last_frame = float(np.median(np.diff(coded.pts_seconds))) if len(coded) > 1 else 1 / INDEX_FPS
    end = float(coded.pts_seconds[-1]) + last_frame
    track = Track.from_codes(coded.pts_seconds, coded.codes, end, coded.margins)
    if coded.lights is None:
        return CodedFilm(track, None, end, len(coded))
    motion = Motion.of_film(coded.pts_seconds, coded.lights).where_still(track.start_ms / 1000)
    return CodedFilm(track, motion, end, len(coded))


def open_film(path: Path) -> tuple[Iterator[Frame], Corners | None]:
    """The frames to code, and where the picture lies between black bars; None without bars.

    The bars are looked for on key frames spread over the film, which cost little; in a short film, or one that does
    not declare its length, on its first `SHORT_SECONDS`, which are held for coding.
    """
    frames = read_frames(path, max_fps=INDEX_FPS, max_side=INDEX_MAX_SIDE)
    if (probe(path).duration_seconds or 0.0) > SHORT_SECONDS:
        samples = read_key_frames(path, BAR_SAMPLES, max_side=INDEX_MAX_SIDE)
        return read_ahead(frames, READ_AHEAD_FRAMES), _area(samples)
    held = list(islice(frames, round(SHORT_SECONDS * INDEX_FPS)))
    return chain(held, frames), _area(held[:: len(held) // BAR_SAMPLES + 1])


def _area(samples: Iterable[Frame]) -> Corners | None:
    area = ActiveArea()
    for frame in samples:
        area.add(frame.image)
    return area.corners()


def fingerprint(path: Path) -> str:
    """SHA-256 of the file, hexadecimal. Raises MediaError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MediaError(f"{path}: {error.strerror or error}; check the path and its permissions") from None
