"""How well cells are told apart: pixel error, and the foreground-restricted Rand score of ISBI 2012.

Arganda-Carreras et al., "Crowdsourcing the creation of image segmentation algorithms for connectomics", Frontiers in
Neuroanatomy 9:142, 2015, sections 2.4 and 2.5: of a pair of pixels inside true cells, both segmentations say whether
they are of one cell. With p_ij the share of these pixels that are of true cell i and of found cell j,

    split = sum p_ij^2 / sum_i (sum_j p_ij)^2,  merge = sum p_ij^2 / sum_j (sum_i p_ij)^2

(in merge a true pixel that was found to be of a membrane is a cell of its own), and V_rand is their harmonic mean; 1 is
perfect. Cells are 4-connected. A map of membranes is cut at several thresholds, and the best one counts.
"""

# N slices, H and W their size in pixels

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

# Low ones as well: a gap of a few pixels in a membrane makes one cell of two, so that membranes count early.
THRESHOLDS = (0.005, 0.01, 0.02, 0.03, *(round(0.05 * step, 2) for step in range(1, 20)))
RESAMPLES = 2000

Cells = npt.NDArray[np.int32]  # number of the cell, from 1 on; 0 for none
Maps = npt.NDArray[np.float32]  # likelihood of a membrane, 0..1
Mask = npt.NDArray[np.bool_]


class Agreement(NamedTuple):
    """Pairs of pixels that are in one cell: of both segmentations, of the true one, and of the found one."""

    both: float
    true: float
    found: float

    @property
    def split(self) -> float:
        """1 when no true cell is in pieces."""
        return self.both / self.true

    @property
    def merge(self) -> float:
        """1 when no found cell is of several true ones."""
        return self.both / self.found

    @property
    def v_rand(self) -> float:
        """Harmonic mean of `split` and `merge`."""
        return 2 * self.both / (self.true + self.found)


class RandScore(NamedTuple):
    """The best V_rand of all thresholds, and what goes with it. threshold: above it a pixel is of a membrane."""

    v_rand: float
    split: float
    merge: float
    threshold: float


def pixel_errors(maps: Maps, membrane: Mask, threshold: float = 0.5) -> npt.NDArray[np.float64]:
    """Share of the pixels on the wrong side of the threshold, in each of N slices (N, H, W)."""
    wrong: npt.NDArray[np.float64] = ((maps > threshold) != membrane).mean(axis=(1, 2))
    return wrong


def cells_of(membrane: Mask) -> Cells:
    """Cells of one slice, (H, W): 4-connected pixels that are not of a membrane."""
    _, cells = cv2.connectedComponents((~membrane).astype(np.uint8), connectivity=4)
    return np.asarray(cells, np.int32)


def thinned(cells: Cells) -> Cells:
    """All cells of a slice grown until they meet: each pixel goes to the nearest cell. Without a cell, the same."""
    if not cells.any():
        return cells
    _, nearest = cv2.distanceTransformWithLabels(
        (cells == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    cell_of = np.zeros(nearest.max() + 1, np.int32)
    cell_of[nearest[cells > 0]] = cells[cells > 0]
    return np.asarray(cell_of[nearest], np.int32)


def agreement(true: Cells, found: Cells) -> Agreement:
    """Of one slice; pixels outside the true cells do not count. Raises ValueError when the shapes differ."""
    if true.shape != found.shape:
        raise ValueError(f"segmentations must be of one size, got {true.shape = }, {found.shape = }")
    inside = true > 0
    counts = np.zeros((true.max() + 1, found.max() + 1))
    np.add.at(counts, (true[inside], found[inside]), 1)
    alone = counts[:, 0].sum()  # found to be of a membrane: each a cell of its own
    overlap = np.square(counts[:, 1:])
    return Agreement(
        float(overlap.sum() + alone),
        float(np.square(counts.sum(axis=1)).sum()),
        float(np.square(counts[:, 1:].sum(axis=0)).sum() + alone),
    )


def agreements(maps: Maps, membrane: Mask, thin: bool) -> list[list[Agreement]]:
    """Of slices (N, H, W), for each threshold and slice. thin: the found membranes count only where cells meet."""
    true = [cells_of(one) for one in membrane]

    def found(one: Maps, threshold: float) -> Cells:
        cells = cells_of(one > threshold)
        return thinned(cells) if thin else cells

    return [
        [agreement(cells, found(one, threshold)) for cells, one in zip(true, maps, strict=True)]
        for threshold in THRESHOLDS
    ]


def best_score(table: list[list[Agreement]]) -> RandScore:
    """Over all slices of `agreements` together, at the threshold where V_rand is largest (the first of equals)."""
    sums = [Agreement(*(sum(part) for part in zip(*slices, strict=True))) for slices in table]
    best = max(range(len(sums)), key=lambda place: sums[place].v_rand)
    return RandScore(sums[best].v_rand, sums[best].split, sums[best].merge, THRESHOLDS[best])


def v_rands(table: list[list[Agreement]], drawn: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The best V_rand of each of R draws. drawn: (R, N), how often it drew each slice of `agreements`."""
    sums = np.einsum("rn,tnk->rtk", drawn, np.array(table))  # (R, thresholds, 3)
    best: npt.NDArray[np.float64] = (2 * sums[..., 0] / (sums[..., 1] + sums[..., 2])).max(axis=1)
    return best


def resampled(score: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]], slices: int) -> list[float]:
    """95 % interval of a score of draws (R, N), as for `v_rands`, with slices drawn anew: Efron's percentiles.

    Slices of one stack are alike, and so are few: a stack of another brain may well lie outside.
    """
    drawn = np.random.default_rng(0).multinomial(slices, np.full(slices, 1 / slices), size=RESAMPLES)
    return [round(float(value), 4) for value in np.percentile(score(drawn), [2.5, 97.5])]
