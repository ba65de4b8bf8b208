"""How strongly a frame speaks for a place in the catalogue: match against chance, both measured.

A frame and a run of a track are compared by their soft codes (`pipeline.soft`). Bits that err together count
together: the difference is measured in the metric of the differences that the camera makes. How far a true match is
off varies with the camera, so that the likelihood is a mixture over the size of the error.
"""

import base64
import binascii
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.bundles import Bundle
from pipeline.codes import CODE_BITS, CodeArray
from pipeline.errors import BundleError
from pipeline.soft import SoftArray, soft_of_levels, unpack_soft

FloatArray = npt.NDArray[np.float64]

OUTLIER_SHARE = 0.2  # of the frames of a true match whose code says nothing (a hand, a cut, a flash)
NOVELTY_BITS = 6  # a frame that differs by this many bits from the last scene's first frame begins a new scene
DISTANCE_STEP, FARTHEST = 0.01, 400.0  # of the table of the match's density, in deviations of the camera's error
REPEAT_SHARE = 0.3  # what e frames of one scene say beyond one: their errors are mostly the same error


@dataclass(frozen=True)
class EvidenceModel:
    """What is measured of an encoder: how the camera changes soft codes, and what unrelated films look like.

    gain: (32,), share of a stored soft bit that a query is expected to show.
    whitening: (32, 32), turns a difference into one of unit covariance.
    scales, shares: (K,), sizes of the error's variance, and how often each occurs.
    background: soft codes (B, 32) of many films, as stored.
    """

    gain: FloatArray
    whitening: FloatArray
    scales: FloatArray
    shares: FloatArray
    background: SoftArray = field(repr=False)

    @staticmethod
    def of_bundle(bundle: Bundle) -> "EvidenceModel":
        """The model in a bundle's card. Raises BundleError when it is missing or damaged."""
        try:
            return EvidenceModel.of_card(bundle.section("evidence"))
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise BundleError(f"bundle {bundle.folder}: the card's evidence is unusable; export again") from None

    @staticmethod
    def of_card(part: dict[str, Any]) -> "EvidenceModel":
        """The model from a card's section. Raises KeyError, TypeError or ValueError when it is no such section."""
        codes, levels = unpack_soft(base64.b64decode(part["background"], validate=True))
        model = EvidenceModel(
            gain=np.array(part["gain"], np.float64),
            whitening=np.array(part["whitening"], np.float64),
            scales=np.array(part["scales"], np.float64),
            shares=np.array(part["shares"], np.float64),
            background=soft_of_levels(codes, levels),
        )
        square = (CODE_BITS, CODE_BITS)
        if model.gain.shape != square[:1] or model.whitening.shape != square or len(model.background) < CODE_BITS:
            raise ValueError(f"sizes are off: {model.gain.shape = }, {model.whitening.shape = }")
        if model.scales.shape != model.shares.shape or not (model.scales > 0).all():
            raise ValueError("scales must be positive, with a share each")
        return model

    def log_match(self, query: SoftArray, reference: SoftArray) -> FloatArray:
        """log p(frame | it shows the reference), float64 (N, R). query: (N, 32). reference: (R, 32)."""
        return self._log_match(query, (reference * self.gain) @ self.whitening)

    def _log_match(self, query: SoftArray, shown: FloatArray) -> FloatArray:
        """shown: (R, 32), what references look like through the camera, whitened."""
        seen = query.astype(np.float64) @ self.whitening
        squared = (seen**2).sum(axis=1)[:, None] + (shown**2).sum(axis=1) - 2 * seen @ shown.T
        place = np.sqrt(np.maximum(squared, 0)) * (1 / DISTANCE_STEP)
        density: FloatArray = self._log_density.take(place.astype(np.intp), mode="clip")
        return density

    def log_chance(self, query: SoftArray) -> FloatArray:
        """log p(frame | it shows an unrelated film), float64 (N,). query: (N, 32).

        Half kernel estimate over the background, so that common looks (black, titles) say little, half a normal
        distribution, so that a frame unlike all of the background is not held to be impossible.
        """
        matches = self._log_match(query, self._background_shown)
        best = matches.max(axis=1)
        kernel = best + np.log(np.exp(matches - best[:, None]).mean(axis=1))
        mean, whitening, log_norm = self._normal
        smooth = log_norm - 0.5 * (((query - mean) @ whitening) ** 2).sum(axis=1)
        chance: FloatArray = np.logaddexp(kernel, smooth) - np.log(2)
        return chance

    def evidence(self, query: SoftArray, reference: SoftArray, log_chance: FloatArray) -> FloatArray:
        """Log-likelihood ratio of each frame for each reference, float64 (N, R), in nats.

        A frame may be an outlier, so no frame speaks against a place by more than log OUTLIER_SHARE.
        log_chance: float64 (N,), from `log_chance`.
        """
        ratio = self.log_match(query, reference) - log_chance[:, None]
        said: FloatArray = np.logaddexp(np.log(1 - OUTLIER_SHARE) + ratio, np.log(OUTLIER_SHARE))
        return said

    @cached_property
    def _log_density(self) -> FloatArray:
        """The log density of a match at each whitened distance, `DISTANCE_STEP` apart: the mixture, tabled once."""
        distance = np.arange(0, FARTHEST, DISTANCE_STEP) + DISTANCE_STEP / 2
        of_scale = (
            np.log(self.shares + 1e-300)
            - 0.5 * CODE_BITS * np.log(self.scales)
            - distance[:, None] ** 2 / 2 / self.scales
        )
        log_norm = -0.5 * CODE_BITS * np.log(2 * np.pi) + float(np.linalg.slogdet(self.whitening)[1])
        return np.asarray(log_norm + np.logaddexp.reduce(of_scale, axis=1))

    @cached_property
    def _background_shown(self) -> FloatArray:
        return (self.background * self.gain) @ self.whitening

    @cached_property
    def _normal(self) -> tuple[FloatArray, FloatArray, float]:
        """Mean, whitening and log norm of a normal distribution around the background, seen through the camera."""
        camera = np.linalg.inv(self.whitening @ self.whitening.T)
        covariance = np.cov(self.background.T.astype(np.float64)) + camera
        whitening = np.linalg.cholesky(np.linalg.inv(covariance))
        log_norm = -0.5 * CODE_BITS * np.log(2 * np.pi) + float(np.linalg.slogdet(whitening)[1])
        mean: FloatArray = self.background.astype(np.float64).mean(axis=0)
        return mean, np.asarray(whitening), log_norm


