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

from pipeline.bundles import Bundle
from pipeline.codes import CodeArray, FrameCodes
from pipeline.errors import BundleError
from pipeline.evidence import ChanceMemory, EvidenceModel, frame_weights
from pipeline.motion import Motion
from pipeline.postings import Hits
from pipeline.soft import soft_of_margins
from pipeline.tracks import Track
from pipeline.verification import SPEEDS, Hypotheses, WeighedQuery, score_film, score_held, score_places
from pipeline.voting import BIN_SECONDS, count_votes, probes_of

PROBES = (16, 512)  # a frame: few at first, and many when what they found is not accepted
MOST_LOOKUPS = 24_000  # of a query, about 150 ms; one of many distinct codes gets fewer probes a frame
CANDIDATES = (12, 24)  # places verified for each view of the query, with few and with many probes
PLACES_A_POSTING = 3  # that the prior counts: moments at which the film looks different, as the rule was calibrated
SAME_MOMENT_SECONDS = 1.0  # hypotheses closer than this are one answer
SURE_ODDS = 50.0  # log odds of a moment without rivals
CONFIRM_SECONDS, CONFIRM_NATS = 3.0, 10.0  # of query; unrelated film passes once in some thousand decisions
DRIFT_SECONDS = 0.1  # deviation of a moment from where it should be by now
NEWEST_SECONDS = 0.6  # that must not speak against it: another film is seen as soon as without confirming
SURE_NATS = 12.0  # with odds as long as these, the moment needs no second look


@dataclass(frozen=True)
class Match:
    """An accepted answer.

    number: of the video. at_seconds: the film's moment at the query's time 0. speed: film seconds a query second.
    confidence: probability that video and moment (within a second) are right. odds: what it follows from.
    view: which of the query's views matched.
    """

    number: int
    at_seconds: float
    speed: float
    confidence: float
    odds: "Odds"
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

    def whole_track(self, number: int) -> tuple[Track, Motion | None]:
        """A video's whole course in time: its codes, and its motion where they stand still."""

    def postings(self) -> int:
        """How many postings the index holds, for the prior of a place."""


@dataclass(frozen=True)
class Odds:
    """Log odds of an answer, in nats, before calibration.

    film: of the video, against all others and "unknown". moment: of the moment, against all others of the video.
    """

    film: float
    moment: float

    @property
    def both(self) -> float:
        """Log odds that the video and the moment are right."""
        return -float(np.logaddexp(-self.film, -self.moment))


@dataclass(frozen=True)
class Calibration:
    """Probability that an answer with such odds is right: 1 / (1 + exp(-(slope * log_odds + intercept)))."""

    slope: float
    intercept: float

    def probability(self, log_odds: float) -> float:
        """For log odds in nats."""
        return float(1 / (1 + np.exp(-np.clip(self.slope * log_odds + self.intercept, -50, 50))))


@dataclass(frozen=True)
class DecisionRule:
    """Calibrated decision: both the video and the moment must be right; accepted from confidence `accept` on."""

    film: Calibration
    moment: Calibration
    accept: float

    @staticmethod
    def of_bundle(bundle: Bundle) -> "DecisionRule":
        """The rule measured for this encoder, from its card. Raises BundleError when it is missing."""
        part = bundle.section("decision")
        try:
            film, moment = (Calibration(*(float(number) for number in part[name])) for name in ("film", "moment"))
            return DecisionRule(film, moment, float(part["accept"]))
        except (KeyError, TypeError, ValueError):
            raise BundleError(f"bundle {bundle.folder}: the card's decision rule is unusable; export again") from None

    def confidence(self, odds: Odds) -> float:
        """Probability that an answer with these odds is right."""
        return self.film.probability(odds.film) * self.moment.probability(odds.moment)


