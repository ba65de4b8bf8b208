"""`make bench-index-film`: how fast a film is indexed and a clip answered, by stage, in one run.

make bench-index-film ARGS="--film FILM"      default: a sample film, scaled to 640x360
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from edge.demo import sample_films
from export.edits import Edit, write_clip
from pipeline.encoder import BATCH_FRAMES, batches_of_one_size, default_encoder, whole_picture
from pipeline.frames import Frame, RgbImage
from pipeline.indexing import INDEX_FPS, INDEX_MAX_SIDE, code_film
from pipeline.media import read_frames

REPEATS = 3
REPEATED = 6  # a minute of film


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--film", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = arguments.film or _scaled_sample(Path(folder) / "sample.mp4")
        known = arguments.film or sample_films()[1]  # nothing in it stands twice
        clip = Path(folder) / "clip.mp4"
        write_clip(read_frames(known, start_seconds=2, end_seconds=7, max_side=None), Edit(_same), clip, 800_000)
        encoder = default_encoder()
        seconds = code_film(film, encoder, lambda _: None).duration_seconds
        frames = list(read_frames(film, max_fps=INDEX_FPS, end_seconds=8, max_side=INDEX_MAX_SIDE))
        rows = {
            "read and scale, alone": seconds / _best(lambda: _count(film)),
            "code, alone": frames[-1].pts_seconds / _best(lambda: _encode(frames)),
            "index, all of it": seconds / _best(lambda: code_film(film, encoder, lambda _: None)),
        }
        answer = _answer_seconds(known, clip, Path(folder))
    for name, times in rows.items():
        print(f"{name:<28}{times:8.1f} times real time")
    print(f"{'vnome match, start to end':<28}{answer:8.2f} s for a 5-second clip")
    machine = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    figures = {name: round(times, 2) for name, times in rows.items()}
    print(
        json.dumps(
            {"film": film.name, "times_real_time": figures, "match_seconds": round(answer, 2), "machine": machine}
        )
    )


def _same(image: RgbImage) -> RgbImage:
    return image


def _scaled_sample(path: Path) -> Path:
    def scaled(image: RgbImage) -> RgbImage:
        return np.asarray(cv2.resize(image, (640, 360)), np.uint8)

    write_clip(_repeated(sample_films()[1]), Edit(scaled), path, 1_000_000)
    return path


def _repeated(film: Path) -> Iterator[Frame]:
    """The film `REPEATED` times over: a longer one is read and coded side by side."""
    last = 0.0
    for _ in range(REPEATED):
        start = last + 0.04
        for frame in read_frames(film, max_side=None):
            last = start + frame.pts_seconds
            yield Frame(frame.image, last)


def _best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of `REPEATS` runs: the machine is shared."""
    spent = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return min(spent)


def _count(film: Path) -> int:
    return sum(1 for _ in read_frames(film, max_fps=INDEX_FPS, max_side=INDEX_MAX_SIDE))


def _encode(frames: list[Frame]) -> None:
    encoder = default_encoder()
    for batch in batches_of_one_size(frames, BATCH_FRAMES):
        encoder.encode_views(batch, [[whole_picture(frame.image) for frame in batch]])


def _answer_seconds(film: Path, clip: Path, home: Path) -> float:
    """Wall time of the whole command, start-up included, against a catalogue with this film."""
    environment = {**os.environ, "VNOME_HOME": str(home), "VNOME_EMBEDDED_IDLE_SECONDS": "5"}
    vnome = [sys.executable, "-c", "from pipeline.cli import main; main()"]
    subprocess.run([*vnome, "index", str(film)], env=environment, check=True, stdout=subprocess.DEVNULL)

    def match() -> None:
        subprocess.run([*vnome, "match", str(clip)], env=environment, check=True, stdout=subprocess.DEVNULL)

    return _best(match)


if __name__ == "__main__":
    main()
