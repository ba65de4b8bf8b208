"""Baselines at 32 bits, on the same rectified frames and through the same matcher as Sparse-Hash.

Each is a real-valued projection of the rectified picture whose signs are the bits; margins and evidence are measured
of it exactly as they are of Sparse-Hash.
"""

# N pictures, B = 32 bits, F features

from abc import ABC, abstractmethod

import cv2
import numpy as np
import numpy.typing as npt
import torch

from export.calibration import Calibration, PairCodes, calibrate_margins, pack
from export.camera import Camera
from export.data import Moments
from export.networks.rectify import Rectifier, luma
from export.networks.sparse_hash import SparseHashNetwork
from pipeline.codes import CODE_BITS
from pipeline.encoder import FrameEncoder

SIDE = 64  # of the rectified picture, as the network gets it
DCT_SIDE = 32
ITQ_ROUNDS = 50

Pictures = npt.NDArray[np.float32]  # (N, 64, 64) luma in 0..1
Values = npt.NDArray[np.float32]  # (N, 32); bit k is > 0


class Projection(ABC):
    """A picture's 32 values."""

    @abstractmethod
    def values(self, pictures: Pictures) -> Values:
        """float32 (N, 64, 64) -> float32 (N, 32)."""


class PhashProjection(Projection):
    """Distance of 32 low DCT coefficients from their median.

    pHash (Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010, section 3.2.1):
    the 8x8 lowest coefficients of a 32x32 picture against their median; here the first 32 after the mean's.
    """

    def values(self, pictures: Pictures) -> Values:
        coefficients = []
        for picture in pictures:
            small = cv2.resize(picture, (DCT_SIDE, DCT_SIDE), interpolation=cv2.INTER_AREA)
            coefficients.append(cv2.dct(small)[:8, :8].ravel()[1:33])
        values = np.stack(coefficients)
        distance: Values = (values - np.median(values, axis=1, keepdims=True)).astype(np.float32)
        return distance


class FeatureProjection(Projection):
    """A linear projection of the network's features, those that Sparse-Hash's own head works on.

    mean: (F,). matrix: (F, 32).
    """

    def __init__(self, network: SparseHashNetwork, mean: Values, matrix: Values) -> None:
        self._network, self._mean, self._matrix = network, mean, matrix

    def values(self, pictures: Pictures) -> Values:
        projected: Values = ((features(self._network, pictures) - self._mean) @ self._matrix).astype(np.float32)
        return projected


def lsh(network: SparseHashNetwork, pictures: Pictures, seed: int) -> FeatureProjection:
    """Random hyperplanes: Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002, section 3.

    Through the mean of the features of these pictures.
    """
    mean = features(network, pictures).mean(axis=0)
    matrix = np.random.default_rng(seed).standard_normal((len(mean), CODE_BITS)).astype(np.float32)
    return FeatureProjection(network, mean, matrix)


def itq(network: SparseHashNetwork, pictures: Pictures, seed: int) -> FeatureProjection:
    """Iterative quantisation: Gong and Lazebnik, "Iterative quantization", CVPR 2011, sections 2.1 and 2.2.

    The 32 main axes of the features of these pictures, turned so that signs lose least.
    """
    seen = features(network, pictures)
    mean = seen.mean(axis=0)
    return FeatureProjection(network, mean, itq_axes(seen - mean, seed))


def itq_axes(centred: Values, seed: int) -> Values:
    """The projection that ITQ learns from features around their mean, (N, F): float32 (F, 32). See `itq`."""
    wide = centred.astype(np.float64)
    _, vectors = np.linalg.eigh(wide.T @ wide)
    axes = vectors[:, -CODE_BITS:]
    projected = wide @ axes
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((CODE_BITS, CODE_BITS)))
    for _ in range(ITQ_ROUNDS):
        left, _, right = np.linalg.svd(np.sign(projected @ turn).T @ projected)
        turn = (left @ right).T
    learned: Values = (axes @ turn).astype(np.float32)
    return learned


