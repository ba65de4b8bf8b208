"""Codes as bytes, on Kafka and in Redis: 36 bytes a reading, or 292 with the light of its blocks.

code     uint32, little endian
margins  32 x uint8, steps of 1/16 nat, up to 15.9
lights   128 x uint16, little endian, steps of 1/256 grey level; only in the long form
"""

from collections.abc import Sequence

import numpy as np

from pipeline.codes import CODE_BITS, FrameCodes
from pipeline.motion import BLOCKS

MARGIN_STEP = 1 / 16  # nats
LIGHT_STEP = 1 / 256  # grey levels
_SHORT = np.dtype([("code", "<u4"), ("margins", "u1", (CODE_BITS,))])
_LONG = np.dtype([*_SHORT.descr, ("lights", "<u2", (BLOCKS,))])
SHORT_BYTES, LONG_BYTES = _SHORT.itemsize, _LONG.itemsize


def pack_readings(readings: Sequence[FrameCodes]) -> bytes:
    """Readings of one frame, one frame in each; in the long form when all of them have lights."""
    lit = all(reading.lights is not None for reading in readings)
    records = np.zeros(len(readings), _LONG if lit else _SHORT)
    for record, reading in zip(records, readings, strict=True):
        record["code"] = reading.codes[0]
        record["margins"] = np.clip(np.round(reading.margins[0] / MARGIN_STEP), 0, 255)
        if lit and reading.lights is not None:
            record["lights"] = np.clip(np.round(reading.lights[0] / LIGHT_STEP), 0, 65535)
    return records.tobytes()


def unpack_readings(data: bytes, count: int, pts_seconds: float) -> list[FrameCodes]:
    """The inverse of `pack_readings`, for `count` readings of a frame. Raises ValueError for another length."""
    if not count or len(data) not in (count * SHORT_BYTES, count * LONG_BYTES):
        raise ValueError(f"{len(data)} bytes are not {count} readings of {SHORT_BYTES} or {LONG_BYTES} bytes")
    lit = len(data) == count * LONG_BYTES
    records = np.frombuffer(data, _LONG if lit else _SHORT)
    pts = np.array([pts_seconds])
    return [
        FrameCodes(
            pts,
            records["code"][k : k + 1].astype(np.uint32),
            records["margins"][k : k + 1].astype(np.float32) * np.float32(MARGIN_STEP),
            records["lights"][k : k + 1].astype(np.float32) * np.float32(LIGHT_STEP) if lit else None,
        )
        for k in range(count)
    ]
