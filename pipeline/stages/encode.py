"""Fourth stage: codes, of all frames and readings together in batches."""

from collections.abc import Sequence

import numpy as np

from pipeline.encoder import BATCH_FRAMES, FrameEncoder, whole_picture
from pipeline.stages.detect import WARM_UP_SIZES
from pipeline.stages.work import CameraFrame, Stage
from pipeline.views import CodedFrame, code_frames


class Encode(Stage):
    """Fills in `coded`."""

    name = "encode"

    def __init__(self, encoder: FrameEncoder) -> None:
        self._encoder = encoder

    def warm_up(self) -> None:
        """Runs each batch size up to the largest at each size of picture: a GPU chooses its algorithms by shape."""
        for height, width in WARM_UP_SIZES:
            image = np.zeros((height, width, 3), np.uint8)
            for count in range(1, BATCH_FRAMES + 1):
                self._encoder.encode_batch(np.stack([image] * count), np.stack([whole_picture(image)] * count))

    def work(self, frames: Sequence[CameraFrame]) -> None:
        """See `Stage.work`."""
        pictures = [one for one in frames if one.frame is not None]
        coded = code_frames(
            self._encoder,
            [one.frame for one in pictures if one.frame is not None],
            [one.readings for one in pictures],
        )
        for one, views in zip(pictures, coded, strict=True):
            one.coded = CodedFrame(one.message.ts_ns / 1e9, views, one.only)
