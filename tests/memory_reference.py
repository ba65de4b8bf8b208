"""A catalogue in memory for tests of matching: the definition of look-up, with whole tracks beside it."""

from collections.abc import Sequence

import numpy as np

from pipeline.codes import CodeArray, FrameCodes
from pipeline.evidence import EvidenceModel
from pipeline.matching import Calibration, DecisionRule, Matcher, Reference
from pipeline.motion import Motion
from pipeline.postings import Hits, MemoryLut, Postings
from pipeline.soft import MIDDLING, soft_of_levels
from pipeline.tracks import STEP_MS, Track


class MemoryReference:
    """Implements `pipeline.matching.Reference`."""

    def __init__(self) -> None:
        self.lut = MemoryLut()
        self._tracks: dict[int, Track] = {}
        self.motions: dict[int, Motion] = {}
        self._postings = 0

    def add(self, number: int, track: Track) -> None:
        self._tracks[number] = track
        self.lut.add(Postings.of_track(number, track))
        self._postings += len(track.codes)

    def lookup(self, codes: CodeArray) -> Hits:
        return self.lut.lookup(codes)

    def tracks(self, windows: Sequence[tuple[int, float, float]]) -> list[Track]:
        return [self._tracks[number].slice(int(start * 1000), int(stop * 1000)) for number, start, stop in windows]

    def whole_track(self, number: int) -> tuple[Track, Motion | None]:
        return self._tracks[number], self.motions.get(number)

    def postings(self) -> int:
        return self._postings


def plain_evidence(deviation: float = 2.0, films: int = 500) -> EvidenceModel:
    """Errors that are independent, of one size; a background of random codes."""
    codes = np.random.default_rng(99).integers(0, 1 << 32, films, dtype=np.uint32)
    background = soft_of_levels(codes, np.full((films, 32), MIDDLING, np.uint8))
    one = np.ones(1)
    return EvidenceModel(np.ones(32), np.eye(32) / deviation, one, one, background)


def plain_matcher(reference: Reference) -> Matcher:
    """A matcher of plain evidence that takes odds as they are, and answers from 90 % on."""
    as_it_is = Calibration(1.0, 0.0)
    return Matcher(reference, plain_evidence(), DecisionRule(as_it_is, as_it_is, 0.9))


def film_codes(seed: int, seconds: float, runs_a_second: float = 4.0) -> Track:
    """A film whose code changes at random moments, to a random code each time."""
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.exponential(1 / runs_a_second, int(seconds * runs_a_second))) * 1000 / STEP_MS
    starts = np.unique(steps.astype(int)) * STEP_MS
    starts = np.concatenate([[0], starts[(starts > 0) & (starts < seconds * 1000)]])
    codes = rng.integers(0, 1 << 32, len(starts), dtype=np.uint32)
    return Track(starts.astype(np.uint32), codes, round(seconds * 1000 / STEP_MS) * STEP_MS)


def query_codes(
    track: Track, start: float, seconds: float, *, speed: float = 1.0, flips: int = 0, seed: int = 0
) -> FrameCodes:
    """Frames at 10 a second of the film from `start` on, `flips` bits wrong in each, those with small margins."""
    rng = np.random.default_rng(seed)
    pts = np.arange(0, seconds, 0.1)
    at = np.searchsorted(track.start_ms, (start + pts * speed) * 1000, side="right") - 1
    codes = track.codes[at].copy()
    margins = np.full((len(pts), 32), 4.0, np.float32)
    for i in range(len(pts)):
        for bit in rng.choice(32, flips, replace=False):
            codes[i] ^= np.uint32(1) << np.uint32(bit)
            margins[i, bit] = 0.3
    return FrameCodes(pts, codes, margins)
