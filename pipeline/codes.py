"""32-bit frame codes: the values every other stage speaks in."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

CODE_BITS = 32  # bit k of a code has the weight 2**k

CodeArray = npt.NDArray[np.uint32]
MarginArray = npt.NDArray[np.float32]
SecondsArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FrameCodes:
    """The codes of consecutive frames of one source.

    pts_seconds: float64 (N,), not decreasing.
    codes: uint32 (N,).
    margins: float32 (N, 32), >= 0: log-odds, in nats, that the bit survives the camera.
    lights: float32 (N, 128), mean light of the picture's blocks (see `pipeline.motion`), None where only codes came.

    Raises ValueError when the leading sizes differ.
    """

    pts_seconds: SecondsArray
    codes: CodeArray
    margins: MarginArray = field(repr=False)
    lights: npt.NDArray[np.float32] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        n = len(self.codes)
        if self.pts_seconds.shape != (n,) or self.margins.shape != (n, CODE_BITS):
            raise ValueError(
                f"sizes differ: {self.pts_seconds.shape = }, {self.codes.shape = }, {self.margins.shape = }"
            )

    def __len__(self) -> int:
        return len(self.codes)

    def since(self, start_seconds: float) -> "FrameCodes":
        """The frames from this moment on."""
        first = int(np.searchsorted(self.pts_seconds, start_seconds))
        lights = None if self.lights is None else self.lights[first:]
        return FrameCodes(self.pts_seconds[first:], self.codes[first:], self.margins[first:], lights)

    @staticmethod
    def concatenate(parts: "Sequence[FrameCodes]") -> "FrameCodes":
        """Joins parts in the order given; no parts give an empty result."""
        if not parts:
            return FrameCodes(np.empty(0), np.empty(0, np.uint32), np.empty((0, CODE_BITS), np.float32))
        lights = [part.lights for part in parts if part.lights is not None]
        complete = sum(map(len, lights)) == sum(map(len, parts))
        return FrameCodes(
            np.concatenate([part.pts_seconds for part in parts]),
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.margins for part in parts]),
            np.concatenate(lights) if lights and complete else None,
        )


def unpack_bits(codes: CodeArray) -> npt.NDArray[np.uint8]:
    """uint32 (...) -> uint8 (..., 32), bit k of the code at position k."""
    return ((codes[..., None] >> np.arange(CODE_BITS, dtype=np.uint32)) & np.uint32(1)).astype(np.uint8)


def pack_bits(bits: npt.NDArray[np.generic]) -> CodeArray:
    """0/1 (..., 32) -> uint32 (...); the inverse of `unpack_bits`."""
    weights = np.uint32(1) << np.arange(CODE_BITS, dtype=np.uint32)
    codes: CodeArray = (bits.astype(np.uint32) * weights).sum(axis=-1, dtype=np.uint32)
    return codes


def hamming_distance(a: CodeArray, b: CodeArray) -> npt.NDArray[np.uint8]:
    """Number of differing bits, 0..32, with NumPy broadcasting of a against b."""
    return np.bitwise_count(np.bitwise_xor(a, b))
