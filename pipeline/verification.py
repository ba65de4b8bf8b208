"""Verification: hypotheses (video, moment, speed) scored against stored tracks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.codes import FrameCodes
from pipeline.evidence import OUTLIER_SHARE, EvidenceModel, FloatArray
from pipeline.motion import TICK_SECONDS, Motion, motion_evidence, shifted
from pipeline.soft import SoftArray, soft_of_levels
from pipeline.tracks import ROUNDING_MS, STEP_MS, Track
from pipeline.voting import BIN_SECONDS, Candidate

ROUNDING_STEPS = ROUNDING_MS / STEP_MS
OFFSET_STEP_SECONDS = 0.04  # one frame at 25 fps
SPEEDS = np.array([0.9, 0.92, 0.94, 0.96, 0.98, 0.99, 1.0, 1.01, 1.02, 1.04, 1.0 / 0.96, 1.06, 1.08, 1.1])
NORMAL_SPEED_SHARE = 0.6  # prior of speed 1; the other speeds share the rest
_OTHER_SPEED = np.log((1 - NORMAL_SPEED_SHARE) / (len(SPEEDS) - 1))
LOG_PRIOR: FloatArray = np.full(len(SPEEDS), _OTHER_SPEED)  # (V,)
LOG_PRIOR[SPEEDS == 1.0] = np.log(NORMAL_SPEED_SHARE)


@dataclass(frozen=True)
class Hypotheses:
    """Scored hypotheses, H of them.

    view, number: int64 (H,). middle_seconds: float64 (H,), the film's moment at the query's middle.
    speed: float64 (H,). score: float64 (H,), log-likelihood ratio plus log prior of the speed, nats.
    """

    view: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    middle_seconds: FloatArray
    speed: FloatArray
    score: FloatArray

    def __len__(self) -> int:
        return len(self.score)

    @staticmethod
    def grid(view: int, number: int, moments: FloatArray, scores: FloatArray) -> "Hypotheses":
        """All of one place: scores (V, O) at the speeds `SPEEDS` and the moments (O,)."""
        cells = scores.size
        return Hypotheses(
            np.full(cells, view),
            np.full(cells, number),
            np.tile(moments, len(SPEEDS)),
            np.repeat(SPEEDS, len(moments)),
            scores.ravel(),
        )

    @staticmethod
    def concatenate(parts: "Sequence[Hypotheses]") -> "Hypotheses":
        """Joins at least one part."""
        return Hypotheses(
            np.concatenate([part.view for part in parts]),
            np.concatenate([part.number for part in parts]),
            np.concatenate([part.middle_seconds for part in parts]),
            np.concatenate([part.speed for part in parts]),
            np.concatenate([part.score for part in parts]),
        )

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Hypotheses":
        """Those for which chosen (H,) is true."""
        return Hypotheses(
            self.view[chosen], self.number[chosen], self.middle_seconds[chosen], self.speed[chosen], self.score[chosen]
        )


@dataclass(frozen=True)
class WeighedQuery:
    """A query with what does not depend on the hypothesis.

    soft: float32 (N, 32). log_chance, weights, relative: float64 (N,): chance of each frame, its weight, its time
    from the query's middle.
    """

    codes: FrameCodes
    soft: SoftArray
    model: EvidenceModel
    log_chance: FloatArray
    weights: FloatArray
    relative: FloatArray

    def evidence_of(self, tracks: "Sequence[Track]") -> FloatArray:
        """Weighted evidence of each frame for each run of some tracks, one after the other, float64 (N, R + 1).

        The last column: no film there.
        """
        soft = [soft_of_levels(track.codes, track.levels) for track in tracks]
        evidence = self.model.evidence(self.soft, np.concatenate(soft), self.log_chance)  # (N, R)
        missing = np.full((len(self.codes), 1), np.log(OUTLIER_SHARE))
        return np.concatenate([evidence, missing], axis=1) * self.weights[:, None]


def score_places(
    query: WeighedQuery, candidates: Sequence[Candidate], tracks: Sequence[Track]
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Scores (V, O) of each candidate's surroundings at V speeds and O moments, and those moments, seconds (O,).

    tracks: of each candidate, around it; none of them empty.
    """
    if not candidates:
        return
    evidence = query.evidence_of(tracks)
    firsts = np.cumsum([0, *(len(track) for track in tracks)])
    frames = np.arange(len(query.codes))
    offsets = np.arange(-BIN_SECONDS, BIN_SECONDS, OFFSET_STEP_SECONDS)  # (O,)
    away = offsets.reshape(1, -1, 1) + SPEEDS.reshape(-1, 1, 1) * query.relative  # (V, O, N), seconds
    for candidate, track, first in zip(candidates, tracks, firsts.tolist(), strict=False):
        at = _runs_at(track, candidate.middle_seconds + away)
        at = np.where(at < len(track), at + first, firsts[-1])
        scores: FloatArray = evidence[frames, at].sum(axis=2)  # (V, O)
        yield scores + LOG_PRIOR.reshape(-1, 1), candidate.middle_seconds + offsets