class ChanceMemory:
    """`EvidenceModel.log_chance`, remembered: a frame is weighed in every decision of some seconds.

    most: frames that are remembered, the oldest goes; 200 bytes each.
    """

    def __init__(self, model: EvidenceModel, most: int = 50_000) -> None:
        self._model, self._most = model, most
        self._known: dict[bytes, float] = {}

    def log_chance(self, query: SoftArray) -> FloatArray:
        """See `EvidenceModel.log_chance`."""
        rows = [row.tobytes() for row in query]
        chances = [self._known.get(row) for row in rows]
        missing = [i for i, chance in enumerate(chances) if chance is None]
        if missing:
            for i, chance in zip(missing, self._model.log_chance(query[missing]).tolist(), strict=True):
                chances[i] = self._known[rows[i]] = chance
            while len(self._known) > self._most:
                self._known.pop(next(iter(self._known), b""), None)
        return np.array(chances, np.float64)


def frame_weights(codes: CodeArray) -> FloatArray:
    """How much of its evidence each frame may bring, float64 (N,) in 0..1.

    Frames of one scene repeat each other, errors included: n of them count as 1 + `REPEAT_SHARE` log n. A new scene
    begins where the code differs by `NOVELTY_BITS` from the first of the last scene.
    """
    weights = np.empty(len(codes))
    start = 0
    for i in range(1, len(codes) + 1):
        if i == len(codes) or int(codes[i] ^ codes[start]).bit_count() >= NOVELTY_BITS:
            n = i - start
            weights[start:i] = (1 + REPEAT_SHARE * np.log(n)) / n
            start = i
    return weights
