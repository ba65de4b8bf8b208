"""Soft codes: how sure each bit of a code was, kept in four bits a bit.

Two frames whose codes are equal need not look alike: there are far more pictures than codes that nature uses. What
the encoder knew beyond the code, its margins, tells them apart. A track keeps them in coarse levels.
"""

import numpy as np
import numpy.typing as npt

from pipeline.codes import CODE_BITS, CodeArray, MarginArray, pack_bits, unpack_bits

LEVELS = 8  # of a margin, in steps of a nat; the uppermost has no upper end
MIDDLING = 3  # the level of a code that came without margins
PACKED_BYTES = CODE_BITS // 2

LevelArray = npt.NDArray[np.uint8]  # (N, 32), 0 .. LEVELS - 1
SoftArray = npt.NDArray[np.float32]  # (N, 32): margins with the sign of their bit, nats


def levels_of(margins: MarginArray) -> LevelArray:
    """Margins, float32 (N, 32) in nats, as levels."""
    return np.clip(margins, 0, LEVELS - 1).astype(np.uint8)


def soft_of_levels(codes: CodeArray, levels: LevelArray) -> SoftArray:
    """Soft codes as stored: the middle of each level. codes: uint32 (N,)."""
    return _signed(codes, levels.astype(np.float32) + np.float32(0.5))


def soft_of_margins(codes: CodeArray, margins: MarginArray) -> SoftArray:
    """Soft codes of a query, which are not rounded. codes: uint32 (N,)."""
    return _signed(codes, np.minimum(margins, np.float32(LEVELS)))


def pack_soft(codes: CodeArray, levels: LevelArray) -> bytes:
    """Codes uint32 (N,) and their levels in `PACKED_BYTES` each: four bits a bit, the bit above its level."""
    nibbles = unpack_bits(codes) << np.uint8(3) | levels
    return (nibbles[:, 0::2] | nibbles[:, 1::2] << np.uint8(4)).astype(np.uint8).tobytes()


def unpack_soft(data: bytes) -> tuple[CodeArray, LevelArray]:
    """The inverse of `pack_soft`. Raises ValueError when the length is no multiple of `PACKED_BYTES`."""
    packed = np.frombuffer(data, np.uint8).reshape(-1, PACKED_BYTES)
    nibbles = np.stack([packed & np.uint8(15), packed >> np.uint8(4)], axis=2).reshape(-1, CODE_BITS)
    return pack_bits(nibbles >> np.uint8(3)), nibbles & np.uint8(LEVELS - 1)


def soft_steps(codes: CodeArray, levels: LevelArray) -> bytes:
    """Codes uint32 (N,) and their levels as steps from one to the next, a byte a bit: small alphabets compress well."""
    signed = np.where(unpack_bits(codes) == 1, LEVELS + levels, LEVELS - 1 - levels).astype(np.uint8)
    return (np.diff(signed, axis=0, prepend=np.full((1, CODE_BITS), LEVELS, np.uint8)) % np.uint8(2 * LEVELS)).tobytes()


def soft_of_steps(data: bytes) -> tuple[CodeArray, LevelArray]:
    """The inverse of `soft_steps`. Raises ValueError when the length is no multiple of 32."""
    steps = np.frombuffer(data, np.uint8).reshape(-1, CODE_BITS)
    signed = (np.cumsum(steps, axis=0, dtype=np.uint32) + np.uint32(LEVELS)).astype(np.uint8) % np.uint8(2 * LEVELS)
    ones = signed >= LEVELS
    levels: LevelArray = np.where(ones, signed - np.uint8(LEVELS), np.uint8(LEVELS - 1) - signed).astype(np.uint8)
    return pack_bits(ones.astype(np.uint8)), levels


def _signed(codes: CodeArray, sizes: npt.NDArray[np.float32]) -> SoftArray:
    signed: SoftArray = np.where(unpack_bits(codes) == 1, sizes, -sizes)
    return signed
