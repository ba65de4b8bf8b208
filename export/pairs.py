"""Real photographs of screens beside the pictures those showed, and where each picture is in its photograph."""

# K features of the picture, L of its photograph

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from export.scenes import Quad
from pipeline.errors import InputError
from pipeline.frames import RgbImage

PHOTO, ORIGINAL = "_photo", "_original"  # how the names of the files end
FEATURES = 4000
DISTINCT = 0.75  # a match counts when the second best is so much farther, Lowe 2004, section 7.1
OFF_PIXELS = 3.0  # that a match may be off the projective map
LEAST_AGREEING = 25  # matches; by fewer the corners are not sure


@dataclass(frozen=True)
class ScreenPair:
    """original: what the screen showed. corners: (4, 2) pixels of the photograph, clockwise from its top left."""

    name: str
    photo: RgbImage = field(repr=False)
    original: RgbImage = field(repr=False)
    corners: Quad


def read_pairs(folder: Path) -> list[ScreenPair]:
    """The pairs `NNN_photo.*` and `NNN_original.*` of a folder, by name; those whose corners are not sure are left out.

    Raises InputError for a folder without pairs, a photograph without its original, and files that are not pictures.
    """
    photos = sorted(path for path in folder.glob(f"*{PHOTO}.*") if path.is_file())
    if not photos:
        raise InputError(f"no pairs in {folder}; give a folder of files NNN{PHOTO}.jpg and NNN{ORIGINAL}.jpg")
    pairs = []
    for path in photos:
        shown = path.with_name(path.name.replace(PHOTO, ORIGINAL))
        photo, original = read_picture(path), read_picture(shown)
        corners = corners_of(original, photo)
        if corners is not None:
            pairs.append(ScreenPair(path.name.partition(PHOTO)[0], photo, original, corners))
    return pairs


def read_picture(path: Path) -> RgbImage:
    """uint8 (H, W, 3) RGB. Raises InputError when the file is missing or no picture."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.is_file() else None
    if image is None:
        raise InputError(
            f"{path} is not a picture; give one that can be read, or remove the file and what belongs to it"
        )
    return np.asarray(image, np.uint8)


def corners_of(original: RgbImage, photo: RgbImage) -> Quad | None:
    """Where a picture is in a photograph that shows it, (4, 2) pixels, or None when that is not sure.

    Local features (Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004) and a projective map
    that most of their matches agree on (Barath et al., "MAGSAC++", CVPR 2020).
    """
    sift = cv2.SIFT_create(FEATURES)  # type: ignore[attr-defined]  # missing in OpenCV's annotations
    (places, features), (photo_places, photo_features) = (
        sift.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None) for image in (original, photo)
    )
    if features is None or photo_features is None or len(photo_features) < 2:
        return None
    matches = [
        (places[best.queryIdx].pt, photo_places[best.trainIdx].pt)
        for best, second in cv2.BFMatcher().knnMatch(features, photo_features, k=2)
        if best.distance < DISTINCT * second.distance
    ]
    if len(matches) < LEAST_AGREEING:
        return None
    source, target = np.array(matches, np.float32).transpose(1, 0, 2)
    warp, agreeing = cv2.findHomography(source, target, cv2.USAC_MAGSAC, OFF_PIXELS, maxIters=10_000, confidence=0.9999)
    if warp is None or int(agreeing.sum()) < LEAST_AGREEING:
        return None
    return _outline(warp, original.shape[:2])


def _outline(warp: npt.NDArray[np.float64], size: tuple[int, ...]) -> Quad | None:
    """Where the map takes the corners of a picture of `size`, (H, W); None for no convex outline, clockwise."""
    height, width = size
    edges = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float32)
    corners = cv2.perspectiveTransform(edges, warp)[0]
    sound = cv2.isContourConvex(corners) and cv2.contourArea(corners, oriented=True) > 0
    return corners.astype(np.float64) if sound else None