def score_held(query: WeighedQuery, track: Track, at_seconds: float, speed: float) -> tuple[FloatArray, FloatArray]:
    """Evidence of each frame (O, N) for a place that is expected, at O offsets around it, and those, seconds (O,).

    at_seconds: the film's moment at the query's time 0. track: around it, not empty.
    """
    offsets: FloatArray = np.arange(-BIN_SECONDS, BIN_SECONDS + OFFSET_STEP_SECONDS / 2, OFFSET_STEP_SECONDS)
    runs = _runs_at(track, at_seconds + offsets[:, None] + speed * query.relative)
    scores: FloatArray = query.evidence_of([track])[np.arange(len(query.codes)), runs]
    return scores, offsets


def score_film(query: WeighedQuery, track: Track, motion: Motion) -> tuple[FloatArray, FloatArray]:
    """Scores (V, M) of every tick of a film at V speeds, codes and motion together, and the ticks' seconds (M,).

    The query must carry its lights. The cost grows with the film's length, not with the catalogue.
    """
    codes = query.codes
    assert codes.lights is not None  # noqa: S101  the caller's duty, for the type checker
    ticks: FloatArray = np.arange(len(motion.steps), dtype=np.float64) * TICK_SECONDS
    evidence = query.evidence_of([track])
    at_ticks = evidence[:, _runs_at(track, ticks)]  # (N, M)
    absent = evidence[:, -1]  # (N,)
    middle = float(codes.pts_seconds[0] - query.relative[0])
    scores = np.empty((len(SPEEDS), len(ticks)))
    for row, speed in enumerate(SPEEDS):
        total = np.full(len(ticks), float(absent.sum()))
        for frame, offset in enumerate(np.round(query.relative * speed / TICK_SECONDS).astype(np.int64)):
            target, source = shifted(len(ticks), int(offset))
            total[target] += at_ticks[frame, source] - absent[frame]
        total += motion_evidence(codes.pts_seconds, codes.lights, motion, middle, float(speed))
        scores[row] = total + LOG_PRIOR[row]
    return scores, ticks


def _runs_at(track: Track, film_seconds: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """The run that holds at each moment; R where the film has none."""
    starts = track.start_ms // np.uint32(STEP_MS)
    first = int(starts[0])
    table = np.full(track.end_ms // STEP_MS - first + 2, len(track), np.int64)  # a place for each step, and both ends
    table[1:-1] = np.repeat(np.arange(len(track)), np.diff(np.append(starts, track.end_ms // STEP_MS)))
    step = np.floor(film_seconds * (1000 / STEP_MS) + ROUNDING_STEPS).astype(np.int64) - (first - 1)
    runs: npt.NDArray[np.int64] = table.take(step, mode="clip")
    return runs
