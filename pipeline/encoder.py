"""Frames to 32-bit codes, by an encoder bundle on ONNX Runtime."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from pipeline.bundles import Bundle, load_bundle, shipped_bundle
from pipeline.codes import FrameCodes
from pipeline.errors import BundleError
from pipeline.frames import Frame, RgbImage
from pipeline.settings import settings

ENCODER = "encoder"
CPU_PROVIDER = "CPUExecutionProvider"
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
        providers = _providers(onnxruntime.get_available_providers())
        # On a CPU a batch is shared out to threads that run the graph side by side: half of its time is GridSample,
        # which ONNX Runtime itself runs in one thread for a picture of one channel.
        self._workers = (threads or os.cpu_count() or 1) if providers == [CPU_PROVIDER] else 1
        self._pool = ThreadPoolExecutor(self._workers, "encode") if self._workers > 1 else None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1 if self._pool else (threads or 0)
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(bundle.model_path), options, providers=providers)
        except _load_errors() as error:
            reason = str(error).splitlines()[0]
            raise BundleError(f"bundle {bundle.folder}: ONNX Runtime cannot load it ({reason})") from None
        self._check_contract()

    def _check_contract(self) -> None:
        inputs = {entry.name: entry.type for entry in self._session.get_inputs()}
        outputs = {entry.name: entry.type for entry in self._session.get_outputs()}
        if inputs != {"frames": "tensor(uint8)", "corners": "tensor(float)"}:
            raise BundleError(f"bundle {self.bundle.folder}: inputs {inputs} are not those of an encoder")
        if outputs != {"codes": "tensor(uint32)", "margins": "tensor(float)"}:
            raise BundleError(f"bundle {self.bundle.folder}: outputs {outputs} are not those of an encoder")

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


def batches_of_one_size(frames: Iterable[Frame], limit: int) -> Iterator[list[Frame]]:
    """Consecutive frames of one picture size, at most `limit` at a time."""
    batch: list[Frame] = []
    for frame in frames:
        if batch and (len(batch) == limit or frame.image.shape != batch[0].image.shape):
            yield batch
            batch = []
        batch.append(frame)
    if batch:
        yield batch


@cache
def default_encoder(folder: Path | None = None) -> Encoder:
    """The encoder of the settings (`VNOME_ENCODER`), or the one that VNOME ships; loaded once."""
    chosen = folder or settings().encoder
    return Encoder(load_bundle(chosen, ENCODER) if chosen else shipped_bundle(ENCODER))


def _providers(available: Sequence[str]) -> list[str]:
    wanted = ("CUDAExecutionProvider", CPU_PROVIDER)
    return [name for name in wanted if name in available]


def _load_errors() -> tuple[type[Exception], ...]:
    state = onnxruntime.capi.onnxruntime_pybind11_state
    return (
        state.Fail,
        state.InvalidProtobuf,
        state.InvalidGraph,
        state.NoSuchFile,
        state.InvalidArgument,
        state.NotImplemented,
        state.RuntimeException,
    )