class HeadProjection(Projection):
    """Sparse-Hash's own net inputs, to be set beside the baselines."""

    def __init__(self, network: SparseHashNetwork) -> None:
        self._network = network

    def values(self, pictures: Pictures) -> Values:
        with torch.no_grad():
            v = self._network(torch.from_numpy(pictures).unsqueeze(1)).v
        return np.asarray(v.numpy(), np.float32)


class SubmaskProjection(Projection):
    """Which of two units wins, in 32 of the maxout units under the head: sub-network identifiers.

    Srivastava, Masci, Gomez, Schmidhuber, "Understanding locally competitive networks", ICLR 2015, section 3.
    units: int64 (32,), places of the maxout units.
    """

    def __init__(self, network: SparseHashNetwork, units: npt.NDArray[np.int64]) -> None:
        self._network, self._units = network, units

    def values(self, pictures: Pictures) -> Values:
        return _leads(self._network, pictures)[:, self._units]


def submask(network: SparseHashNetwork, pictures: Pictures) -> SubmaskProjection:
    """The 32 maxout units whose winners are nearest to even on these pictures."""
    wins = (_leads(network, pictures) > 0).mean(axis=0)
    return SubmaskProjection(network, np.sort(np.argsort(np.abs(wins - 0.5), kind="stable")[:CODE_BITS]))


def _leads(network: SparseHashNetwork, pictures: Pictures) -> Values:
    """By how much the first unit of each pair is ahead of the second, float32 (N, F)."""
    flat, mix = network.mix[0], network.mix[1]
    with torch.no_grad():
        first, second = mix(flat(network.body(network.inputs(torch.from_numpy(pictures).unsqueeze(1))))).chunk(2, dim=1)
    return np.asarray((first - second).numpy(), np.float32)


def features(network: SparseHashNetwork, pictures: Pictures) -> Values:
    """What the network's head gets to see, float32 (N, F)."""
    with torch.no_grad():
        seen = network.mix(network.body(network.inputs(torch.from_numpy(pictures).unsqueeze(1))))
    return np.asarray(seen.numpy(), np.float32)


class ProjectionEncoder(FrameEncoder):
    """A projection with the screen rectified as for the network and margins calibrated as for the network."""

    def __init__(self, projection: Projection, calibration: Calibration) -> None:
        self._projection = projection
        self._slope = calibration.slope.numpy()
        self._offset = calibration.offset.numpy()
        self._rectifier = Rectifier(SIDE, 4)

    def encode_batch(
        self, images: npt.NDArray[np.uint8], corners: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """See `FrameEncoder.encode_batch`."""
        with torch.no_grad():
            pictures = self._rectifier(luma(torch.from_numpy(images)), torch.from_numpy(corners))
        v = self._projection.values(pictures[:, 0].numpy())
        return pack(v), np.maximum(0, self._offset + self._slope * np.abs(v)).astype(np.float32)


def whole_pictures(moments: Moments) -> Pictures:
    """The moments as the network gets them when nothing is changed."""
    with torch.no_grad():
        pictures = Rectifier(SIDE, 2)(*_with_corners(moments))
    return np.asarray(pictures[:, 0].numpy(), np.float32)


def camera_pairs(moments: Moments, strength: float, seed: int) -> tuple[Pictures, Pictures]:
    """The moments as the network gets them, clean and through the simulated camera."""
    pictures, _ = _with_corners(moments)
    with torch.no_grad():
        shown = Camera(SIDE, strength).photograph(pictures, torch.Generator().manual_seed(seed))
    return whole_pictures(moments), np.asarray(shown[:, 0].numpy(), np.float32)


def calibrated(projection: Projection, moments: Moments, strength: float) -> ProjectionEncoder:
    """The baseline as an encoder, its margins calibrated on these moments."""
    clean, shown = camera_pairs(moments, strength, seed=1)
    pairs = PairCodes(projection.values(clean), projection.values(shown))
    return ProjectionEncoder(projection, calibrate_margins(pairs))


def _with_corners(moments: Moments) -> tuple[torch.Tensor, torch.Tensor]:
    pictures = torch.from_numpy(moments.thumbs).float().unsqueeze(1) / 255
    height, width = pictures.shape[2:]
    corners = torch.tensor([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
    return pictures, corners.expand(len(pictures), 4, 2)
