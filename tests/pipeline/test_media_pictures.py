"""Sizes, rotation and pixel formats of the frames that are read."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline import media
from pipeline.errors import MediaError
from pipeline.frames import RgbImage
from pipeline.media import read_frames
from tests import media_samples as samples
from tests.media_samples import BLUE, GREEN, RED, WHITE, grey_ramp, write_film


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Five frames, 64 x 48."""
    return write_film(tmp_path / "film.mp4", grey_ramp(5), range(0, 200, 40))


@pytest.mark.parametrize(
    ("width", "height", "max_side", "shape"),
    [
        (128, 96, 64, (48, 64, 3)),
        (96, 128, 64, (64, 48, 3)),
        (64, 48, 640, (48, 64, 3)),  # never up
        (1, 1, 640, (1, 1, 3)),
        (2000, 2, 100, (1, 100, 3)),  # 2 * 100 / 2000 = 0.1, at least 1
    ],
)
def test_size_is_bounded_by_max_side(
    tmp_path: Path, width: int, height: int, max_side: int, shape: tuple[int, int, int]
) -> None:
    path = samples.write_picture(tmp_path / "a.png", np.full((height, width, 3), 77, np.uint8))
    [frame] = read_frames(path, max_side=max_side)
    assert frame.image.shape == shape
    assert abs(frame.image.astype(int) - 77).max() <= 1


def test_size_8k_is_scaled_down(tmp_path: Path) -> None:
    image = samples.four_corners(7680, 4320)
    path = samples.write_picture(tmp_path / "a.jpg", image, codec="mjpeg", pixels="yuvj420p")
    [frame] = read_frames(path)
    assert frame.image.shape == (360, 640, 3)
    assert_corners(frame.image, RED, GREEN, BLUE, WHITE)
    assert next(read_frames(path, max_side=None)).image.shape == (4320, 7680, 3)


def test_size_max_side_zero_is_refused(film: Path) -> None:
    with pytest.raises(ValueError, match="max_side"):
        next(read_frames(film, max_side=0))


def assert_corners(image: RgbImage, *corners: tuple[int, int, int], tolerance: int = 6) -> None:
    """Colours at a sixth from each corner: top left, top right, bottom left, bottom right."""
    height, width = image.shape[:2]
    y, x = height // 6, width // 6
    found = np.array([image[y, x], image[y, -x], image[-y, x], image[-y, -x]], dtype=int)
    assert np.abs(found - np.array(corners)).max() <= tolerance, found.tolist()


@pytest.mark.parametrize(
    ("matrix", "corners", "shape"),
    [
        (samples.IDENTITY, (RED, GREEN, BLUE, WHITE), (48, 64, 3)),
        (samples.QUARTER_CLOCKWISE, (BLUE, RED, WHITE, GREEN), (64, 48, 3)),
        (samples.HALF_TURN, (WHITE, BLUE, GREEN, RED), (48, 64, 3)),
        (samples.QUARTER_ANTICLOCKWISE, (GREEN, WHITE, RED, BLUE), (64, 48, 3)),
    ],
)
def test_rotation_turns_upright(
    tmp_path: Path,
    matrix: tuple[int, int, int, int],
    corners: tuple[tuple[int, int, int], ...],
    shape: tuple[int, int, int],
) -> None:
    path = write_film(tmp_path / "a.mp4", [samples.four_corners()] * 2, [0, 40])
    samples.set_display_matrix(path, matrix)
    for frame in read_frames(path):
        assert frame.image.shape == shape
        assert_corners(frame.image, *corners)


def test_rotation_of_a_photograph_follows_exif(tmp_path: Path) -> None:
    path = samples.write_picture(tmp_path / "a.jpg", samples.four_corners(), codec="mjpeg", pixels="yuvj444p")
    data = path.read_bytes()
    # One TIFF entry, orientation (0x112, a short) = 6: the stored top is to be shown at the right.
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x112, 3, 1, 6, 0)
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    [frame] = read_frames(path)
    assert frame.image.shape == (64, 48, 3)
    assert_corners(frame.image, BLUE, RED, WHITE, GREEN)


@pytest.mark.parametrize(
    ("codec", "pixels"),
    [
        ("libx264", "yuv420p10le"),
        ("libx264", "yuv444p"),
        ("ffv1", "yuv444p10le"),
        ("ffv1", "bgra"),
        ("ffv1", "yuva420p"),
        ("png", "rgba"),
        ("png", "rgb24"),
        ("rawvideo", "rgb24"),
    ],
)
def test_pixels_become_rgb(tmp_path: Path, codec: str, pixels: str) -> None:
    path = write_film(tmp_path / "a.nut", [samples.four_corners()] * 2, [0, 40], codec=codec, pixels=pixels)
    frames = list(read_frames(path))
    assert len(frames) == 2
    assert_corners(frames[0].image, RED, GREEN, BLUE, WHITE)
    frames[0].image[:] = 0  # the frame is the reader's own: the next is untouched
    assert_corners(frames[1].image, RED, GREEN, BLUE, WHITE)


@pytest.mark.parametrize("pixels", ["gray", "gray16be", "rgba64be"])
def test_pixels_grey_and_deep_pictures_become_rgb(tmp_path: Path, pixels: str) -> None:
    path = samples.write_picture(tmp_path / "a.png", np.full((8, 8, 3), 100, np.uint8), pixels=pixels)
    [frame] = read_frames(path)
    assert abs(frame.image.astype(int) - 100).max() <= 2


def test_pixels_interlaced_become_rgb(tmp_path: Path) -> None:
    options = {"flags": "+ilme+ildct"}
    images, rate = [samples.four_corners(64, 64)] * 3, Fraction(1, 25)
    path = write_film(tmp_path / "a.mpg", images, range(3), time_base=rate, codec="mpeg2video", codec_options=options)
    frames = list(read_frames(path))
    assert len(frames) == 3
    assert_corners(frames[0].image, RED, GREEN, BLUE, WHITE)


def test_pixels_without_a_way_to_rgb_are_named(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise av.error.NotImplementedError(38, "not supported")

    scaler = media._Scaler("film.mp4", None)
    monkeypatch.setattr(scaler, "_reformatter", type("Refusing", (), {"reformat": refuse})())
    with pytest.raises(MediaError, match=r"film\.mp4: yuv420p pixels cannot be read"):
        scaler.to_rgb(av.VideoFrame(16, 16, "yuv420p"))


@pytest.mark.parametrize("name", ["a.png", "12:30.png", "-x.png", "50%.png", "frame%03d.png", "é ü.png", "x?.png"])
def test_picture_is_one_frame_at_zero_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = samples.write_picture(tmp_path / "made.png", samples.four_corners()).rename(tmp_path / name)
    [frame] = read_frames(path)
    assert frame.pts_seconds == 0.0
    assert_corners(frame.image, RED, GREEN, BLUE, WHITE)
