"""Frames to 32-bit codes, by an encoder bundle on ONNX Runtime."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.bundles import Bundle, load_bundle, shipped_bundle
from pipeline.codes import FrameCodes
from pipeline.frames import Frame, RgbImage
from pipeline.inference import cpu_workers, open_session
from pipeline.settings import settings

ENCODER = "encoder"
BATCH_FRAMES = 8  # larger batches are no faster on two cores, and hold more pictures

Corners = npt.NDArray[np.float32]  # (4, 2) x, y in pixels, clockwise from the film's top left


def whole_picture(image: RgbImage) -> Corners:
    """The corners of the picture itself."""
    height, width = image.shape[:2]
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)


def mirrored(corners: Corners) -> Corners:
    """The corners of the same screen seen in a mirror: left and right change places."""
    return corners[[1, 0, 3, 2]]


class FrameEncoder(ABC):
    """Anything that codes frames in 32 bits."""

    @abstractmethod
    def encode_batch(
        self, images: npt.NDArray[np.uint8], corners: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """Pictures of one size and their screens -> codes and margins.

        images: uint8 (N, H, W, 3) RGB. corners: float32 (N, 4, 2) pixels.
        Returns codes uint32 (N,) and margins float32 (N, 32), in nats.
        """

    def encode_views(self, frames: Sequence[Frame], views: Sequence[Sequence[Corners]]) -> list[FrameCodes]:
        """Codes of the same frames under several readings of where the screen is.

        frames: of one size. views: for each view the corners of every frame. Returns one `FrameCodes` a view.
        """
        pts = np.array([frame.pts_seconds for frame in frames])
        parts: list[list[FrameCodes]] = [[] for _ in views]
        for start in range(0, len(frames), BATCH_FRAMES):
            batch = slice(start, start + BATCH_FRAMES)
            images = np.stack([frame.image for frame in frames[batch]])
            for part, view in zip(parts, views, strict=True):
                codes, margins = self.encode_batch(images, np.stack(view[batch]))
                part.append(FrameCodes(pts[batch], codes, margins))
        return [FrameCodes.concatenate(part) for part in parts]


class Encoder(FrameEncoder):
    """An encoder bundle, ready to run.

    threads: processor threads; default all. Raises BundleError when the model cannot be loaded or has other
    inputs and outputs than the contract names.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.bundle = bundle
        self._workers = cpu_workers(threads)
        self._pool = ThreadPoolExecutor(self._workers, "encode") if self._workers > 1 else None
        inputs = {"frames": "tensor(uint8)", "corners": "tensor(float)"}
        outputs = {"codes": "tensor(uint32)", "margins": "tensor(float)"}
        self._session = open_session(bundle, 1 if self._pool else (threads or 0), inputs, outputs)

    def encode_batch(
        self, images: npt.NDArray[np.uint8], corners: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """See `FrameEncoder.encode_batch`."""
        if self._pool is None or len(images) == 1:
            return self._run(images, corners)
        shares = min(self._workers, len(images))
        parts = list(self._pool.map(self._run, np.array_split(images, shares), np.array_split(corners, shares)))
        return np.concatenate([codes for codes, _ in parts]), np.concatenate([margins for _, margins in parts])

    def _run(
        self, images: npt.NDArray[np.uint8], corners: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        codes, margins = self._session.run(["codes", "margins"], {"frames": images, "corners": corners})
        return codes, margins


def batches_of_one_size(
    frames: Iterable[Frame], limit: int, ends: Callable[[Frame], bool] = lambda _: False
) -> Iterator[list[Frame]]:
    """Consecutive frames of one picture size, at most `limit` at a time; a frame for which `ends` holds is the last."""
    batch: list[Frame] = []
    for frame in frames:
        if batch and frame.image.shape != batch[0].image.shape:
            yield batch
            batch = []
        batch.append(frame)
        if len(batch) == limit or ends(frame):
            yield batch
            batch = []
    if batch:
        yield batch


@cache
def default_encoder(folder: Path | None = None) -> Encoder:
    """The encoder of the settings (`VNOME_ENCODER`), or the one that VNOME ships; loaded once."""
    chosen = folder or settings().encoder
    return Encoder(load_bundle(chosen, ENCODER) if chosen else shipped_bundle(ENCODER))