class Matcher:
    """Finds the place of a query in a reference."""

    def __init__(self, reference: Reference, evidence: EvidenceModel, rule: DecisionRule) -> None:
        self.reference = reference
        self.evidence = evidence
        self._chances = ChanceMemory(evidence)
        self.rule = rule

    def match(self, views: Sequence[FrameCodes], hopeful: Sequence[int] | None = None) -> Match | None:
        """The best answer that the rule accepts, or None for "unknown"; see `best_guess`."""
        best = self.best_guess(views, hopeful)
        return best if best and self.accepts(best) else None

    def accepts(self, match: Match) -> bool:
        """Whether the rule lets this answer out."""
        return match.confidence >= self.rule.accept

    def best_guess(self, views: Sequence[FrameCodes], hopeful: Sequence[int] | None = None) -> Match | None:
        """The likeliest answer, accepted or not; None when nothing got a vote.

        views: the same frames coded under several readings (as they are, mirrored, ...); empty ones are skipped.
        hopeful: the views for which more codes are looked up when the likeliest ones led to no accepted answer; None
        for all of them.
        """
        times = next((view.pts_seconds for view in views if len(view)), None)
        if times is None:
            return None
        middle = float(times[[0, -1]].mean())
        queries = {view: self._weigh(codes, middle) for view, codes in enumerate(views) if len(codes)}
        parts = {view: self._verify(view, query, middle, 0, MOST_LOOKUPS) for view, query in queries.items()}
        best = self._decide(queries, parts, middle)
        if best and self.accepts(best):
            return best
        again = [view for view in queries if hopeful is None or view in hopeful]
        if not again:
            return best
        for view in again:
            parts[view] = self._verify(view, queries[view], middle, 1, MOST_LOOKUPS // len(again))
        return self._decide(queries, parts, middle)

    def confirms(self, codes: FrameCodes, held: Match) -> bool:
        """Whether frames go on showing what is held, where it should be by now: no search, a quarter of its cost.

        codes: of the view that matched; their last `CONFIRM_SECONDS` count. False when they do not speak clearly for
        it; that says nothing yet, only a search does.
        """
        recent = codes.since(float(codes.pts_seconds[-1]) - CONFIRM_SECONDS) if len(codes) else codes
        if not len(recent):
            return False
        last = float(recent.pts_seconds[-1])
        query = self._weigh(recent, last)
        expected = held.film_seconds(last)
        reach = held.speed * CONFIRM_SECONDS + BIN_SECONDS + 1
        (track,) = self.reference.tracks([(held.number, max(0.0, expected - reach), expected + BIN_SECONDS + 1)])
        if not len(track):
            return False
        scores, offsets = score_held(query, track, expected, held.speed)
        best = int(np.argmax(scores.sum(axis=1) - 0.5 * (offsets / DRIFT_SECONDS) ** 2))
        newest = scores[best, query.relative > -NEWEST_SECONDS].sum()
        return bool(scores[best].sum() >= CONFIRM_NATS and newest > 0)

    def _decide(
        self, queries: dict[int, WeighedQuery], verified: dict[int, list[Hypotheses]], middle: float
    ) -> Match | None:
        """The likeliest of the verified hypotheses, with its odds and confidence."""
        parts = [part for found in verified.values() for part in found]
        if not parts:
            return None
        hypotheses = Hypotheses.concatenate(parts)
        # the score that "all is chance" has to be beaten by
        null = float(np.log(max(self.reference.postings(), 2) * PLACES_A_POSTING * len(queries)))
        best, odds = _weigh_rivals(hypotheses, null)
        view, number = int(hypotheses.view[best]), int(hypotheses.number[best])
        hopeless = self.rule.film.probability(odds.film) < self.rule.accept  # whatever is found out of the moment
        if not hopeless and odds.both < SURE_NATS and queries[view].codes.lights is not None:
            moments = self._choose_moment(view, number, queries[view])
            if moments is not None:  # motion chooses among the moments of a film, it does not speak for the film
                hypotheses = moments
                best, chosen = _weigh_rivals(hypotheses, null)
                odds = Odds(odds.film, chosen.moment)
        speed = float(hypotheses.speed[best])
        at_zero = float(hypotheses.middle_seconds[best]) - speed * middle
        confidence = self.rule.confidence(odds)
        return Match(int(hypotheses.number[best]), at_zero, speed, confidence, odds, int(hypotheses.view[best]))

    def _weigh(self, codes: FrameCodes, middle: float) -> WeighedQuery:
        soft = soft_of_margins(codes.codes, codes.margins)
        chance = self._chances.log_chance(soft)
        return WeighedQuery(codes, soft, self.evidence, chance, frame_weights(codes.codes), codes.pts_seconds - middle)

    def _verify(self, view: int, query: WeighedQuery, middle: float, turn: int, most: int) -> list[Hypotheses]:
        """Scores the surroundings of the places with most votes, at every speed, against the stored tracks.

        turn: 0 with few probes, 1 with many. most: codes to look up.
        """
        asked = probes_of(query.codes, PROBES[turn], most)
        postings = self.reference.postings()
        candidates = count_votes(asked, self.reference.lookup(asked.codes), middle, postings, CANDIDATES[turn])
        reach = float(np.abs(query.relative).max()) * SPEEDS.max() + BIN_SECONDS + 1
        windows = [(c.number, max(0.0, c.middle_seconds - reach), c.middle_seconds + reach) for c in candidates]
        tracks = self.reference.tracks(windows)
        there = [i for i, track in enumerate(tracks) if len(track)]
        candidates, tracks = [candidates[i] for i in there], [tracks[i] for i in there]
        return [
            Hypotheses.grid(view, candidate.number, moments, scores)
            for candidate, (scores, moments) in zip(candidates, score_places(query, candidates, tracks), strict=True)
        ]

    def _choose_moment(self, view: int, number: int, query: WeighedQuery) -> Hypotheses | None:
        """Every moment of one video, with the evidence of motion; None for a video without still stretches."""
        track, motion = self.reference.whole_track(number)
        if motion is None or not len(track.codes):
            return None
        scores, ticks = score_film(query, track, motion)
        return Hypotheses.grid(view, number, ticks, scores)


def _weigh_rivals(all_: Hypotheses, null: float) -> tuple[int, Odds]:
    """The best hypothesis, and its odds against "all is chance" and every other moment of every video.

    A rival moment counts once, with its best score: its neighbours and speeds are the same explanation.
    """
    best = int(np.argmax(all_.score))
    near = np.abs(all_.middle_seconds - all_.middle_seconds[best]) < SAME_MOMENT_SECONDS
    rivals = all_.where(~((all_.number == all_.number[best]) & near))
    moment = np.floor(rivals.middle_seconds / SAME_MOMENT_SECONDS)
    order = np.lexsort((moment, rivals.number))
    number, moment, score = rivals.number[order], moment[order], rivals.score[order]
    starts = np.flatnonzero(np.concatenate([[True], (number[1:] != number[:-1]) | (moment[1:] != moment[:-1])]))
    scores = np.maximum.reduceat(score, starts) if len(score) else np.empty(0)
    same_film = number[starts] == all_.number[best] if len(score) else np.empty(0, np.bool_)
    top = float(all_.score[best])
    film = top - float(np.logaddexp.reduce(np.append(scores[~same_film], null)))
    others = float(np.logaddexp.reduce(np.append(scores[same_film], top - SURE_ODDS)))
    return best, Odds(film, top - others)


def matcher_of(reference: Reference, bundle: Bundle) -> Matcher:
    """A matcher for codes of this encoder bundle. Raises BundleError when its card lacks what matching needs."""
    return Matcher(reference, EvidenceModel.of_bundle(bundle), DecisionRule.of_bundle(bundle))
