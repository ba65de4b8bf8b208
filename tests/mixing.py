"""The way back from a mixed code."""

import numpy as np

from pipeline.codes import CodeArray


def unmix(mixed: CodeArray) -> CodeArray:
    """The inverse of `pipeline.buckets.mix`: its steps backwards, with the multipliers' inverses modulo 2**32."""
    h = mixed ^ (mixed >> np.uint32(16))
    h = h * np.uint32(pow(0xC2B2AE35, -1, 2**32))
    h = h ^ (h >> np.uint32(13)) ^ (h >> np.uint32(26))
    h = h * np.uint32(pow(0x85EBCA6B, -1, 2**32))
    codes: CodeArray = h ^ (h >> np.uint32(16))
    return codes
