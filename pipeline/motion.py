"""How light moves over the picture: tells the moments of a scene whose codes stay the same.

A lecture or a static camera gives one code for minutes, since a code is made to ignore small changes. What still
differs from second to second is how a head or a hand moves. The picture is cut into 16 x 8 blocks, and of the change
of each block's mean light over a sixth of a second the track keeps where it is largest, and its sign, while the codes
stand still. A query is verified by correlation with it, its screen held steady (`pipeline.steady`) and the change that
most of the picture shares, the camera's exposure, taken away. It never finds anything by itself: it only chooses
among the moments of a film already found.
"""

import zlib
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.encoder import Corners
from pipeline.errors import StoreError
from pipeline.frames import RgbImage

COLUMNS, ROWS = 16, 8
BLOCKS = COLUMNS * ROWS
TICK_SECONDS = 0.08  # the index's frame interval; moments are told apart as finely as this
STORED_TICKS = 2  # that share what is stored: of 3 a lecture's moments were told apart later
LAG_SECONDS = 0.16  # over which the change is taken: 0.24 told fewer moments of a lecture apart, 0.48 fewer still
LARGEST_BLOCKS = 4  # whose change is kept; with all 128 in seven steps, 15 times the bytes, no more moments are told
MOVING = 1.0  # grey levels; a block of the film that changes less stands still
LARGEST = 3.0  # grey levels; a cut or a flash must not outweigh all the rest of a query
NOISE = 0.5  # grey levels; a smaller change of a block is compression noise

PRIOR_CHANCE = 0.04  # deviation of the correlation that is assumed before it is measured
PRIOR_SECONDS = 20.0  # of film that this counts for: a short film measures it too small
TRUSTED_CHANCE = 5.0  # deviations; the model of chance is not trusted further out: from here on evidence grows linearly
STILL_SECONDS, STILL_RUNS = 6.0, 7  # with more runs around it, a moment is told from others by its codes

LightArray = npt.NDArray[np.float32]  # (N, 128): mean light of each block, 0..255


@dataclass(frozen=True)
class Motion:
    """Changes of light over a film: where they are largest.

    signs: int8 (S, 128) of -1, 0 and 1, each row for `STORED_TICKS` ticks, 0 where nothing is known.
    """

    signs: npt.NDArray[np.int8] = field(repr=False)

    @cached_property
    def steps(self) -> npt.NDArray[np.int8]:
        """The same for every tick, int8 (M, 128), tick i at i * `TICK_SECONDS`."""
        return np.repeat(self.signs, STORED_TICKS, axis=0)

    @staticmethod
    def of_film(pts_seconds: npt.NDArray[np.float64], lights: LightArray) -> "Motion":
        """The motion of a whole film. lights: (N, 128) at pts_seconds (N,)."""
        if len(pts_seconds) < 2:
            return Motion(np.zeros((0, BLOCKS), np.int8))
        middles = np.arange(0.0, pts_seconds[-1], STORED_TICKS * TICK_SECONDS) + (STORED_TICKS - 1) / 2 * TICK_SECONDS
        change = light_change(pts_seconds, lights, middles, LAG_SECONDS)
        size = np.abs(change)
        least = np.partition(size, -LARGEST_BLOCKS, axis=1)[:, -LARGEST_BLOCKS, None]
        moving = (size >= least) & (size >= MOVING)
        return Motion(np.where(moving, np.sign(change), 0).astype(np.int8))

    def where_still(self, run_starts: npt.NDArray[np.float64]) -> "Motion | None":
        """The same with zeros where the codes change often enough by themselves; None when nothing is left.

        run_starts: float64 (R,), seconds at which the code changes, increasing.
        """
        ticks = np.arange(len(self.signs)) * (STORED_TICKS * TICK_SECONDS)
        around = np.searchsorted(run_starts, ticks + STILL_SECONDS / 2) - np.searchsorted(
            run_starts, ticks - STILL_SECONDS / 2
        )
        still = around <= STILL_RUNS
        kept = np.where(still[:, None], self.signs, 0).astype(np.int8)
        return Motion(kept) if kept.any() else None

    def pack(self) -> bytes:
        """For storage; mostly zeros, so it shrinks well."""
        return zlib.compress(self.signs.tobytes(), 9)

    @staticmethod
    def unpack(data: bytes) -> "Motion":
        """The inverse of `pack`. Raises StoreError when damaged."""
        try:
            return Motion(np.frombuffer(zlib.decompress(data), np.int8).reshape(-1, BLOCKS))
        except (zlib.error, ValueError):
            raise StoreError("a stored motion track is damaged; index the film again") from None


