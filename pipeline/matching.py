"""Matching: look up, vote, verify against the stored tracks, decide.

Every hypothesis (video, moment, playback speed) is scored by the log-likelihood ratio of the query's frames, match
against chance; "unknown" is the hypothesis that all are chance. The answer is the likeliest hypothesis, with its
posterior odds against all others and against "unknown" (Wald's sequential test asks the same odds to reach a bound
as frames arrive; `pipeline.session` feeds them).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.bundles import Bundle
from pipeline.codes import CodeArray, FrameCodes
from pipeline.errors import BundleError
from pipeline.evidence import ChanceModel, FloatArray, frame_evidence, frame_weights
from pipeline.lut import Hits
from pipeline.tracks import Track
from pipeline.voting import BIN_SECONDS, Candidate, count_votes, probes_of

PROBES_A_FRAME = 16
CANDIDATES = 24  # places verified for each view of the query
OFFSET_STEP_SECONDS = 0.04  # one frame at 25 fps
SAME_MOMENT_SECONDS = 1.0  # hypotheses closer than this are one answer
SPEEDS = np.array([0.9, 0.92, 0.94, 0.96, 0.98, 0.99, 1.0, 1.01, 1.02, 1.04, 1.0 / 0.96, 1.06, 1.08, 1.1])
NORMAL_SPEED_SHARE = 0.6  # prior of speed 1; the other speeds share the rest


@dataclass(frozen=True)
class Match:
    """An accepted answer.

    number: of the video. at_seconds: the film's moment at the query's time 0. speed: film seconds a query second.
    confidence: probability that video and moment (within a second) are right. log_odds: the same before
    calibration, in nats. view: which of the query's views matched. first_frame, last_frame: in the query.
    """

    number: int
    at_seconds: float
    speed: float
    confidence: float
    log_odds: float
    view: int

    def film_seconds(self, query_seconds: float) -> float:
        """The film's moment at a time of the query, in seconds."""
        return self.at_seconds + self.speed * query_seconds


class Reference(Protocol):
    """What is indexed, as matching needs it."""

    def lookup(self, codes: CodeArray) -> Hits:
        """Postings of visible videos that have these codes."""

    def tracks(self, windows: Sequence[tuple[int, float, float]]) -> list[Track]:
        """The parts (number, from seconds, to seconds) of the stored tracks, in one round trip."""

    def postings(self) -> int:
        """How many postings the index holds, for the prior of a place."""


@dataclass(frozen=True)
class DecisionRule:
    """Calibrated decision: confidence = 1 / (1 + exp(-(slope * log_odds + intercept))), accepted from `accept` on."""

    slope: float
    intercept: float
    accept: float

    @staticmethod
    def of_bundle(bundle: Bundle) -> "DecisionRule":
        """The rule measured for this encoder, from its card. Raises BundleError when it is missing."""
        part = bundle.section("decision")
        try:
            return DecisionRule(float(part["slope"]), float(part["intercept"]), float(part["accept"]))
        except (KeyError, TypeError, ValueError):
            raise BundleError(f"bundle {bundle.folder}: the card's decision rule is unusable; export again") from None

    def confidence(self, log_odds: float) -> float:
        """Probability that an answer with these odds is right."""
        return float(1 / (1 + np.exp(-np.clip(self.slope * log_odds + self.intercept, -50, 50))))


@dataclass(frozen=True)
class Hypotheses:
    """Scored hypotheses of all views, H of them.

    view, number: int64 (H,). middle_seconds: float64 (H,), the film's moment at the query's middle.
    speed: float64 (H,). score: float64 (H,), log-likelihood ratio plus log prior of the speed, nats.
    """

    view: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    middle_seconds: FloatArray
    speed: FloatArray
    score: FloatArray


