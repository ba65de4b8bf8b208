"""Codes of real photographs of screens beside those of the pictures that the screens showed."""

# P pairs, O other pictures, B bits

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from export.pairs import ScreenPair
from pipeline.codes import CODE_BITS, CodeArray, MarginArray
from pipeline.encoder import Corners, FrameEncoder, whole_picture
from pipeline.frames import RgbImage
from pipeline.probing import probe_codes

PROBES = (1, 16, 64, 512)


def check_pairs(
    encoder: FrameEncoder,
    pairs: Sequence[ScreenPair],
    others: Sequence[RgbImage],
    seen: Sequence[Corners] | None = None,
) -> dict[str, Any]:
    """How far a photograph's code is from its picture's, and how often that picture is the nearest of all.

    others: further pictures to take it for. seen: where the screen is taken to be in each photograph, float32 (4, 2)
    pixels; None: where it is. Distances of "nearest" are the margins of the bits that differ, added up.
    """
    corners = [pair.corners.astype(np.float32) for pair in pairs] if seen is None else seen
    codes, margins = _coded(encoder, [pair.photo for pair in pairs], corners)
    pictures = [*(pair.original for pair in pairs), *others]
    known, _ = _coded(encoder, pictures, [whole_picture(picture) for picture in pictures])
    own = known[: len(pairs)]
    flips = np.bitwise_count(codes ^ own)
    tried = probe_codes(codes, margins, max(PROBES)) == own[:, None]
    return {
        "photographs": len(pairs),
        "among_pictures": len(pictures),
        "flips_mean": float(flips.mean()),
        **{f"hits_{probes}_probes": float(tried[:, :probes].any(axis=1).mean()) for probes in PROBES},
        "nearest": float(_own_is_nearest(codes, margins, known).mean()),
    }


def _own_is_nearest(codes: CodeArray, margins: MarginArray, known: CodeArray) -> npt.NDArray[np.bool_]:
    """Whether known[i] is nearer to codes[i] than all others; of pictures with one code, any."""
    nearest = []
    for place, (code, margin) in enumerate(zip(codes, margins, strict=True)):
        differs = ((known ^ code)[:, None] >> np.arange(CODE_BITS, dtype=np.uint32)) & 1  # (P + O, B)
        distance = differs @ margin.astype(np.float64)
        nearest.append(distance[place] <= distance.min())
    return np.array(nearest)


def _coded(
    encoder: FrameEncoder, pictures: Sequence[RgbImage], corners: Sequence[Corners]
) -> tuple[CodeArray, MarginArray]:
    """Codes uint32 (P,) and margins float32 (P, B) of pictures of any sizes."""
    coded = [
        encoder.encode_batch(picture[None], quad[None].astype(np.float32))
        for picture, quad in zip(pictures, corners, strict=True)
    ]
    return np.concatenate([codes for codes, _ in coded]), np.concatenate([margins for _, margins in coded])
