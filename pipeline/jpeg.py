"""JPEG pictures of cameras, decoded no larger than they are used."""

import cv2
import numpy as np
import simplejpeg

from pipeline.frames import RgbImage
from pipeline.media import MAX_SIDE
from pipeline.messages import BadMessage

MOST_PIXELS = 50_000_000  # a larger picture is an attack on the memory, or no camera's
_START, _END = b"\xff\xd8", b"\xff\xd9"


def decode_jpeg(data: bytes, max_side: int = MAX_SIDE) -> RgbImage:
    """The picture, uint8 (H, W, 3) RGB, its longer side at most max_side pixels.

    A larger one is decoded at a half, a quarter or an eighth where that is large enough (by the codec itself, which
    is several times faster), then scaled by area. Raises BadMessage for what is not a whole JPEG picture.
    """
    if not data.startswith(_START):
        raise BadMessage("not an image", "the value is not a JPEG picture")
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except (ValueError, KeyError) as error:  # KeyError: components that no camera has
        raise _unusable(data, error) from None
    if height * width > MOST_PIXELS:
        raise BadMessage("oversized", f"the picture has {width} x {height} pixels, at most {MOST_PIXELS} are decoded")
    scale = min(max_side / max(height, width), 1.0)
    least = {"min_height": round(height * scale), "min_width": round(width * scale)} if scale < 1 else {}
    try:
        image = simplejpeg.decode_jpeg(data, "RGB", strict=True, **least)
    except (ValueError, KeyError) as error:
        raise _unusable(data, error) from None
    if max(image.shape[:2]) > max_side:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(image, np.uint8)


def _unusable(data: bytes, error: Exception) -> BadMessage:
    whole = _END in data[-64:]  # some cameras pad behind the end
    reason = " ".join(str(error).split())
    if whole:
        return BadMessage("corrupt", f"the JPEG picture is damaged ({reason})")
    return BadMessage("truncated", f"the JPEG picture is cut off ({reason})")
