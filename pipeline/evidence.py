"""How strongly a frame's code speaks for a place in the catalogue: match against chance, both measured."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.bundles import Bundle
from pipeline.codes import CodeArray, FrameCodes, unpack_bits
from pipeline.errors import BundleError

FloatArray = npt.NDArray[np.float64]

OUTLIER_SHARE = 0.2  # of the frames of a true match whose code says nothing (a hand, a cut, a flash)
NOVELTY_BITS = 6  # a frame that differs by this many bits from the last scene's first frame begins a new scene


@dataclass(frozen=True)
class ChanceModel:
    """What codes frames of other films have: a sample of real codes, and the share of ones in each bit.

    background: uint32 (B,), codes of unrelated films.
    """

    background: CodeArray = field(repr=False)

    @staticmethod
    def of_bundle(bundle: Bundle) -> "ChanceModel":
        """The sample in the bundle's card. Raises BundleError when it is missing or malformed."""
        try:
            codes = [int(code, 16) for code in bundle.section("chance")["codes"]]
            return ChanceModel(np.array(codes, dtype=np.uint32))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise BundleError(f"bundle {bundle.folder}: the card's chance codes are unusable; export again") from None

    def log_probability(self, query: FrameCodes) -> FloatArray:
        """log P(frame) if it shows an unrelated film, float64 (N,), up to the constant of `log_match`.

        Half kernel estimate over the sample, so that common codes (black, titles) weigh little, half product of
        the bits' shares, so that a code unlike any of the sample is not held to be impossible.
        """
        match = log_match(query, self.background)  # (N, B)
        kernel = np.logaddexp.reduce(match, axis=1) - np.log(len(self.background))
        ones = unpack_bits(self.background).mean(axis=0).clip(0.02, 0.98)  # (32,)
        same, other = _bit_logs(query)
        bits = unpack_bits(query.codes)
        set_share = np.where(bits == 1, ones, 1 - ones)  # of codes that have the bit as the query has it
        smooth = np.logaddexp(same + np.log(set_share), other + np.log(1 - set_share)).sum(axis=1)
        chance: FloatArray = np.logaddexp(kernel, smooth) - np.log(2)
        return chance


def log_match(query: FrameCodes, codes: CodeArray) -> FloatArray:
    """log P(frame | the reference code), bits flipping with the odds of their margins: float64 (N, R).

    query: N frames. codes: uint32 (R,) reference codes.
    """
    same, other = _bit_logs(query)
    query_bits = unpack_bits(query.codes).astype(np.float64)
    change = other - same  # (N, 32), added where the reference has the other bit
    signed = change * (1 - 2 * query_bits)
    reference = unpack_bits(codes).astype(np.float64)  # (R, 32)
    # differs = q + r - 2 q r, so the sum over bits is linear in r
    scores: FloatArray = same.sum(axis=1)[:, None] + (change * query_bits).sum(axis=1)[:, None] + signed @ reference.T
    return scores


def frame_evidence(query: FrameCodes, codes: CodeArray, log_chance: FloatArray) -> FloatArray:
    """Log-likelihood ratio of each frame for each reference code, float64 (N, R), in nats.

    A frame may be an outlier, so no frame speaks against a place by more than log OUTLIER_SHARE.
    log_chance: float64 (N,), from `ChanceModel.log_probability`.
    """
    ratio = log_match(query, codes) - log_chance[:, None]
    evidence: FloatArray = np.logaddexp(np.log(1 - OUTLIER_SHARE) + ratio, np.log(OUTLIER_SHARE))
    return evidence


def frame_weights(codes: CodeArray) -> FloatArray:
    """How much of its evidence each frame may bring, float64 (N,) in 0..1.

    Frames of one scene repeat each other, errors included: n of them count as 1 + log n. A new scene begins where
    the code differs by `NOVELTY_BITS` from the first of the last scene.
    """
    weights = np.empty(len(codes))
    start = 0
    for i in range(1, len(codes) + 1):
        if i == len(codes) or int(codes[i] ^ codes[start]).bit_count() >= NOVELTY_BITS:
            n = i - start
            weights[start:i] = (1 + np.log(n)) / n
            start = i
    return weights


def _bit_logs(query: FrameCodes) -> tuple[FloatArray, FloatArray]:
    """log P(bit unchanged) and log P(bit flipped), each float64 (N, 32)."""
    margins = query.margins.astype(np.float64)
    return -np.logaddexp(0, -margins), -np.logaddexp(0, margins)
