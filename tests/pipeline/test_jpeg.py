"""JPEG pictures: right ones, large ones, and damaged ones."""

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.frames import RgbImage
from pipeline.jpeg import decode_jpeg
from pipeline.messages import BadMessage


def picture(height: int = 90, width: int = 160) -> RgbImage:
    small = np.random.default_rng(1).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def coded(image: RgbImage, quality: int = 95) -> bytes:
    return bytes(simplejpeg.encode_jpeg(image, quality, "RGB", "420"))


def test_a_small_picture_keeps_its_size_and_colours() -> None:
    image = picture()
    back = decode_jpeg(coded(image))
    assert back.shape == image.shape
    assert back.dtype == np.uint8
    assert np.abs(back.astype(int) - image).mean() < 3


@pytest.mark.parametrize("size", [(720, 1280), (1080, 1920), (700, 641), (1280, 720), (3000, 500)])
def test_a_large_picture_is_scaled_and_looks_the_same(size: tuple[int, int]) -> None:
    image = picture(*size)
    back = decode_jpeg(coded(image))
    assert max(back.shape[:2]) == 640
    assert back.shape[0] / back.shape[1] == pytest.approx(size[0] / size[1], rel=0.1)
    expected = cv2.resize(image, back.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(back.astype(int) - expected).mean() < 3


def test_a_grey_picture_becomes_rgb() -> None:
    grey = bytes(simplejpeg.encode_jpeg(picture()[:, :, :1].copy(), 90, "GRAY"))
    back = decode_jpeg(grey)
    assert back.shape == (90, 160, 3)
    assert (back[..., 0] == back[..., 2]).all()


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("not an image", b"hello"),
        ("not an image", b"\x89PNG\r\n\x1a\n"),
        ("truncated", b"\xff\xd8"),
        ("truncated", coded(picture())[:-30]),
        ("truncated", coded(picture())[:600]),
        ("corrupt", b"\xff\xd8" + bytes(200) + b"\xff\xd9"),
    ],
)
def test_each_fault_has_its_reason(reason: str, data: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        decode_jpeg(data)
    assert caught.value.reason == reason


def test_a_picture_that_claims_to_be_huge_is_not_decoded() -> None:
    data = bytearray(coded(picture()))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = b"\xff\x00\xff\x00"
    with pytest.raises(BadMessage, match="pixels") as caught:
        decode_jpeg(bytes(data))
    assert caught.value.reason == "oversized"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_bytes_give_a_picture_or_a_reason(data: st.DataObject) -> None:
    good = bytearray(coded(picture(32, 48)))
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(2, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode_jpeg(bytes(good))
    except BadMessage as bad:
        assert "\n" not in str(bad)
    else:
        assert image.dtype == np.uint8
        assert image.shape[2] == 3
