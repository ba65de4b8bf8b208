"""Baselines on the same frames and the same protocol: the first 32 bits of pHash."""

import cv2
import numpy as np
import numpy.typing as npt
import torch

from export.calibration import Calibration, PairCodes, calibrate_margins, pack
from export.camera import Camera
from export.data import Moments
from export.networks.rectify import Rectifier, luma
from pipeline.encoder import FrameEncoder

SIDE = 64  # of the rectified picture, as the network gets it
DCT_SIDE = 32


def phash_inputs(pictures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Distance of 32 low DCT coefficients from their median, float32 (N, 32); bit k is > 0.

    pHash (Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010, section 3.2.1):
    the 8x8 lowest coefficients of a 32x32 picture against their median; here the first 32 after the mean's.
    pictures: float32 (N, 64, 64) luma.
    """
    coefficients = []
    for picture in pictures:
        small = cv2.resize(picture, (DCT_SIDE, DCT_SIDE), interpolation=cv2.INTER_AREA)
        coefficients.append(cv2.dct(small)[:8, :8].ravel()[1:33])
    values = np.stack(coefficients)
    distance: npt.NDArray[np.float32] = (values - np.median(values, axis=1, keepdims=True)).astype(np.float32)
    return distance


class PhashEncoder(FrameEncoder):
    """pHash-32 with the screen rectified as for the network and margins calibrated as for the network."""

    def __init__(self, calibration: Calibration) -> None:
        self._slope = calibration.slope.numpy()
        self._offset = calibration.offset.numpy()
        self._rectifier = Rectifier(SIDE, 4)

    def encode_batch(
        self, images: npt.NDArray[np.uint8], corners: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """See `FrameEncoder.encode_batch`."""
        with torch.no_grad():
            pictures = self._rectifier(luma(torch.from_numpy(images)), torch.from_numpy(corners))
        v = phash_inputs(pictures[:, 0].numpy())
        return pack(v), np.maximum(0, self._offset + self._slope * np.abs(v)).astype(np.float32)


def calibrated_phash(moments: Moments, strength: float) -> PhashEncoder:
    """The baseline, its margins calibrated on these moments."""
    generator = torch.Generator().manual_seed(1)
    pictures = torch.from_numpy(moments.thumbs).float().unsqueeze(1) / 255
    height, width = pictures.shape[2:]
    corners = torch.tensor([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
    with torch.no_grad():
        clean = Rectifier(SIDE, 2)(pictures, corners.expand(len(pictures), 4, 2))
        shown = Camera(SIDE, strength).photograph(pictures, generator)
    pairs = PairCodes(phash_inputs(clean[:, 0].numpy()), phash_inputs(shown[:, 0].numpy()))
    return PhashEncoder(calibrate_margins(pairs))
