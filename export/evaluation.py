"""The measuring stick for plain edits: right, wrong and unknown, ours beside the baseline, on the same clips."""

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.baselines import calibrated_phash
from export.calibration import CALIBRATION_STRENGTH
from export.data import films_in, load_moments
from export.edits import EDITS, PHONES, Change
from export.evidence_fit import measure_evidence
from pipeline.console import progress_bar
from pipeline.encoder import FrameEncoder, default_encoder
from pipeline.errors import InputError
from pipeline.evidence import EvidenceModel
from pipeline.indexing import code_film, fingerprint
from pipeline.library import Library, VideoFields
from pipeline.matching import DecisionRule, Matcher, Odds
from pipeline.media import probe, read_frames
from pipeline.query import QUERY_FPS
from pipeline.reference import CatalogueReference
from pipeline.session import identify_clip
from pipeline.store import open_store

RIGHT_WITHIN_SECONDS = 1.0
UNKNOWN = "films that are not indexed"
NO_ODDS = Odds(-20.0, 0.0)  # of a clip for which nothing got a vote


@dataclass(frozen=True)
class Plan:
    """What to measure. edits: names of `EDITS` or `PHONES`, None for all `EDITS`. clips: for each edit.

    unknown_clips: of films that are not indexed.
    """

    films: Path
    unknown: Path
    clips: int
    unknown_clips: int
    seconds: float
    edits: list[str] | None
    baseline: bool
    seed: int


@dataclass(frozen=True)
class Coder:
    """One way of coding, with its own catalogue and its own measured evidence and decision."""

    name: str
    encoder: FrameEncoder
    library: Library
    evidence: EvidenceModel
    rule: DecisionRule

    def matcher(self) -> Matcher:
        """A matcher that always answers, so that one run serves every bound; the rule is applied afterwards."""
        always = DecisionRule(self.rule.film, self.rule.moment, accept=0.0)
        return Matcher(CatalogueReference(self.library), self.evidence, always)


@dataclass(frozen=True)
class Outcome:
    """One clip, identified by one coder."""

    coder: str
    edit: str
    film: str
    start_seconds: float
    known: bool
    answered: str | None
    error_seconds: float | None
    odds: Odds
    confidence: float
    accepted: bool
    wall_seconds: float

    @property
    def right(self) -> bool:
        """The right film, and the moment within `RIGHT_WITHIN_SECONDS`."""
        return self.answered == self.film and abs(self.error_seconds or 0.0) <= RIGHT_WITHIN_SECONDS


def evaluate_films(plan: Plan) -> dict[str, Any]:
    """Runs the plan in a catalogue of its own. Raises InputError for unknown edits and empty folders."""
    edits = _chosen_edits(plan.edits)
    films, unknown = films_in(plan.films), films_in(plan.unknown)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vnome-evaluate-")))
        coders = _coders(plan, unknown, folder, stack)
        indexing = {coder.name: _index(coder, films) for coder in coders}
        jobs = list(_jobs(plan, edits, films, unknown))
        outcomes: list[Outcome] = []
        with progress_bar("evaluate", len(jobs)) as bar:
            for done, job in enumerate(jobs):
                outcomes += _identify(job, coders, folder / "clip.mp4")
                bar.to(done + 1)
    return {
        "plan": {**asdict(plan), "films": str(plan.films), "unknown": str(plan.unknown)},
        "machine": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}",
        "indexing_times_real_time": indexing,
        "coders": {coder.name: _summary([o for o in outcomes if o.coder == coder.name]) for coder in coders},
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }


def table(result: dict[str, Any]) -> str:
    """The result as text for people: a row an edit."""
    names = list(result["coders"])
    lines = ["edit".ljust(36) + "".join(f"{name} right / wrong".rjust(30) for name in names)]
    for edit in result["coders"][names[0]]["edits"]:
        cells = []
        for name in names:
            row = result["coders"][name]["edits"][edit]
            cells.append(f"{row['right']:.1%} / {row['wrong']:.1%} of {row['clips']}".rjust(30))
        lines.append(edit.ljust(36) + "".join(cells))
    for name in names:
        overall = result["coders"][name]
        lines.append(
            f"{name}: wrong overall {overall['wrong']:.2%}; median {overall['median_wall_seconds']:.2f} s a clip; "
            f"indexed at {result['indexing_times_real_time'][name]:.1f} times real time; fitted decision "
            + ",".join(f"{number:.3f}" for part in overall["decision"].values() for number in part)
        )
    return "\n".join(lines)


def _chosen_edits(names: list[str] | None) -> dict[str, Change]:
    known: dict[str, Change] = {**EDITS, **PHONES}
    for name in names or []:
        if name not in known:
            raise InputError(f"no edit is called {name!r}; there are: {'; '.join(known)}")
    return {name: known[name] for name in names or EDITS}


def _coders(plan: Plan, unknown: list[Path], folder: Path, stack: ExitStack) -> list[Coder]:
    encoder = default_encoder()
    rule = DecisionRule.of_bundle(encoder.bundle)
    library = Library(stack.enter_context(open_store("embedded", home=folder / "ours")))
    coders = [Coder("Sparse-Hash", encoder, library, EvidenceModel.of_bundle(encoder.bundle), rule)]
    if plan.baseline:
        moments = load_moments(unknown)
        some = np.random.default_rng(0).choice(len(moments), min(2048, len(moments)), replace=False)
        phash = calibrated_phash(moments.take(some), CALIBRATION_STRENGTH)
        evidence = EvidenceModel.of_card(measure_evidence(phash, moments.take(some), moments, seed=1))
        library = Library(stack.enter_context(open_store("embedded", home=folder / "phash")))
        coders.append(Coder("pHash-32", phash, library, evidence, rule))
    return coders


