"""What the Sparse-Hash encoder learns from: batches of moments, of films cut anew each time they are drawn.

A few hundred films shown again and again are learned by heart: of their frames 44 % were found by 16 probes through a
hard camera, of unseen films' 17 %. So no film is drawn twice as it was: another part of its picture, mirrored or not,
another tone, or two films at once. All moments of a film are changed alike and so stay each other's hard negatives.
"""

# F films of a batch, K moments of each, N = F K, P pictures; H and W are 96 and 160

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from export.data import THUMB_HEIGHT, THUMB_WIDTH, Moments, Thumbs
from pipeline.errors import InputError

if TYPE_CHECKING:
    from export.hash_training import HashTrainingConfig

NEIGHBOUR_SHARE = 0.3  # of the pairs, the camera sees the moment blended with a neighbouring frame
SAME_PICTURE = 2.5  # mean grey levels; two moments of a film that differ less show the same picture
WHOLE_SHARE = 0.25  # of the films, shown with their whole picture
LEAST_PART = 0.4  # of a picture's sides, of the part that is shown instead
LARGEST_PAN_PART = 0.85  # of a single picture's sides, so that the window can move
MIRRORED_SHARE = 0.5
TONE_DEVIATION = 0.3  # of the logarithm of a film's gamma
BLENDED_SHARE = 0.25  # of the films, shown with another one over them


@dataclass(frozen=True)
class Batch:
    """clean, shown: uint8 (N, H, W), the same moments as stored and as the camera finds them.

    different: bool (N, N), moments that must be told apart.
    """

    clean: Thumbs
    shown: Thumbs
    different: npt.NDArray[np.bool_]


