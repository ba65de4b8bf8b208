"""Codes as bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.codes import FrameCodes
from pipeline.wire import LIGHT_STEP, LONG_BYTES, MARGIN_STEP, SHORT_BYTES, pack_readings, unpack_readings


def reading(code: int, margins: "np.ndarray[tuple[int], np.dtype[np.float32]]", lit: bool = True) -> FrameCodes:
    lights = np.linspace(0, 255, 128, dtype=np.float32)[None] if lit else None
    return FrameCodes(np.zeros(1), np.array([code], np.uint32), margins[None], lights)


@given(st.integers(0, 2**32 - 1), arrays(np.float32, 32, elements=st.floats(0, 40, width=32)))
def test_a_code_comes_back_and_its_margins_to_within_half_a_step(
    code: int, margins: "np.ndarray[tuple[int], np.dtype[np.float32]]"
) -> None:
    (back,) = unpack_readings(pack_readings([reading(code, margins)]), 1, 2.5)
    assert back.codes.tolist() == [code]
    assert back.pts_seconds.tolist() == [2.5]
    assert np.abs(back.margins[0] - np.minimum(margins, 255 * MARGIN_STEP)).max() <= MARGIN_STEP / 2 + 1e-6
    assert back.lights is not None
    assert np.abs(back.lights[0] - np.linspace(0, 255, 128)).max() <= LIGHT_STEP


def test_the_short_form_is_36_bytes_a_reading_and_has_no_lights() -> None:
    margins = np.ones(32, np.float32)
    data = pack_readings([reading(7, margins, lit=False), reading(0xFFFFFFFF, margins)])
    assert len(data) == 2 * SHORT_BYTES == 72
    assert data[:4] == b"\x07\0\0\0"
    assert [back.lights for back in unpack_readings(data, 2, 0.0)] == [None, None]
    assert len(pack_readings([reading(7, margins)])) == LONG_BYTES == 292


@pytest.mark.parametrize(("size", "count"), [(35, 1), (0, 1), (72, 1), (36, 0), (293, 1)])
def test_other_lengths_are_refused(size: int, count: int) -> None:
    with pytest.raises(ValueError, match="bytes are not"):
        unpack_readings(bytes(size), count, 0.0)
