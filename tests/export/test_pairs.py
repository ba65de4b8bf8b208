"""Real photographs of screens beside what those showed: made up here by a projective map, light and noise."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from export.pair_check import check_pairs
from export.pairs import ScreenPair, corners_of, read_pairs, read_picture
from export.scene_data import held_out_pairs
from pipeline.encoder import default_encoder, whole_picture
from pipeline.errors import InputError
from pipeline.frames import RgbImage

QUAD = np.array([[70, 60], [420, 90], [400, 330], [80, 300]], float)


def picture(seed: int) -> RgbImage:
    """Shapes of all sizes with corners for features, uint8 (240, 320, 3)."""
    rng = np.random.default_rng(seed)
    image = np.full((240, 320, 3), rng.integers(40, 200, 3), np.uint8)
    for _ in range(140):
        middle, size = rng.integers(0, (320, 240)), rng.integers(3, 40, 2)
        box = (*(middle - size // 2), *(middle + size // 2))
        cv2.rectangle(image, box[:2], box[2:], rng.integers(0, 256, 3).tolist(), -1)
    return image


def photographed(original: RgbImage, seed: int = 0) -> RgbImage:
    """A photograph, (400, 500, 3), of a dark room whose screen shows the picture at `QUAD`."""
    height, width = original.shape[:2]
    edges = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    warp = cv2.getPerspectiveTransform(edges, QUAD.astype(np.float32))
    seen = cv2.warpPerspective(original, warp, (500, 400), flags=cv2.INTER_AREA).astype(float)
    return np.clip(0.7 * seen + 20 + np.random.default_rng(seed).normal(0, 4, seen.shape), 0, 255).astype(np.uint8)


def save(folder: Path, name: str, image: RgbImage) -> None:
    cv2.imwrite(str(folder / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def test_corners_are_where_the_picture_is() -> None:
    original = picture(1)
    corners = corners_of(original, photographed(original))
    assert corners is not None
    assert np.abs(corners - QUAD).max() < 1.5


@pytest.mark.parametrize("photo", [photographed(picture(2)), np.zeros((60, 80, 3), np.uint8)], ids=["other", "black"])
def test_no_corners_where_the_picture_is_not(photo: RgbImage) -> None:
    assert corners_of(picture(1), photo) is None


def test_a_mirrored_picture_has_no_corners() -> None:
    original = picture(1)
    assert corners_of(np.ascontiguousarray(original[:, ::-1]), photographed(original)) is None


def test_pairs_are_read_by_name_without_those_that_are_not_sure(tmp_path: Path) -> None:
    for name, original, photo in (("01", 1, 1), ("02", 2, 3), ("00", 4, 4)):
        save(tmp_path, f"{name}_original.png", picture(original))
        save(tmp_path, f"{name}_photo.png", photographed(picture(photo)))
    pairs = read_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["00", "01"]
    assert np.array_equal(pairs[1].original, picture(1))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no pairs in .*; give a folder of files NNN_photo"):
        read_pairs(tmp_path)
    save(tmp_path, "07_photo.png", photographed(picture(1)))
    with pytest.raises(InputError, match=r"07_original\.png is not a picture"):
        read_pairs(tmp_path)
    (tmp_path / "07_original.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"07_original\.png is not a picture"):
        read_picture(tmp_path / "07_original.png")


def test_photographs_of_one_picture_are_held_out_together() -> None:
    pairs = []
    for seed in range(12):
        original = picture(seed)
        pairs += [ScreenPair(f"{seed:02d}{k}", photographed(original, k), original, QUAD) for k in range(3)]
    held_out = [pair.name for pair in held_out_pairs(pairs)]
    assert 0 < len(held_out) < len(pairs)
    for seed in range(12):
        assert sum(name.startswith(f"{seed:02d}") for name in held_out) in (0, 3)


def test_codes_are_nearest_by_the_true_corners_and_not_by_wrong_ones() -> None:
    pairs = [ScreenPair(str(seed), photographed(picture(seed)), picture(seed), QUAD) for seed in range(6)]
    others = [picture(seed) for seed in range(20, 40)]
    true = check_pairs(default_encoder(), pairs, others)
    whole = check_pairs(default_encoder(), pairs, others, [whole_picture(pair.photo) for pair in pairs])
    assert (true["photographs"], true["among_pictures"]) == (6, 26)
    assert true["nearest"] == 1.0
    assert true["flips_mean"] < whole["flips_mean"]
    assert whole["nearest"] < 1.0
    assert true["hits_1_probes"] <= true["hits_16_probes"] <= true["hits_512_probes"] <= 1.0
