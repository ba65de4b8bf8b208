"""`make bench-retrieval`: 32 bits of the same features: submasks, Sparse-Hash, ITQ, LSH.

make bench-retrieval ARGS="--run RUN --data FOLDER": RUN of `vnome train --task mnist` or `cifar10`. The database is the
training set, the queries are the first pictures of the test set in a drawn order; right is a picture of the same class.
With --films FOLDER in place of a run: moments of films that training never saw, clean and through the simulated camera;
how often probing finds the code of the clean moment.
Srivastava et al., "Understanding locally competitive networks", ICLR 2015, section 5, has the idea and other networks.
"""

import argparse
import json
import os
import platform
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.baselines import HeadProjection, Projection, camera_pairs, itq, itq_axes, lsh, submask, whole_pictures
from export.calibration import PairCodes, code_quality
from export.classifier_tasks import CIFAR10, MNIST
from export.classifier_training import load_classifier
from export.commands import HELD_OUT_SHARE
from export.data import films_in, held_out, load_moments
from export.encoder_bundle import network_of
from export.submasks import (
    Codes,
    Features,
    HashHead,
    HeadTrainer,
    HeadTrainingConfig,
    SubmaskHead,
    features_of,
    retrieval,
)
from export.training import load_checkpoint
from pipeline.bundles import shipped_bundle
from pipeline.codes import CODE_BITS, pack_bits

QUERIES = 1000
SEEN_FILMS, FITTED_MOMENTS = 40, 2048  # films, and moments of them, that ITQ and the submask are fitted on
STRENGTH = 1.0  # of the simulated camera
FITTED = 10_000  # pictures that ITQ is fitted on
LOADERS = {task.name: task.load for task in (MNIST, CIFAR10)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="folder of a run of vnome train")
    parser.add_argument("--data", type=Path, help="folder of the public sets")
    parser.add_argument("--films", type=Path, help="instead: the films that the shipped encoder was trained on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    machine = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    if options.films:
        print(json.dumps({**_of_films(options.films, options.seed), "machine": machine}))
        return
    load = LOADERS[load_checkpoint(options.run)["config"]["task"]]
    network = load_classifier(options.run)
    stored, asked = load(options.data, "train"), load(options.data, "test")
    asked = asked.take(np.random.default_rng(options.seed).permutation(len(asked))[:QUERIES])
    database, queries = features_of(network, stored.pictures), features_of(network, asked.pictures)
    figures = {}
    print(f"{'code':<14}{'mAP':>8}{'precision, radius 2':>22}{'no answer':>12}")
    for name, (in_database, in_queries) in _codes(database, stored.classes, queries, options.seed).items():
        found = retrieval(in_queries, asked.classes, in_database, stored.classes)
        figures[name] = asdict(found)
        print(
            f"{name:<14}{found.mean_average_precision:>8.3f}{found.precision_radius_2:>22.3f}"
            f"{found.empty_radius_2:>12.3f}",
            flush=True,
        )
    sizes = {"database": len(stored), "queries": len(asked), "features": database.shape[1], "bits": CODE_BITS}
    print(json.dumps({"run": options.run.name, "figures": figures, "sizes": sizes, "machine": machine}))


def _of_films(folder: Path, seed: int) -> dict[str, Any]:
    """Hits of 16 and 64 probes for codes of the shipped encoder's features."""
    paths = films_in(folder)
    unseen = held_out(tuple(path.name for path in paths), HELD_OUT_SHARE)
    moments = load_moments([path for path, kept in zip(paths, unseen, strict=True) if kept])
    seen = load_moments(
        [path for path, kept in zip(paths, unseen, strict=True) if not kept][:: len(paths) // SEEN_FILMS]
    )
    network = network_of(shipped_bundle("encoder"))
    pictures = whole_pictures(seen.take(np.sort(np.random.default_rng(seed).permutation(len(seen))[:FITTED_MOMENTS])))
    kinds: dict[str, Projection] = {
        "sparse-hash": HeadProjection(network), "submask": submask(network, pictures),
        "ITQ": itq(network, pictures, seed), "LSH": lsh(network, pictures, seed),
    }  # fmt: skip
    clean, shown = camera_pairs(moments, STRENGTH, seed)
    figures = {}
    print(f"{'code':<14}{'16 probes':>11}{'64 probes':>11}{'radius 2':>10}{'bits flipped':>14}{'independent bits':>18}")
    for name, kind in kinds.items():
        row = code_quality(PairCodes(kind.values(clean), kind.values(shown)), moments.film)
        figures[name] = {key: value for key, value in row.items() if isinstance(value, float)}
        print(
            f"{name:<14}{row['hits_16_probes']:>11.3f}{row['hits_64_probes']:>11.3f}{row['hits_radius_2']:>10.3f}"
            f"{row['flips_mean']:>14.2f}{row['effective_bits']:>18.1f}",
            flush=True,
        )
    return {"figures": figures, "films": int(unseen.sum()), "moments": len(moments)}


def _codes(database: Features, classes: np.ndarray, queries: Features, seed: int) -> dict[str, tuple[Codes, Codes]]:
    """For each kind of code those of the database and of the queries."""
    codes = {}
    for name in ("submask", "sparse-hash"):
        with tempfile.TemporaryDirectory() as folder:
            trainer = HeadTrainer(HeadTrainingConfig(head=name, seed=seed), database, classes, Path(folder))
            trainer.run(lambda progress: None)
        head = trainer.network.eval()
        assert isinstance(head, SubmaskHead | HashHead)
        codes[name] = (head.codes(database), head.codes(queries))
    mean = database.mean(axis=0)
    axes = {
        "ITQ": itq_axes(database[:: max(1, len(database) // FITTED)] - mean, seed),
        "LSH": np.random.default_rng(seed).standard_normal((database.shape[1], CODE_BITS)).astype(np.float32),
    }
    for name, matrix in axes.items():
        codes[name] = (pack_bits((database - mean) @ matrix > 0), pack_bits((queries - mean) @ matrix > 0))
    return codes


if __name__ == "__main__":
    main()
