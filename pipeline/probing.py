"""Query-directed probing: which codes to look up for a frame whose bits are not all certain.

Lv, Josephson, Wang, Charikar, Li, "Multi-probe LSH", VLDB 2007, section 4.2: perturbations are tried in the order
of their score; here the score of flipping a set of bits is the sum of their margins, so that the likeliest true
codes come first.
"""

import numpy as np
import numpy.typing as npt

from pipeline.codes import CodeArray, MarginArray

UNCERTAIN_BITS = 7  # bits considered for flipping; with 16 to 64 probes an eighth is hardly ever among the best


def probe_codes(codes: CodeArray, margins: MarginArray, probes: int) -> CodeArray:
    """The likeliest true codes of each frame, best first.

    codes: uint32 (N,). margins: float32 (N, 32). probes: 1 .. 128, how many codes to give for a frame.
    Returns uint32 (N, probes); the first column is `codes` itself.
    Raises ValueError when probes is out of range.
    """
    if not 1 <= probes <= 1 << UNCERTAIN_BITS:
        raise ValueError(f"probes must be 1 to {1 << UNCERTAIN_BITS}, got {probes}")
    subsets = _subsets()
    places = np.argpartition(margins, UNCERTAIN_BITS, axis=1)[:, :UNCERTAIN_BITS]  # (N, U)
    cost = np.take_along_axis(margins, places, axis=1) @ subsets.T  # (N, 2^U)
    cost[:, 0] = -1.0  # no flip comes first, also where a margin is 0
    chosen = np.argsort(cost, axis=1, kind="stable")[:, :probes]  # (N, probes)
    bits = (np.uint32(1) << places.astype(np.uint32)).astype(np.uint64)
    flips = bits @ subsets.T.astype(np.uint64)  # (N, 2^U): distinct bits, so the sum is their union
    return codes[:, None] ^ np.take_along_axis(flips, chosen, axis=1).astype(np.uint32)


def _subsets() -> npt.NDArray[np.float32]:
    """All subsets of the uncertain bits as 0/1 rows, float32 (2^U, U)."""
    numbers = np.arange(1 << UNCERTAIN_BITS)[:, None]
    return ((numbers >> np.arange(UNCERTAIN_BITS)) & 1).astype(np.float32)
