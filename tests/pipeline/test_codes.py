import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.codes import FrameCodes, hamming_distance, pack_bits, unpack_bits


def test_pack_bits_puts_bit_k_at_weight_two_to_the_k() -> None:
    bits = np.zeros((2, 32), np.uint8)
    bits[0, 0] = 1
    bits[1, 31] = 1
    assert pack_bits(bits).tolist() == [1, 1 << 31]


@given(hnp.arrays(np.uint32, st.integers(0, 20)))
def test_pack_bits_undoes_unpack_bits(codes: np.ndarray) -> None:
    assert np.array_equal(pack_bits(unpack_bits(codes)), codes)


def test_hamming_distance_counts_bits_with_broadcasting() -> None:
    a = np.array([0, 0xFFFFFFFF], np.uint32)
    b = np.array([0b1011], np.uint32)
    assert hamming_distance(a, b).tolist() == [3, 29]  # 32 - 3 = 29


def test_frame_codes_refuse_different_sizes() -> None:
    with pytest.raises(ValueError, match="sizes differ"):
        FrameCodes(np.zeros(2), np.zeros(3, np.uint32), np.zeros((3, 32), np.float32))


def test_concatenate_joins_in_order_and_gives_nothing_for_nothing() -> None:
    one = FrameCodes(np.array([0.0]), np.array([7], np.uint32), np.ones((1, 32), np.float32))
    two = FrameCodes(np.array([0.5]), np.array([9], np.uint32), np.zeros((1, 32), np.float32))
    joined = FrameCodes.concatenate([one, two])
    assert joined.codes.tolist() == [7, 9]
    assert joined.pts_seconds.tolist() == [0.0, 0.5]
    assert len(FrameCodes.concatenate([])) == 0
