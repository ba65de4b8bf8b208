"""Phone recordings of films, each with its truth, kept in a folder so that coders are compared on the same clips."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.virtual_phone import CLIP_HEIGHT, CLIP_WIDTH, VirtualPhone, preset, record
from pipeline.errors import InputError
from pipeline.folders import make_folder
from pipeline.media import probe, read_frames

LEVELS = ("easy", "hard", "severe")
FIRST_SEED = 20_000  # rooms of the evaluation; the demo and the tests draw theirs from smaller seeds


@dataclass(frozen=True)
class Recording:
    """A film as a virtual phone filmed it.

    path: of the MP4. film: stem of the film's file. start_seconds: the film's moment at the clip's start.
    level: easy, hard or severe. screens: float32 (F, 4, 2), the film's corners in each frame, in pixels.
    """

    path: Path
    film: str
    start_seconds: float
    level: str
    screens: npt.NDArray[np.float32] = field(repr=False)


def make_recordings(
    films: Sequence[Path], folder: Path, level: str, clips: int, seconds: float, seed: int, report: Callable[[], None]
) -> list[Recording]:
    """Films `clips` clips, or takes those that an earlier call left in the folder.

    The film, the moment, the room and the hand are drawn from the seed; longer films are drawn more often, by the
    root of their length. report: called after each clip. Raises InputError when no film is long enough.
    """
    make_folder(folder)
    lengths = {path: probe(path).duration_seconds or 0.0 for path in films}
    usable = [path for path in films if lengths[path] > seconds + 0.5]
    if not usable:
        raise InputError(f"no film in {films[0].parent} is longer than {seconds} s; give longer films")
    weights = np.array([lengths[path] for path in usable]) ** 0.5
    recordings = []
    for number in range(clips):
        rng = np.random.default_rng((seed, LEVELS.index(level), number))
        film = usable[int(rng.choice(len(usable), p=weights / weights.sum()))]
        start = float(rng.uniform(0, lengths[film] - seconds - 0.4))
        path = folder / f"{level}-{seconds:g}s-{seed}-{number:04d}.mp4"
        kept = path.is_file() and path.with_suffix(".json").is_file()
        if not kept or _load(path).film != film.stem:  # it may be of other films
            _film(film, start, seconds, level, FIRST_SEED + 1000 * seed + number, path)
        recordings.append(_load(path))
        report()
    return recordings


def _film(film: Path, start: float, seconds: float, level: str, seed: int, path: Path) -> None:
    frames = read_frames(film, start_seconds=start, end_seconds=start + seconds + 0.3, max_side=None)
    first = next(frames)
    settings = preset(level, width=CLIP_WIDTH, height=CLIP_HEIGHT)
    phone = VirtualPhone(settings, seed)
    part = path.with_suffix(".part.mp4")
    shots = phone.film((frame for group in ([first], frames) for frame in group),
                       play_from_seconds=first.pts_seconds, seconds=seconds)  # fmt: skip
    truths = record(shots, part, settings)
    fields = {
        "film": film.stem,
        "start_seconds": first.pts_seconds,
        "level": level,
        "screens": [screen.round(2).tolist() for screen, _ in truths],
    }
    truth = path.with_suffix(".json.part")
    truth.write_text(json.dumps(fields), encoding="utf-8")
    path.with_suffix(".json").unlink(missing_ok=True)  # a clip never stands beside the truth of another
    part.replace(path)
    truth.replace(path.with_suffix(".json"))


def _load(path: Path) -> Recording:
    fields = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    screens = np.array(fields["screens"], np.float32)
    return Recording(path, fields["film"], float(fields["start_seconds"]), fields["level"], screens)
