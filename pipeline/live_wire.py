"""What a phone sends over the WebSocket: 40 bytes a reading of a frame, little endian.

uint32      bits 0 to 27: time of the frame in ms, on the sender's own clock; bits 28 to 31: the reading, an index of
            `pipeline.views.VIEWS`
uint32      the code
32 x uint8  margins, in steps of 1/16 nat, up to 15.9

The readings of one frame have the same time and come in one message.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.codes import CODE_BITS, FrameCodes
from pipeline.errors import InputError
from pipeline.views import VIEWS, CodedFrame
from pipeline.wire import MARGIN_STEP

_RECORD = np.dtype([("time", "<u4"), ("code", "<u4"), ("margins", "u1", (CODE_BITS,))])
RECORD_BYTES = _RECORD.itemsize  # 40
TIME_BITS = 28
LAST_MS = (1 << TIME_BITS) - 1  # 74 hours


def pack_frame(time_ms: int, readings: Sequence[tuple[int, FrameCodes]]) -> bytes:
    """The message of one frame: (view, its code), one frame in each. Raises ValueError for a time out of range."""
    if not 0 <= time_ms <= LAST_MS:
        raise ValueError(f"a time is 0 to {LAST_MS} ms, got {time_ms = }")
    records = np.zeros(len(readings), _RECORD)
    for record, (view, codes) in zip(records, readings, strict=True):
        record["time"] = view << TIME_BITS | time_ms
        record["code"] = codes.codes[0]
        record["margins"] = np.clip(np.round(codes.margins[0] / MARGIN_STEP), 0, 255)
    return records.tobytes()


def unpack_frames(data: bytes) -> list[CodedFrame]:
    """The frames of one message, or of many one after the other. Raises InputError for anything else."""
    if not data or len(data) % RECORD_BYTES:
        raise InputError(f"{len(data)} bytes are not one or more records of {RECORD_BYTES} bytes")
    records = np.frombuffer(data, _RECORD)
    views = records["time"] >> np.uint32(TIME_BITS)
    if int(views.max()) >= len(VIEWS):
        raise InputError(f"a record has reading {int(views.max())}; there are 0 to {len(VIEWS) - 1}")
    times = (records["time"] & np.uint32(LAST_MS)).astype(np.int64)
    if (np.diff(times) < 0).any():
        raise InputError("the times of the records of a message go back; send them in their order")
    frames: list[CodedFrame] = []
    for k, (view, time_ms) in enumerate(zip(views.tolist(), times.tolist(), strict=True)):
        codes = FrameCodes(
            np.array([time_ms / 1000]),
            records["code"][k : k + 1].astype(np.uint32),
            records["margins"][k : k + 1].astype(np.float32) * np.float32(MARGIN_STEP),
        )
        if frames and frames[-1].pts_seconds == time_ms / 1000:
            frames[-1] = CodedFrame(time_ms / 1000, {**frames[-1].views, view: codes})
        else:
            frames.append(CodedFrame(time_ms / 1000, {view: codes}))
    return frames
