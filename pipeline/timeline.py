"""A small catalogue on one line of time, so that a query is tried at every place of it.

Probes find a place only where the code of some frame comes out right, up to the bits that are tried. A scan adds up
what all frames say of every place, and so finds films of which no single code comes through the camera. Its cost grows
with the catalogue: it follows the probes (`pipeline.matching`) where it costs no more than those.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.evidence import OUTLIER_SHARE, FloatArray
from pipeline.soft import SoftArray, soft_of_levels
from pipeline.tracks import Track
from pipeline.verification import WeighedQuery
from pipeline.voting import BIN_SECONDS, Candidate

MOST_RUNS = 30_000  # about four hours of film, which are scanned in the time of 24,000 probes
TICK_SECONDS = 0.25  # of the line; verification then looks half a second around
MOST_FRAMES = 50  # of a query; more tell hardly more of where it is
GAP_SECONDS = 6.0  # of nothing between two videos; frames further from the query's middle are left out


@dataclass(frozen=True)
class Timeline:
    """soft: float32 (R, 32), of all runs. run, number: int64 (T,), the run and the video at each tick; R and -1 where
    there is no film. seconds: float64 (T,), of that video.
    """

    soft: SoftArray = field(repr=False)
    run: npt.NDArray[np.int64] = field(repr=False)
    number: npt.NDArray[np.int64] = field(repr=False)
    seconds: FloatArray = field(repr=False)

    @staticmethod
    def of_tracks(tracks: Sequence[tuple[int, Track]]) -> "Timeline":
        """The tracks of these videos, by number, one after the other."""
        there = [(number, track) for number, track in tracks if len(track)]
        runs = sum(len(track) for _, track in there)
        gap = np.full(round(GAP_SECONDS / TICK_SECONDS), -1)
        run, numbers, seconds, first = [np.full(len(gap), runs)], [gap], [np.zeros(len(gap))], 0
        for number, track in there:
            ticks = np.arange(0, track.end_ms / 1000, TICK_SECONDS)
            at = np.searchsorted(track.start_ms, ticks * 1000, side="right") - 1
            run += [np.where(at < 0, runs, at + first), np.full(len(gap), runs)]
            numbers += [np.full(len(ticks), number), gap]
            seconds += [ticks, np.zeros(len(gap))]
            first += len(track)
        soft = [soft_of_levels(track.codes, track.levels) for _, track in there]
        return Timeline(
            np.concatenate(soft) if soft else np.empty((0, 32), np.float32),
            np.concatenate(run),
            np.concatenate(numbers),
            np.concatenate(seconds),
        )

    def places(self, query: WeighedQuery, most: int) -> list[Candidate]:
        """The places for which most speaks, best first, at most `most`, further apart than verification looks."""
        if not len(self.soft):
            return []
        scores = self._scores(query)
        scores[self.number < 0] = -np.inf
        reach = round(BIN_SECONDS / TICK_SECONDS)
        found: list[Candidate] = []
        while len(found) < most:
            best = int(np.argmax(scores))
            if scores[best] <= 0:
                break
            found.append(Candidate(int(self.number[best]), float(self.seconds[best]), float(scores[best])))
            scores[max(best - reach, 0) : best + reach + 1] = -np.inf
        return found

    def log_places(self, number: int) -> float:
        """The logarithm of how many places of a video were tried."""
        return float(np.log(max(int((self.number == number).sum()), 1)))

    def _scores(self, query: WeighedQuery) -> FloatArray:
        """What the query's frames say, at the film's own speed, of its middle being at each tick, float64 (T,)."""
        near = np.flatnonzero(np.abs(query.relative) < GAP_SECONDS)
        frames = near[np.unique(np.linspace(0, len(near) - 1, min(len(near), MOST_FRAMES)).round().astype(int))]
        evidence = query.model.evidence(query.soft[frames], self.soft, query.log_chance[frames])
        missing = np.full((len(frames), 1), np.log(OUTLIER_SHARE))
        evidence = (np.concatenate([evidence, missing], axis=1) - missing) * query.weights[frames, None]  # (N, R + 1)
        nothing = np.log(OUTLIER_SHARE) * query.weights[frames].sum()
        scores: FloatArray = np.full(len(self.run), nothing)
        for said, shift in zip(evidence, np.round(query.relative[frames] / TICK_SECONDS).astype(int), strict=True):
            there = said[self.run]
            if shift >= 0:
                scores[: len(there) - shift] += there[shift:]
            else:
                scores[-shift:] += there[:shift]
        return scores
