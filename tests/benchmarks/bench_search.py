"""`make bench-search`: are the first answers of `vnome search LABEL` right, and what does a picture's label cost?

make bench-search ARGS="--films ../shared/data/films/catalogue": films whose moments `catalogue_moments.tsv` holds, as
they were judged by eye before the recogniser was trained to its end. An answer is right when what it shows in its
middle was judged to be that; moments that were not judged, or perhaps show it, do not count.
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path

import numpy as np

from export.vocabulary import SHOWN, UNKNOWN, vocabulary
from pipeline.bundles import load_bundle, shipped_bundle
from pipeline.encoder import whole_picture
from pipeline.indexing import label_film
from pipeline.labels import Stretch
from pipeline.recogniser import RECOGNISER, Recogniser

MOMENTS = Path(__file__).parent / "catalogue_moments.tsv"
FIRST = 10  # answers that are judged
NOT_JUDGED = "?"
FRAMES = 100  # pictures that are timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--recogniser", type=Path, help="folder of a bundle; default: the shipped one")
    options = parser.parse_args()
    bundle = load_bundle(options.recogniser, RECOGNISER) if options.recogniser else shipped_bundle(RECOGNISER)
    recogniser = Recogniser(bundle, threads=1)
    moments = _moments()
    found = [
        (stretch, name)
        for name in moments
        for stretch in label_film(options.films / f"{name}.mp4", recogniser, lambda _: None)
    ]
    figures = {}
    print(f"{'label':<14}{'answers':>9}{'judged':>8}{'right':>7}{'precision of the first ten':>28}")
    for label in vocabulary().labels:
        answers = sorted((one for one in found if one[0].label == label), key=lambda one: -one[0].score)
        marks = [_mark(stretch, moments[name]) for stretch, name in answers[:FIRST]]
        judged = [mark for mark in marks if mark != UNKNOWN]
        right = sum(mark == SHOWN for mark in judged)
        if answers:
            figures[label] = {"answers": len(answers), "judged": len(judged), "right": right}
            share = f"{right / len(judged):.2f}" if judged else "-"
            print(f"{label:<14}{len(answers):>9}{len(judged):>8}{right:>7}{share:>28}")
    of_labels = [row["right"] / row["judged"] for row in figures.values() if row["judged"]]
    total = {key: sum(row[key] for row in figures.values()) for key in ("judged", "right")}
    milliseconds = _milliseconds(recogniser)
    print(f"mean over labels {np.mean(of_labels):.2f}, over answers {total['right'] / max(total['judged'], 1):.2f}")
    print(f"a picture costs {milliseconds:.1f} ms on one core")
    machine = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    print(json.dumps({"labels": figures, "milliseconds": milliseconds, "machine": machine}))


def _moments() -> dict[str, list[tuple[float, float, np.ndarray]]]:
    """By film: from, to, and what is shown, int8 (L,)."""
    moments: dict[str, list[tuple[float, float, np.ndarray]]] = {}
    for line in MOMENTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        name, start, end, labels = line.split("\t")
        shown = np.full(len(vocabulary().labels), UNKNOWN, np.int8)
        if labels != NOT_JUDGED:
            shown = vocabulary().targets(labels)
        moments.setdefault(name, []).append((float(start), float(end), shown))
    return moments


def _mark(stretch: Stretch, judged: list[tuple[float, float, np.ndarray]]) -> int:
    middle = (stretch.start + stretch.end) / 2
    place = vocabulary().labels.index(stretch.label)
    return next((int(shown[place]) for start, end, shown in judged if start <= middle < end), UNKNOWN)


def _milliseconds(recogniser: Recogniser) -> float:
    """Of one picture of 640x360, alone, in processor time."""
    images = np.random.default_rng(0).integers(0, 256, (FRAMES, 360, 640, 3), dtype=np.uint8)
    started = time.process_time()
    for image in images:
        recogniser.recognise([image], [whole_picture(image)])
    return 1000 * (time.process_time() - started) / FRAMES


if __name__ == "__main__":
    main()
