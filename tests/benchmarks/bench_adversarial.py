"""`make bench-adversarial`: how small a change flips codes and labels, and what it does to identifying five seconds.

make bench-adversarial ARGS="--films FOLDER": films that are indexed, clips of which are attacked by someone who knows
the network (see `export.adversarial`), beside noise of the same size. Without --films: the sample films.
With --recogniser RUN, the run that the shipped recogniser was made of, its labels are attacked instead.
"""

import argparse
import json
import os
import platform
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from edge.demo import sample_films
from export.adversarial import Attack, change_codes, change_labels
from export.classifier_training import load_classifier
from export.data import films_in
from export.encoder_bundle import network_of
from export.identifiers import HashIdentifier, SeenClip
from export.networks.sparse_hash import SparseHashNetwork
from export.recogniser_graph import HEIGHT, WIDTH, LabelCalibration, RecogniserGraph
from export.report import interval
from export.vocabulary import vocabulary
from pipeline.detector import Sighting
from pipeline.encoder import default_encoder, whole_picture
from pipeline.evidence import EvidenceModel
from pipeline.frames import Frame
from pipeline.library import Library
from pipeline.matching import DecisionRule
from pipeline.media import probe, read_frames
from pipeline.probing import probe_codes
from pipeline.query import QUERY_FPS
from pipeline.recogniser import default_recogniser
from pipeline.store import open_store

SECONDS = 5.0  # of a clip
SIDE = 320  # pixels, the longer side of the frames that are attacked
PROBES = 64
RIGHT_WITHIN = 1.0  # seconds
ATTACKS = (
    ("none", Attack(0, 0)), ("noise 8", Attack(8, 0)), ("FGSM 2", Attack(2, 1)), ("FGSM 8", Attack(8, 1)),
    ("PGD 1", Attack(1, 5)), ("PGD 2", Attack(2, 5)), ("PGD 4", Attack(4, 5)), ("PGD 8", Attack(8, 5)),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, help="folder to index; default: the sample films")
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--recogniser", type=Path, help="run of the shipped recogniser: attack labels")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    films = films_in(options.films) if options.films else sample_films()
    clips = _clips(films, options.clips, options.seed)
    figures = _of_labels(options.recogniser, clips) if options.recogniser else _of_codes(films, clips)
    machine = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    print(json.dumps({"figures": figures, "clips": len(clips), "machine": machine}))


def _clips(films: list[Path], count: int, seed: int) -> list[tuple[Path, list[Frame]]]:
    """Clips of films, the longer a film the more of them."""
    rng = np.random.default_rng(seed)
    lengths = np.array([probe(film).duration_seconds or 0.0 for film in films])
    weights = np.maximum(lengths - SECONDS, 0)
    clips = []
    for _ in range(count):
        film = films[int(rng.choice(len(films), p=weights / weights.sum()))]
        start = float(rng.uniform(0, lengths[films.index(film)] - SECONDS))
        stop = start + SECONDS
        read = read_frames(film, start_seconds=start, end_seconds=stop, max_fps=QUERY_FPS, max_side=SIDE)
        clips.append((film, list(read)))
    return clips


def _of_codes(films: list[Path], clips: list[tuple[Path, list[Frame]]]) -> dict[str, Any]:
    encoder = default_encoder()
    network = network_of(encoder.bundle)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, open_store("embedded", home=Path(folder)) as store:
        rule, evidence = DecisionRule.of_bundle(encoder.bundle), EvidenceModel.of_bundle(encoder.bundle)
        identifier = HashIdentifier("ours", encoder, evidence, rule, Library(store))
        for film in films:
            identifier.index(film)
        print(
            f"{'change, grey levels':<22}{'bits flipped':>14}{'code found':>12}{'right':>8}{'wrong':>8}{'unknown':>9}"
        )
        for name, attack in ATTACKS:
            outcome = [_attacked(identifier, network, film, frames, attack) for film, frames in clips]
            flipped, found, answers = (list(part) for part in zip(*outcome, strict=True))
            right, wrong = answers.count("right"), answers.count("wrong")
            figures[name] = {
                "bits_flipped": float(np.mean(flipped)), "code_found": float(np.mean(found)), "right": right,
                "wrong": wrong, "right_interval": interval(right, len(clips)),
            }  # fmt: skip
            print(
                f"{name:<22}{np.mean(flipped):>14.1f}{np.mean(found):>12.2f}{right:>8}{wrong:>8}"
                f"{len(clips) - right - wrong:>9}",
                flush=True,
            )
    return figures


def _attacked(
    identifier: HashIdentifier, network: SparseHashNetwork, film: Path, frames: list[Frame], attack: Attack
) -> tuple[float, float, str]:
    """Bits flipped a frame, share of frames whose true code is among the probes, and the answer to the clip."""
    images = np.stack([frame.image for frame in frames])
    changed = change_codes(attack, network, images) if attack.grey_levels else images
    corners = np.stack([whole_picture(image) for image in images])
    codes, _ = identifier.encoder.encode_batch(images, corners)
    others, margins = identifier.encoder.encode_batch(changed, corners)
    flipped = float(np.bitwise_count(codes ^ others).mean())
    found = float((probe_codes(others, margins, PROBES) == codes[:, None]).any(axis=1).mean())
    start = frames[0].pts_seconds
    shown = [
        replace(frame, image=image, pts_seconds=frame.pts_seconds - start)
        for frame, image in zip(frames, changed, strict=True)
    ]
    nothing = [Sighting(place, 0.0) for place in corners]
    guess = identifier.identify(SeenClip(shown, nothing, [None] * len(shown)), [SECONDS])[0]
    if not guess.accepted:
        return flipped, found, "unknown"
    near = abs(guess.at_seconds - start) <= RIGHT_WITHIN
    return flipped, found, "right" if guess.film == film.stem and near else "wrong"


def _of_labels(run: Path, clips: list[tuple[Path, list[Frame]]]) -> dict[str, Any]:
    """Share of the labels told of frames that are told no more."""
    recogniser = default_recogniser()
    assert recogniser is not None
    words = vocabulary()
    plain = LabelCalibration(torch.ones(len(words.labels)), torch.zeros(len(words.labels)))
    graph = RecogniserGraph(load_classifier(run), words, plain).eval()
    images = [frame.image for _, frames in clips for frame in frames[::10]]
    frames = np.stack([_sized(image) for image in images])
    corners = [whole_picture(frame) for frame in frames]
    first = recogniser.recognise(list(frames), corners, most=1)
    told = np.array([k for k, labels in enumerate(first) if labels])
    figures: dict[str, Any] = {"frames": len(frames), "told": len(told)}
    if len(told) == 0:
        return figures
    labels = np.array([recogniser.labels.index(first[k][0][0]) for k in told])
    print(f"{'change, grey levels':<22}{'labels told no more':>22}")
    for name, attack in ATTACKS[1:]:
        changed = change_labels(attack, graph.logits, frames[told], labels)
        again = recogniser.recognise(list(changed), [corners[k] for k in told])
        lost = np.mean([recogniser.labels[label] not in dict(now) for label, now in zip(labels, again, strict=True)])
        figures[name] = float(lost)
        print(f"{name:<22}{lost:>22.2f}", flush=True)
    return figures


def _sized(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    main()
