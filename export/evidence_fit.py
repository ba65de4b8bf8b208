"""Measures of an encoder what `pipeline.evidence` needs: how the camera changes soft codes, and what chance looks like.

It is measured through the encoder as it runs, picture in and code out, so that it holds for any bundle.
"""

# P pairs, B bits, K scales

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from export.camera import Camera
from export.data import Moments
from pipeline.codes import CodeArray, MarginArray
from pipeline.encoder import FrameEncoder
from pipeline.soft import LevelArray, SoftArray, levels_of, pack_soft, soft_of_levels, soft_of_margins

STRENGTHS = (0.2, 0.5, 0.9, 1.4)  # of the camera: from a plain copy to a hard recording
PICTURE_SIDE = 128  # pixels of a photographed picture, twice the network's
SCALES = np.array([0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0])  # sizes of the error's variance
# Smaller errors count as of this size: in a scene that stands still, the coding of a copy is by accident nearer to one
# moment's than to another's, and finer scales took that for evidence: of 35 clips of a lecture 29 were right, not 35.
FINEST_SCALE = 1.0
BACKGROUND = 2048  # soft codes in the card
ROUNDS = 30  # of expectation and maximisation; the shares move by less than 0.001 after 20
FADE_LIGHT = 0.01  # what is left of the light at the end of a fade
LEAST_CROP = 0.25  # of a picture's sides
BATCH = 64

FloatArray = npt.NDArray[np.float64]


def measure_evidence(encoder: FrameEncoder, unseen: Moments, world: Moments, seed: int) -> dict[str, Any]:
    """The card's section "evidence".

    unseen: moments of films that training never saw, for the errors. world: of many films, for the background.
    """
    generator = torch.Generator().manual_seed(seed)
    codes, margins = encode_pictures(encoder, _pictures(unseen))
    clean = soft_of_levels(codes, levels_of(margins))
    shown = [
        soft_of_margins(*encode_pictures(encoder, _photographs(unseen, strength, generator))) for strength in STRENGTHS
    ]
    gain, whitening, shares = fit_errors(np.concatenate([clean] * len(STRENGTHS)), np.concatenate(shown))
    finest = int(np.argmax(SCALES >= FINEST_SCALE))
    shares = np.append(shares[: finest + 1].sum(), shares[finest + 1 :])
    background, levels = _background(encoder, world, seed)
    return {
        "gain": gain.round(4).tolist(),
        "whitening": whitening.round(4).tolist(),
        "scales": SCALES[finest:].tolist(),
        "shares": shares.round(4).tolist(),
        "background": base64.b64encode(pack_soft(background, levels)).decode(),
    }


def fit_errors(clean: SoftArray, shown: SoftArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gain (B,), whitening (B, B) and shares (K,) of `pipeline.evidence.EvidenceModel`, from pairs (P, B).

    The error is normal with one covariance and a size of its own in every pair, one of `SCALES`: expectation and
    maximisation for a scale mixture of normals (Andrews and Mallows, 1974; McLachlan and Krishnan, 1997, section 2.6).
    """
    y, x = clean.astype(np.float64), shown.astype(np.float64)
    gain = (x * y).sum(axis=0) / (y**2).sum(axis=0)
    error = x - gain * y
    bits = error.shape[1]
    covariance = np.cov(error.T) + 1e-3 * np.eye(bits)
    shares = np.full(len(SCALES), 1 / len(SCALES))
    for _ in range(ROUNDS):
        whitening = np.linalg.cholesky(np.linalg.inv(covariance))
        squared = ((error @ whitening) ** 2).sum(axis=1)  # (P,)
        log = np.log(shares) - 0.5 * bits * np.log(SCALES) - 0.5 * squared[:, None] / SCALES  # (P, K)
        belongs = np.exp(log - np.logaddexp.reduce(log, axis=1)[:, None])
        shares = belongs.mean(axis=0) + 1e-6
        shares /= shares.sum()
        weights = (belongs / SCALES).sum(axis=1)
        covariance = (error * weights[:, None]).T @ error / len(error) + 1e-3 * np.eye(bits)
    return gain, np.linalg.cholesky(np.linalg.inv(covariance)), shares


def encode_pictures(
    encoder: FrameEncoder, pictures: Iterator[npt.NDArray[np.uint8]], crop: np.random.Generator | None = None
) -> tuple[CodeArray, MarginArray]:
    """Codes and margins of batches of grey pictures, uint8 (N, H, W).

    Each is a whole screen, or with `crop` a random part of one, a quarter of its sides at least.
    """
    codes, margins = [], []
    for batch in pictures:
        corners = np.repeat(np.array([[[0, 0], [1, 0], [1, 1], [0, 1]]], np.float32), len(batch), axis=0)
        if crop is not None:
            size = crop.uniform(LEAST_CROP, 1, (len(batch), 1, 2))
            corners = (crop.uniform(0, 1, size.shape) * (1 - size) + corners * size).astype(np.float32)
        corners *= np.array(batch.shape[:0:-1], np.float32)
        coded = encoder.encode_batch(np.repeat(batch[:, :, :, None], 3, axis=3), corners)
        codes.append(coded[0])
        margins.append(coded[1])
    return np.concatenate(codes), np.concatenate(margins)


def _pictures(moments: Moments) -> Iterator[npt.NDArray[np.uint8]]:
    for start in range(0, len(moments), BATCH):
        yield moments.thumbs[start : start + BATCH]


def _photographs(moments: Moments, strength: float, generator: torch.Generator) -> Iterator[npt.NDArray[np.uint8]]:
    camera = Camera(PICTURE_SIDE, strength)
    for batch in _pictures(moments):
        pictures = torch.from_numpy(batch).float().unsqueeze(1) / 255
        with torch.no_grad():
            shown = camera.photograph(pictures, generator)
        yield (shown[:, 0] * 255).round().to(torch.uint8).numpy()


def _background(encoder: FrameEncoder, world: Moments, seed: int) -> tuple[CodeArray, LevelArray]:
    """Soft codes of moments that are drawn evenly from the films and photographs.

    A third are parts of pictures: a query is also coded where a screen may be, and mostly none is. A third are whole
    pictures in a fade to black: films are full of them, short clips are not, and one dark scene looks like another.
    """
    rng = np.random.default_rng(seed)
    films, count = np.unique(world.film, return_counts=True)
    chance = np.repeat(1 / count, count)[np.argsort(np.argsort(world.film, kind="stable"), kind="stable")]
    chosen = rng.choice(len(world), min(BACKGROUND, len(world)), replace=False, p=chance / len(films))
    whole, part, faded = (world.take(np.sort(third)) for third in np.array_split(chosen, 3))
    coded = (
        encode_pictures(encoder, _pictures(whole)),
        encode_pictures(encoder, _pictures(part), crop=rng),
        encode_pictures(encoder, _fades(faded, rng)),
    )
    codes, margins = (np.concatenate(thirds) for thirds in zip(*coded, strict=True))
    return codes, levels_of(margins)


def _fades(moments: Moments, rng: np.random.Generator) -> Iterator[npt.NDArray[np.uint8]]:
    """Pictures darkened to a few grey levels, as the end of a fade leaves them."""
    for batch in _pictures(moments):
        light = FADE_LIGHT ** rng.uniform(0, 1, (len(batch), 1, 1))  # from 1 down, every halving as often
        yield (batch * light).astype(np.uint8)