class MomentSampler:
    """Draws batches: several moments of each of several films, and of pans over single pictures.

    pictures: uint8 (P, H, W), or None. Raises InputError for fewer than two films.
    """

    def __init__(self, moments: Moments, pictures: Thumbs | None, config: "HashTrainingConfig") -> None:
        self.moments = moments
        self.pictures = pictures if pictures is not None and len(pictures) else None
        self.config = config
        self.rng = np.random.default_rng(config.seed)
        films, self.first, self.count = np.unique(moments.film, return_index=True, return_counts=True)
        if len(films) < 2:
            raise InputError("training needs at least two films; give a folder with more")
        self.weights = np.minimum(self.count, 200) ** 0.5  # long films more often, but not in proportion
        self.weights = self.weights / self.weights.sum()

    def draw(self) -> Batch:
        """The next batch."""
        wanted, each = self.config.films_per_batch, self.config.moments_per_film
        pans = round(wanted * self.config.pictures_share) if self.pictures is not None else 0
        pans = min(pans, wanted - 2)
        films = self.rng.choice(len(self.first), min(wanted - pans, len(self.first)), False, self.weights)
        clean, shown, seconds = self._of_films(films)
        if self.pictures is not None and pans:
            panned = self._pans(self.rng.choice(len(self.pictures), min(pans, len(self.pictures)), False))
            clean, shown = np.concatenate([clean, panned]), np.concatenate([shown, panned])
            seconds = np.concatenate([seconds, np.tile(np.arange(each, dtype=np.float64) * 1e6, len(panned) // each)])
        clean, shown = self._blended(clean, shown)
        film = np.repeat(np.arange(len(clean) // each), each)
        same_film = film[:, None] == film[None]
        near = np.abs(seconds[:, None] - seconds[None]) < self.config.near_seconds
        return Batch(clean, shown, ~(same_film & (near | _same_picture(clean))))

    def _of_films(self, films: npt.NDArray[np.int64]) -> tuple[Thumbs, Thumbs, npt.NDArray[np.float64]]:
        """Moments of films, clean and as the camera finds them, and their times."""
        at = np.concatenate([self._moments_of(film) for film in films])
        thumbs, film, seconds = self.moments.thumbs, self.moments.film[at], self.moments.seconds[at]
        neighbour = np.clip(at + self.rng.choice([-1, 1], len(at)), 0, len(thumbs) - 1)
        neighbour = np.where(self.moments.film[neighbour] == film, neighbour, at)
        blend = self.rng.uniform(0, 1, (len(at), 1, 1)) * (self.rng.uniform(0, 1, (len(at), 1, 1)) < NEIGHBOUR_SHARE)
        clean = thumbs[at]
        shown = (clean * (1 - blend) + thumbs[neighbour] * blend).astype(np.uint8)
        each = self.config.moments_per_film
        cuts = [self._cut() for _ in films]
        clean, shown = (
            np.stack([cuts[k // each].of(picture) for k, picture in enumerate(part)]) for part in (clean, shown)
        )
        return clean, shown, seconds

    def _pans(self, chosen: npt.NDArray[np.int64]) -> Thumbs:
        """Windows that move over single pictures, (F K, H, W)."""
        assert self.pictures is not None  # noqa: S101  the caller looked, for the type checker
        rng, each = self.rng, self.config.moments_per_film
        seen = []
        for place in chosen:
            start, stop = (self._cut(largest=LARGEST_PAN_PART) for _ in range(2))
            for step in rng.uniform(0, 1, each):
                seen.append(start.towards(stop, float(step)).of(self.pictures[place]))
        return np.stack(seen)

    def _cut(self, largest: float = 1.0) -> "_Cut":
        rng = self.rng
        whole = largest == 1.0 and rng.random() < WHOLE_SHARE
        width, height = (1.0, 1.0) if whole else rng.uniform(LEAST_PART, largest) * np.exp(rng.uniform(-0.2, 0.2, 2))
        width, height = min(float(width), largest), min(float(height), largest)
        gamma = float(np.exp(rng.normal(0, TONE_DEVIATION)))
        left, top = rng.uniform(0, 1 - width + 1e-9), rng.uniform(0, 1 - height + 1e-9)
        return _Cut((float(left), float(top), width, height), bool(rng.random() < MIRRORED_SHARE), gamma)

    def _blended(self, clean: Thumbs, shown: Thumbs) -> tuple[Thumbs, Thumbs]:
        """Some films with another film of the batch shining through, moment by moment."""
        rng, each = self.rng, self.config.moments_per_film
        films = len(clean) // each
        share = rng.uniform(0.15, 0.4, films) * (rng.uniform(0, 1, films) < BLENDED_SHARE)
        share = np.repeat(share, each)[:, None, None]
        other = (np.repeat(rng.permutation(films) * each, each).reshape(films, each) + np.arange(each)).ravel()
        over, under = ((part * (1 - share) + part[other] * share).astype(np.uint8) for part in (clean, shown))
        return over, under

    def _moments_of(self, film: int) -> npt.NDArray[np.int64]:
        at: npt.NDArray[np.int64] = self.first[film] + self.rng.integers(
            0, self.count[film], self.config.moments_per_film
        )
        return at


@dataclass(frozen=True)
class _Cut:
    """A part of a picture, mirrored or not, and a tone. box: left, top, width, height, in shares of its sides."""

    box: tuple[float, ...]
    mirrored: bool
    gamma: float

    def towards(self, other: "_Cut", share: float) -> "_Cut":
        """The part that lies so far on the way to another one; mirrored, and of the tone, as this one."""
        box = tuple((1 - share) * a + share * b for a, b in zip(self.box, other.box, strict=True))
        return _Cut(box, self.mirrored, self.gamma)

    def of(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The part of a picture (H, W), at its full size."""
        left, top, width, height = self.box
        x0, y0 = round(left * THUMB_WIDTH), round(top * THUMB_HEIGHT)
        x1, y1 = x0 + max(round(width * THUMB_WIDTH), 8), y0 + max(round(height * THUMB_HEIGHT), 8)
        part = cv2.resize(picture[y0:y1, x0:x1], (THUMB_WIDTH, THUMB_HEIGHT), interpolation=cv2.INTER_LINEAR)
        tone = ((np.arange(256) / 255) ** self.gamma * 255).astype(np.uint8)
        toned = tone[part]
        return np.ascontiguousarray(toned[:, ::-1]) if self.mirrored else toned


def _same_picture(clean: Thumbs) -> npt.NDArray[np.bool_]:
    """Which of N pictures look alike, bool (N, N)."""
    small = clean[:, ::4, ::4].reshape(len(clean), -1).astype(np.float32)
    distance: npt.NDArray[np.float32] = np.stack([np.abs(small - one).mean(axis=1) for one in small])
    return distance < SAME_PICTURE