def _index(coder: Coder, films: list[Path]) -> float:
    """Indexes the films and returns how many times faster than real time."""
    started, seconds = time.perf_counter(), 0.0
    for film in films:
        coded = code_film(film, coder.encoder, lambda _: None)
        fields = VideoFields(film.stem, film.stem, film.name, fingerprint(film), coder.name)
        coder.library.add(fields, coded.track, coded.duration_seconds, coded.frames, {}, coded.motion)
        seconds += coded.duration_seconds
    return seconds / (time.perf_counter() - started)


@dataclass(frozen=True)
class _Job:
    path: Path
    start: float
    stop: float
    edit_name: str
    edit: Change
    known: bool


def _jobs(plan: Plan, edits: dict[str, Change], films: list[Path], unknown: list[Path]) -> Iterator[_Job]:
    rng = np.random.default_rng(plan.seed)
    pick = _picker(films, plan.seconds, rng)
    for name, edit in edits.items():
        for _ in range(plan.clips):
            path, start = pick(edit.speed)
            yield _Job(path, start, start + plan.seconds * edit.speed, name, edit, True)
    pick = _picker(unknown, plan.seconds, rng)
    names = list(edits)
    for _ in range(plan.unknown_clips):
        name = names[int(rng.integers(len(names)))]
        path, start = pick(edits[name].speed)
        yield _Job(path, start, start + plan.seconds * edits[name].speed, name, edits[name], False)


def _picker(films: list[Path], seconds: float, rng: np.random.Generator) -> Callable[[float], tuple[Path, float]]:
    """Draws a film, longer ones more often, and a start; films shorter than a clip are left out."""
    lengths = np.array([probe(film).duration_seconds or 0.0 for film in films])
    usable = np.flatnonzero(lengths > seconds * 1.1)
    if len(usable) == 0:
        raise InputError(
            f"no film in {films[0].parent} is longer than {seconds} s; give longer films or less --seconds"
        )
    weights = lengths[usable] / lengths[usable].sum()

    def pick(speed: float) -> tuple[Path, float]:
        chosen = int(rng.choice(usable, p=weights))
        return films[chosen], float(rng.uniform(0, lengths[chosen] - seconds * speed))

    return pick


def _identify(job: _Job, coders: list[Coder], clip: Path) -> Iterator[Outcome]:
    bitrate = job.path.stat().st_size * 8 / (probe(job.path).duration_seconds or 1.0)
    frames = list(read_frames(job.path, start_seconds=job.start, end_seconds=job.stop, max_side=None))
    job.edit.write(frames, clip, bitrate, seed=round(job.start * 1000))
    true_start = frames[0].pts_seconds
    for coder in coders:
        started = time.perf_counter()
        answer = identify_clip(read_frames(clip, max_fps=QUERY_FPS), coder.encoder, coder.matcher())
        wall = time.perf_counter() - started
        match = answer.match
        record = coder.library.resolve([match.number])[match.number] if match else None
        yield Outcome(
            coder=coder.name,
            edit=job.edit_name if job.known else UNKNOWN,
            film=job.path.stem,
            start_seconds=true_start,
            known=job.known,
            answered=record.id if record else None,
            error_seconds=match.at_seconds - true_start if match else None,
            odds=match.odds if match else NO_ODDS,
            confidence=match.confidence if match else 0.0,
            accepted=match is not None and match.confidence >= coder.rule.accept,
            wall_seconds=wall,
        )


def _summary(outcomes: list[Outcome]) -> dict[str, Any]:
    edits = {}
    for edit in dict.fromkeys(outcome.edit for outcome in outcomes):
        rows = [outcome for outcome in outcomes if outcome.edit == edit]
        edits[edit] = {
            "clips": len(rows),
            "right": sum(row.accepted and row.known and row.right for row in rows) / len(rows),
            "wrong": sum(row.accepted and not (row.known and row.right) for row in rows) / len(rows),
            "unknown": sum(not row.accepted for row in rows) / len(rows),
            "right_before_the_bound": sum(row.known and row.right for row in rows) / len(rows),
        }
    wrong = sum(row.accepted and not (row.known and row.right) for row in outcomes) / len(outcomes)
    return {
        "edits": edits,
        "wrong": wrong,
        "median_wall_seconds": float(np.median([row.wall_seconds for row in outcomes])),
        "decision": _fit_decision(outcomes),
    }


def _fit_decision(outcomes: list[Outcome]) -> dict[str, list[float]]:
    """Calibrations of the odds: of the film over all clips, of the moment over those whose film is right."""
    right_film = np.array([row.known and row.answered == row.film for row in outcomes])
    right = np.array([row.known and row.right for row in outcomes])
    return {
        "film": list(_fit(np.array([row.odds.film for row in outcomes]), right_film)),
        "moment": list(_fit(np.array([row.odds.moment for row in outcomes])[right_film], right[right_film])),
    }


def _fit(log_odds: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Platt's logistic fit of "right" on the log odds, with Platt's smoothed targets, by Newton steps.

    Platt, "Probabilistic outputs for support vector machines", 1999, section 2.2.
    """
    positives, negatives = right.sum(), (~right).sum()
    target = np.where(right, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x = np.stack([log_odds, np.ones_like(log_odds)], axis=1)
    weights = np.array([0.1, 0.0])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        curvature = x.T @ (x * (p * (1 - p) + 1e-9)[:, None]) + 1e-6 * np.eye(2)
        weights = weights + np.linalg.solve(curvature, x.T @ (target - p))
    return float(weights[0]), float(weights[1])
