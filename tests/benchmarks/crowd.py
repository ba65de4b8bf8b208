"""A crowd of invented films with the codes of real ones, to hide real films in.

Their soft codes are drawn around those of many real films (the background in the encoder's card), so that bits are as
biased and as dependent as they are, and some codes as common; a smoothed bootstrap (Silverman and Young, "The
bootstrap: to smooth or not to smooth?", 1987) that keeps mean and covariance. A film follows from its number, so that
its track need not be stored to be verified.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipeline.buckets import mix
from pipeline.codes import CodeArray, pack_bits
from pipeline.partitions import Contents
from pipeline.postings import TICK_MS
from pipeline.soft import SoftArray, levels_of
from pipeline.tracks import STEP_MS, Track

FIRST_NUMBER = 1_000_000
FILM_POSTINGS = 7_200  # an hour, at about the two a second of real films
POSTING_MS = 500
SMOOTHING = 0.5  # share of the deviation that is drawn anew


class Crowd:
    """background: soft codes, float32 (B, 32)."""

    def __init__(self, background: SoftArray) -> None:
        self._background = background
        self._mean = background.mean(axis=0)
        self._spread = np.linalg.cholesky(np.cov(background.T)).astype(np.float32)

    def soft(self, number: int) -> SoftArray:
        """Soft codes of a film, float32 (FILM_POSTINGS, 32)."""
        rng = np.random.default_rng(number)
        near = self._background[rng.integers(0, len(self._background), FILM_POSTINGS)] - self._mean
        noise = rng.standard_normal((FILM_POSTINGS, 32), np.float32) @ self._spread.T
        soft: SoftArray = self._mean + np.float32((1 - SMOOTHING**2) ** 0.5) * near + np.float32(SMOOTHING) * noise
        return soft

    @lru_cache(maxsize=64)  # noqa: B019  one crowd a run
    def track(self, number: int) -> Track:
        """A film's track."""
        soft = self.soft(number)
        starts = np.arange(FILM_POSTINGS, dtype=np.uint32) * np.uint32(POSTING_MS)
        assert POSTING_MS % STEP_MS == 0
        return Track(starts, _codes(soft), FILM_POSTINGS * POSTING_MS, levels_of(np.abs(soft)))

    def contents(self, films: int) -> Contents:
        """What the look-up table holds of the first films: N = films * `FILM_POSTINGS`."""
        numbers = np.arange(FIRST_NUMBER, FIRST_NUMBER + films, dtype=np.uint32)
        mixed = np.concatenate([mix(_codes(self.soft(number))) for number in numbers.tolist()])
        ticks = (np.arange(FILM_POSTINGS, dtype=np.uint32) * np.uint32(POSTING_MS)) // np.uint32(TICK_MS)
        return Contents(mixed, np.repeat(numbers, FILM_POSTINGS), np.tile(ticks, films))


def _codes(soft: SoftArray) -> CodeArray:
    bits: npt.NDArray[np.uint8] = (soft > 0).astype(np.uint8)
    return pack_bits(bits)
