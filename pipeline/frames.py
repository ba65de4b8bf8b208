"""A frame: pixels and the moment they are shown."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

RgbImage = npt.NDArray[np.uint8]  # (H, W, 3)


@dataclass(frozen=True)
class Frame:
    """One picture of a source.

    image: uint8 (H, W, 3), RGB.
    pts_seconds: presentation time, in seconds from the source's first frame; finite, never from index / fps.

    Raises ValueError when the image is not uint8 (H, W, 3) or the time is not finite.
    """

    image: RgbImage = field(repr=False)
    pts_seconds: float

    def __post_init__(self) -> None:
        image = self.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"image must be uint8 (H, W, 3), got {image.dtype} {image.shape = }")
        if not np.isfinite(self.pts_seconds):
            raise ValueError(f"pts_seconds must be finite, got {self.pts_seconds = }")