def block_lights(image: RgbImage, corners: Corners) -> npt.NDArray[np.float32]:
    """Mean light (green) of each block of the screen, float32 (128,), row by row.

    image: uint8 (H, W, 3). corners: of the screen, pixels; a mirrored order gives mirrored blocks.
    """
    light = image[:, :, 1]
    left, top = corners.min(axis=0)
    right, bottom = corners.max(axis=0)
    upright = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    mirrored = np.array_equal(corners, upright[[1, 0, 3, 2]])
    if mirrored or np.array_equal(corners, upright):
        inside = light[max(int(top), 0) : int(bottom), max(int(left), 0) : int(right)]
        blocks = cv2.resize(inside, (COLUMNS * 4, ROWS * 4), interpolation=cv2.INTER_AREA)
        blocks = blocks[:, ::-1] if mirrored else blocks
    else:
        size = (COLUMNS * 4, ROWS * 4)
        target = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float32)
        blocks = cv2.warpPerspective(light, cv2.getPerspectiveTransform(corners, target), size)
    means: npt.NDArray[np.float32] = blocks.reshape(ROWS, 4, COLUMNS, 4).mean(axis=(1, 3), dtype=np.float32).ravel()
    return means


def light_change(
    pts_seconds: npt.NDArray[np.float64], lights: LightArray, at: npt.NDArray[np.float64], lag_seconds: float
) -> npt.NDArray[np.float64]:
    """Change of each block's light over the lag around the moments `at`, float64 (len(at), 128), grey levels."""

    def light(moments: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.stack([np.interp(moments, pts_seconds, lights[:, block]) for block in range(BLOCKS)], axis=1)

    return light(at + lag_seconds / 2) - light(at - lag_seconds / 2)


def motion_evidence(
    pts_seconds: npt.NDArray[np.float64], lights: LightArray, motion: Motion, middle_seconds: float, speed: float
) -> npt.NDArray[np.float64]:
    """Evidence for each tick of the film being the query's middle, float64 (M,), nats. lights: (N, 128) of the query.

    Correlation of the changes, against chance as measured: z^2 / 2 for a positive correlation, z in deviations over all
    moments of the same film, of a short one drawn towards what they are of most; from `TRUSTED_CHANCE` on a straight
    line (Huber, "Robust estimation of a location parameter", Ann. Math. Stat. 1964): neighbouring moments move alike.
    """
    inside = np.arange(pts_seconds[0] + LAG_SECONDS / 2, pts_seconds[-1] - LAG_SECONDS / 2, TICK_SECONDS)
    film = motion.steps.astype(np.float32)
    ticks = len(film)
    if len(inside) < 4 or ticks == 0:
        return np.zeros(ticks)
    change = light_change(pts_seconds, lights, inside, LAG_SECONDS / speed)
    change -= np.median(change, axis=1, keepdims=True)
    change = np.where(np.abs(change) < NOISE, 0.0, change).clip(-LARGEST, LARGEST)
    energy = float((change**2).sum())
    if energy == 0:
        return np.zeros(ticks)
    shift = np.round((inside - middle_seconds) * speed / TICK_SECONDS).astype(np.int64)
    products = film @ change.T.astype(np.float32)  # (M, T)
    power = (film**2).sum(axis=1)  # (M,)
    dot, norm = np.zeros(ticks), np.zeros(ticks)
    for step, offset in enumerate(shift):
        target, source = shifted(ticks, int(offset))
        dot[target] += products[source, step]
        norm[target] += power[source]
    correlation = dot / np.sqrt(norm * energy + 1e-6)
    known = correlation[norm > 0]
    measured = len(known) * TICK_SECONDS * float(known.var()) if len(known) else 0.0
    chance = (measured + PRIOR_SECONDS * PRIOR_CHANCE**2) / (len(known) * TICK_SECONDS + PRIOR_SECONDS)
    z = np.maximum(correlation, 0) / np.sqrt(chance)
    trusted = np.minimum(z, TRUSTED_CHANCE)
    evidence: npt.NDArray[np.float64] = trusted * (z - trusted / 2)
    return evidence


def shifted(length: int, offset: int) -> tuple[slice, slice]:
    """Slices (target, source) with source = target + offset, both inside 0 .. length."""
    start, stop = max(0, -offset), min(length, length - offset)
    return slice(start, max(start, stop)), slice(start + offset, max(start, stop) + offset)
