"""First stage: bytes to pictures, in threads; a frame that comes as a code has no picture."""

from collections.abc import Sequence

from pipeline.frames import Frame
from pipeline.indexing import INDEX_MAX_SIDE
from pipeline.jpeg import decode_jpeg
from pipeline.media import MAX_SIDE
from pipeline.messages import CODE, JPEG, QUERY, BadMessage
from pipeline.stages.work import CameraFrame, Stage
from pipeline.views import CodedFrame
from pipeline.wire import unpack_readings

LEAST_SIDE = 16  # pixels; a smaller picture shows no film


class Decode(Stage):
    """Fills in `frame`, or `coded` for a code. encoder: SHA-256 of the model whose codes are taken."""

    name = "decode"

    def __init__(self, encoder: str) -> None:
        self.encoder = encoder

    def work(self, frames: Sequence[CameraFrame]) -> None:
        """See `Stage.work`."""
        for one in frames:
            message = one.message
            pts_seconds = message.ts_ns / 1e9
            if message.type == JPEG:
                image = decode_jpeg(message.value, INDEX_MAX_SIDE if message.role != QUERY else MAX_SIDE)
                if min(image.shape[:2]) < LEAST_SIDE:
                    height, width = image.shape[:2]
                    raise BadMessage("not an image", f"the picture has {width} x {height} pixels, too few for a film")
                one.frame = Frame(image, pts_seconds)
            elif message.type == CODE:
                one.coded = self._coded(one, pts_seconds)

    def _coded(self, one: CameraFrame, pts_seconds: float) -> CodedFrame:
        message = one.message
        if message.encoder not in ("", self.encoder):
            raise BadMessage("encoder", f"coded with encoder {message.encoder[:12]}, here it is {self.encoder[:12]}")
        try:
            readings = unpack_readings(message.value, len(message.views), pts_seconds)
        except ValueError as error:
            raise BadMessage("code", str(error)) from None
        return CodedFrame(pts_seconds, dict(zip(message.views, readings, strict=True)))
