"""The measuring stick: clips of known and unknown films, edited or filmed by a phone, before several identifiers."""

import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from export.baselines import PhashProjection, Projection, calibrated, itq, lsh, submask, whole_pictures
from export.calibration import CALIBRATION_STRENGTH
from export.data import films_in, load_moments
from export.edits import EDITS
from export.encoder_bundle import network_of
from export.evidence_fit import measure_evidence
from export.identifiers import Guess, HashIdentifier, Identifier, PdqIdentifier, SeenClip
from export.probe_hits import ProbeHits
from export.recordings import LEVELS, Recording, make_recordings
from export.report import summary
from pipeline.console import progress_bar
from pipeline.detector import default_detector
from pipeline.encoder import default_encoder
from pipeline.errors import InputError
from pipeline.evidence import EvidenceModel
from pipeline.library import Library
from pipeline.matching import DecisionRule
from pipeline.media import probe, read_frames
from pipeline.store import open_store

OURS = "Sparse-Hash"
LENGTHS = (1.0, 2.0, 3.0, 5.0, 10.0)  # seconds of phone video
EDIT_SECONDS = 5.0
BACKGROUND_MOMENTS = 2048  # that baselines are fitted and calibrated on


@dataclass(frozen=True)
class Plan:
    """What to measure.

    films: to index. unknown: not indexed, for false alarms, and what baselines are fitted on. edits: names of `EDITS`.
    levels: of the phone. clips: for each edit and level. unknown_clips: for each level, and as many in all for edits.
    recordings: folder that keeps what the phone filmed; None for a temporary one.
    """

    films: Path
    unknown: Path
    edits: Sequence[str]
    levels: Sequence[str]
    clips: int
    unknown_clips: int
    recordings: Path | None
    baselines: bool
    seed: int

    def __post_init__(self) -> None:
        if not self.edits and not self.levels:
            raise InputError("no edit and no level is nothing to measure; leave --edit none or --level none out")
        for name in self.edits:
            if name not in EDITS:
                raise InputError(f"no edit is called {name!r}; there are: {'; '.join(EDITS)}")
        for level in self.levels:
            if level not in LEVELS:
                raise InputError(f"no level is called {level!r}; there are: {', '.join(LEVELS)}")


@dataclass(frozen=True)
class Trial:
    """One clip and its truth. condition: the edit, or "phone, LEVEL". speed: film seconds a second of clip.

    recording: what the phone filmed, None for an edit.
    """

    clip: Path
    condition: str
    film: str
    start_seconds: float
    speed: float
    known: bool
    lengths: tuple[float, ...]
    recording: Recording | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Outcome:
    """What one identifier answered to one trial, for each length."""

    identifier: str
    condition: str
    film: str
    start_seconds: float
    speed: float
    known: bool
    clip: str
    guesses: list[Guess]
    wall_seconds: float


def evaluate_films(plan: Plan) -> dict[str, Any]:
    """Runs the plan, every identifier in a catalogue of its own. Raises InputError for empty folders."""
    films, unknown = films_in(plan.films), films_in(plan.unknown)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vnome-evaluate-")))
        identifiers = _identifiers(plan, unknown, folder, stack)
        pace = {identifier.name: _index(identifier, films) for identifier in identifiers}
        ours = next(one for one in identifiers if isinstance(one, HashIdentifier) and one.name == OURS)
        hits = ProbeHits(ours.encoder, ours.library)
        detector = default_detector()
        trials = list(_phone_trials(plan, films, unknown, plan.recordings or folder))
        edited = _edit_jobs(plan, films, unknown)
        outcomes: list[Outcome] = []
        with progress_bar("evaluate", len(trials) + len(edited)) as bar:
            for done, trial in enumerate(_all(trials, edited, folder)):
                clip = SeenClip.of_file(trial.clip, detector)
                outcomes += [_identified(identifier, trial, clip) for identifier in identifiers]
                if trial.recording and trial.known:
                    hits.add(trial.recording, clip)
                bar.to(done + 1)
    return {
        "plan": {name: str(value) if isinstance(value, Path) else value for name, value in asdict(plan).items()},
        "machine": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}",
        "indexing_times_real_time": pace,
        "probes": hits.result(),
        **summary(outcomes),
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }


def _identifiers(plan: Plan, unknown: list[Path], folder: Path, stack: ExitStack) -> list[Identifier]:
    encoder = default_encoder()
    rule, evidence = DecisionRule.of_bundle(encoder.bundle), EvidenceModel.of_bundle(encoder.bundle)

    def library(name: str) -> Library:
        return Library(stack.enter_context(open_store("embedded", home=folder / name)))

    ours = library("ours")
    found: list[Identifier] = [HashIdentifier(OURS, encoder, evidence, rule, ours)]
    if not plan.baselines:
        return found
    moments = load_moments(unknown)
    some = np.random.default_rng(0).choice(len(moments), min(BACKGROUND_MOMENTS, len(moments)), replace=False)
    sample = moments.take(np.sort(some))
    network, pictures = network_of(encoder.bundle), whole_pictures(sample)
    projections: dict[str, Projection] = {
        "ITQ-32": itq(network, pictures, seed=0),
        "LSH-32": lsh(network, pictures, seed=0),
        "Submask-32": submask(network, pictures),
        "pHash-32": PhashProjection(),
    }
    for name, projection in projections.items():
        baseline = calibrated(projection, sample, CALIBRATION_STRENGTH)
        measured = EvidenceModel.of_card(measure_evidence(baseline, sample, moments, seed=1))
        kept = library(name)
        found.append(HashIdentifier(name, baseline, measured, rule, kept))
        if name == "pHash-32":
            found.append(HashIdentifier(f"{name}, raw", baseline, measured, rule, kept, rectified=False))
    found.append(PdqIdentifier())
    found.append(HashIdentifier(f"{OURS}, raw", encoder, evidence, rule, ours, rectified=False))
    return found


def _index(identifier: Identifier, films: list[Path]) -> float:
    """Indexes the films and returns how many times faster than real time; 0 where they were indexed already."""
    started = time.perf_counter()
    seconds = sum(identifier.index(film) for film in films)
    return seconds / (time.perf_counter() - started)


def _phone_trials(plan: Plan, films: list[Path], unknown: list[Path], folder: Path) -> Iterator[Trial]:
    sets = (
        (films, "known", plan.clips, plan.seed, True),
        (unknown, "unknown", plan.unknown_clips, plan.seed + 1, False),
    )
    total = len(plan.levels) * (plan.clips + plan.unknown_clips)
    with progress_bar("film", total) as bar:
        done = iter(range(1, total + 1))
        for level in plan.levels:
            for paths, name, clips, seed, known in sets:
                made = make_recordings(
                    paths, folder / name, level, clips, max(LENGTHS), seed, lambda: bar.to(next(done))
                )
                for one in made:
                    yield Trial(
                        one.path, f"phone, {level}", one.film, one.start_seconds, 1.0, known, LENGTHS, one
                    )  # fmt: skip


@dataclass(frozen=True)
class _EditJob:
    film: Path
    start: float
    edit: str
    known: bool


def _edit_jobs(plan: Plan, films: list[Path], unknown: list[Path]) -> list[_EditJob]:
    """Which clips to edit; a film is drawn the more often the longer it is."""
    if not plan.edits:
        return []
    rng = np.random.default_rng(plan.seed)
    jobs = []
    for paths, known in ((films, True), (unknown, False)) if plan.unknown_clips else ((films, True),):
        lengths = np.array([probe(path).duration_seconds or 0.0 for path in paths])
        usable = np.flatnonzero(lengths > EDIT_SECONDS * 1.1)
        if len(usable) == 0:
            raise InputError(f"no film in {paths[0].parent} is longer than {EDIT_SECONDS} s; give longer films")
        names = [name for name in plan.edits for _ in range(plan.clips)]
        if not known:
            names = [plan.edits[int(rng.integers(len(plan.edits)))] for _ in range(plan.unknown_clips)]
        for name in names:
            chosen = int(rng.choice(usable, p=lengths[usable] / lengths[usable].sum()))
            start = float(rng.uniform(0, lengths[chosen] - EDIT_SECONDS * EDITS[name].speed))
            jobs.append(_EditJob(paths[chosen], start, name, known))
    return jobs


def _all(trials: list[Trial], edited: list[_EditJob], folder: Path) -> Iterator[Trial]:
    """The recordings, then the edited clips, each written when its turn comes."""
    yield from trials
    clip = folder / "clip.mp4"
    for job in edited:
        edit = EDITS[job.edit]
        stop = job.start + EDIT_SECONDS * edit.speed
        frames = list(read_frames(job.film, start_seconds=job.start, end_seconds=stop, max_side=None))
        bitrate = job.film.stat().st_size * 8 / (probe(job.film).duration_seconds or 1.0)
        edit.write(frames, clip, bitrate)
        yield Trial(clip, job.edit, job.film.stem, frames[0].pts_seconds, edit.speed, job.known, (EDIT_SECONDS,))


def _identified(identifier: Identifier, trial: Trial, clip: SeenClip) -> Outcome:
    started = time.perf_counter()
    guesses = identifier.identify(clip, trial.lengths)
    return Outcome(
        identifier.name, trial.condition, trial.film, trial.start_seconds, trial.speed, trial.known, str(trial.clip),
        guesses, time.perf_counter() - started,
    )  # fmt: skip