class Matcher:
    """Finds the place of a query in a reference."""

    def __init__(self, reference: Reference, chance: ChanceModel, rule: DecisionRule) -> None:
        self.reference = reference
        self.chance = chance
        self.rule = rule

    def match(self, views: Sequence[FrameCodes]) -> Match | None:
        """The best answer that the rule accepts, or None for "unknown".

        views: the same frames coded under several readings (as they are, mirrored, ...); empty ones are skipped.
        """
        best = self.best_guess(views)
        return best if best and best.confidence >= self.rule.accept else None

    def best_guess(self, views: Sequence[FrameCodes]) -> Match | None:
        """The likeliest answer, accepted or not; None when nothing got a vote."""
        times = next((view.pts_seconds for view in views if len(view)), None)
        if times is None:
            return None
        middle = float(times[[0, -1]].mean())
        postings = self.reference.postings()
        parts = []
        for view, query in enumerate(views):
            if not len(query):
                continue
            candidates = self._candidates(query, middle, postings)
            if candidates:
                parts.append(self._verify(view, query, middle, candidates))
        if not parts:
            return None
        hypotheses = Hypotheses(*(np.concatenate(values) for values in zip(*map(_columns, parts), strict=True)))
        return self._decide(hypotheses, middle, postings)

    def _candidates(self, query: FrameCodes, middle: float, postings: int) -> list[Candidate]:
        probes = probes_of(query, PROBES_A_FRAME)
        return count_votes(probes, self.reference.lookup(probes.codes), middle, postings, CANDIDATES)

    def _verify(self, view: int, query: FrameCodes, middle: float, candidates: list[Candidate]) -> Hypotheses:
        """Scores the places around the candidates at every speed against the stored tracks."""
        reach = float(np.abs(query.pts_seconds - middle).max()) * SPEEDS.max() + BIN_SECONDS + 1
        windows = [(c.number, max(0.0, c.middle_seconds - reach), c.middle_seconds + reach) for c in candidates]
        log_chance = self.chance.log_probability(query)
        weights = frame_weights(query.codes)
        relative = query.pts_seconds - middle
        parts = []
        for candidate, track in zip(candidates, self.reference.tracks(windows), strict=True):
            if len(track.codes):
                score, moments = _score_places(query, log_chance, weights, relative, candidate, track)
                parts.append((candidate.number, moments, score))
        if not parts:
            return Hypotheses(*(np.empty(0, kind) for kind in (np.int64, np.int64, float, float, float)))
        cells = len(SPEEDS) * len(parts[0][1])
        return Hypotheses(
            np.full(cells * len(parts), view),
            np.repeat([number for number, _, _ in parts], cells),
            np.concatenate([np.tile(moments, len(SPEEDS)) for _, moments, _ in parts]),
            np.tile(np.repeat(SPEEDS, len(parts[0][1])), len(parts)),
            np.concatenate([score.ravel() for _, _, score in parts]),
        )

    def _decide(self, all_: Hypotheses, middle: float, postings: int) -> Match | None:
        if len(all_.score) == 0:
            return None
        best = int(np.argmax(all_.score))
        same = (all_.number == all_.number[best]) & (
            np.abs(all_.middle_seconds - all_.middle_seconds[best]) < SAME_MOMENT_SECONDS
        )
        rivals = np.append(all_.score[~same], np.log(max(postings, 2)))  # the last: all is chance
        log_odds = float(all_.score[best] - np.logaddexp.reduce(rivals))
        speed = float(all_.speed[best])
        at_zero = float(all_.middle_seconds[best]) - speed * middle
        view, number = int(all_.view[best]), int(all_.number[best])
        return Match(number, at_zero, speed, self.rule.confidence(log_odds), log_odds, view)


def _columns(part: Hypotheses) -> tuple[npt.NDArray[np.generic], ...]:
    return part.view, part.number, part.middle_seconds, part.speed, part.score


def _score_places(
    query: FrameCodes,
    log_chance: FloatArray,
    weights: FloatArray,
    relative: FloatArray,
    candidate: Candidate,
    track: Track,
) -> tuple[FloatArray, FloatArray]:
    """Scores (V, O) of the candidate's surroundings at V speeds and O moments, and the moments (O,) in seconds."""
    distinct, place = np.unique(track.codes, return_inverse=True)
    evidence = frame_evidence(query, distinct, log_chance)[:, place]  # (N, R)
    missing = np.log(0.2)  # a frame that the film does not have: as an outlier
    evidence = np.concatenate([evidence, np.full((len(query), 1), missing)], axis=1)  # the last column: no film there
    moments = candidate.middle_seconds + np.arange(-BIN_SECONDS, BIN_SECONDS, OFFSET_STEP_SECONDS)  # (O,)
    film = moments.reshape(1, -1, 1) + SPEEDS.reshape(-1, 1, 1) * relative  # (V, O, N)
    at = np.searchsorted(track.start_ms / 1000, film, side="right") - 1
    at = np.where((at < 0) | (film * 1000 >= track.end_ms), len(track.codes), at)
    scores = (evidence[np.arange(len(query)), at] * weights).sum(axis=2)  # (V, O)
    others = np.log((1 - NORMAL_SPEED_SHARE) / (len(SPEEDS) - 1))
    prior = np.where(SPEEDS == 1.0, np.log(NORMAL_SPEED_SHARE), others)
    return scores + prior[:, None], moments


def matcher_of(reference: Reference, bundle: Bundle) -> Matcher:
    """A matcher for codes of this encoder bundle. Raises BundleError when its card lacks what matching needs."""
    return Matcher(reference, ChanceModel.of_bundle(bundle), DecisionRule.of_bundle(bundle))
