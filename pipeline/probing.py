"""Query-directed probing: which codes to look up for a frame whose bits are not all certain.

Lv, Josephson, Wang, Charikar, Li, "Multi-probe LSH", VLDB 2007, section 4.2: perturbations are tried in the order
of their score; here the score of flipping a set of bits is the sum of their margins, so that the likeliest true
codes come first.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from pipeline.codes import CodeArray, MarginArray

FEW_PROBES, FEW_BITS = 128, 7  # up to so many probes, an eighth bit is hardly ever among the best subsets
MOST_BITS = 12  # considered for flipping when there are more probes
MOST_PROBES = 1 << MOST_BITS


def probe_codes(codes: CodeArray, margins: MarginArray, probes: int) -> CodeArray:
    """The likeliest true codes of each frame, best first.

    codes: uint32 (N,). margins: float32 (N, 32). probes: 1 .. 4096, how many codes to give for a frame.
    Returns uint32 (N, probes); the first column is `codes` itself.
    Raises ValueError when probes is out of range.
    """
    if not 1 <= probes <= MOST_PROBES:
        raise ValueError(f"probes must be 1 to {MOST_PROBES}, got {probes}")
    bits = FEW_BITS if probes <= FEW_PROBES else MOST_BITS
    subsets = _subsets(bits)
    places = np.argpartition(margins, bits, axis=1)[:, :bits]  # (N, U)
    cost = np.take_along_axis(margins, places, axis=1) @ subsets.T  # (N, 2^U)
    cost[:, 0] = -1.0  # no flip comes first, also where a margin is 0
    best = np.argpartition(cost, probes - 1, axis=1)[:, :probes] if probes < cost.shape[1] else None
    chosen = _cheapest_first(cost, best)[:, :probes]  # (N, probes)
    values = (np.uint32(1) << places.astype(np.uint32)).astype(np.uint64)
    flips = values @ subsets.T.astype(np.uint64)  # (N, 2^U): distinct bits, so the sum is their union
    return codes[:, None] ^ np.take_along_axis(flips, chosen, axis=1).astype(np.uint32)


def _cheapest_first(cost: npt.NDArray[np.float32], among: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int64]:
    """Columns in the order of their cost, those of `among` (N, P) or all; of equals the first."""
    if among is None:
        return np.argsort(cost, axis=1, kind="stable")
    among = np.sort(among, axis=1)
    order = np.argsort(np.take_along_axis(cost, among, axis=1), axis=1, kind="stable")
    return np.take_along_axis(among, order, axis=1)


@cache
def _subsets(bits: int) -> npt.NDArray[np.float32]:
    """All subsets of the uncertain bits as 0/1 rows, float32 (2^U, U)."""
    numbers = np.arange(1 << bits)[:, None]
    return ((numbers >> np.arange(bits)) & 1).astype(np.float32)
