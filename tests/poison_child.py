"""`vnome`, but a frame that holds POISON kills the process while it is decoded, as a fault in a codec would."""

import os
import signal
from collections.abc import Sequence

from pipeline.cli import main
from pipeline.stages.decode import Decode
from pipeline.stages.work import CameraFrame

_work = Decode.work


def _poisoned(self: Decode, frames: Sequence[CameraFrame]) -> None:
    if any(b"POISON" in frame.message.value for frame in frames):
        os.kill(os.getpid(), signal.SIGKILL)
    _work(self, frames)


if __name__ == "__main__":
    Decode.work = _poisoned  # type: ignore[method-assign]
    main()
