"""Scores of segmentations made by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.segmentation_scores import (
    THRESHOLDS,
    Agreement,
    Cells,
    agreement,
    agreements,
    best_score,
    cells_of,
    pixel_errors,
    resampled,
    thinned,
    v_rands,
)


def drawn(*rows: str) -> Cells:
    """Cells from digits; a dot or 0 is of a membrane."""
    return np.array([[int(sign.replace(".", "0")) for sign in row] for row in rows], np.int32)


def test_pixel_error_of_each_slice() -> None:
    maps = np.array([[[0.2, 0.6, 0.5, 0.9]], [[0.0, 1.0, 1.0, 0.0]]], np.float32)
    membrane = np.array([[[False, True, True, False]]] * 2)
    assert pixel_errors(maps, membrane).tolist() == [0.5, 0]  # 0.5 is not above 0.5, and 0.9 is no membrane
    assert pixel_errors(maps, membrane, 0.1).tolist() == [0.5, 0]  # 0.2 and 0.9
    assert pixel_errors(1 - maps, membrane).tolist() == [0.75, 1]  # 0.8, 0.4 and 0.5 as well


def test_cells_touch_by_sides_and_not_by_corners() -> None:
    membrane = drawn("110", "001", "000") == 0
    cells = cells_of(membrane)
    assert cells.max() == 2
    assert (cells[0, 0], cells[0, 2]) == (cells[0, 1], 0)
    assert cells[1, 2] not in (0, cells[0, 0])


def test_agreement_of_the_same_cells_is_perfect() -> None:
    true = drawn("11.22", "11.22")
    same = agreement(true, drawn("33.11", "33211"))  # other numbers, and a cell where the true membrane is
    assert same == Agreement(32, 32, 32)  # two cells of 4 pixels: 2 x 4^2
    assert (same.split, same.merge, same.v_rand) == (1, 1, 1)


def test_two_cells_found_to_be_one() -> None:
    merged = agreement(drawn("11.22", "11.22"), drawn("11111", "11111"))
    assert merged == Agreement(32, 32, 64)  # found: one of 8 pixels inside true cells
    assert (merged.split, merged.merge) == (1, 0.5)
    assert merged.v_rand == pytest.approx(2 / 3)


def test_one_cell_found_to_be_two() -> None:
    split = agreement(drawn("1111", "1111"), drawn("1222", "1222"))
    assert split == Agreement(4 + 36, 64, 4 + 36)  # of 2 and of 6 pixels
    assert (split.split, split.merge) == (0.625, 1)


def test_a_cell_found_to_be_membrane_falls_into_pixels() -> None:
    lost = agreement(drawn("11.22", "11.22"), drawn("11...", "11..."))
    assert lost == Agreement(16 + 4, 32, 16 + 4)  # a pair of a pixel with itself stays


def pairs_by_hand(true: Cells, found: Cells) -> Agreement:
    """The definition: all pairs of pixels inside true cells, a pixel with itself as well."""
    inside = true > 0
    same = true[inside][:, None] == true[inside]
    together = (found[inside][:, None] == found[inside]) & (found[inside] > 0) | np.eye(inside.sum(), dtype=bool)
    return Agreement(float((same & together).sum()), float(same.sum()), float(together.sum()))


CELLS = st.lists(st.integers(0, 3), min_size=12, max_size=12).map(lambda of: np.array(of, np.int32).reshape(3, 4))


@given(true=CELLS, found=CELLS)
def test_agreement_counts_pairs(true: Cells, found: Cells) -> None:
    assert agreement(true, found) == pairs_by_hand(true, found)


def test_exception_for_other_sizes() -> None:
    with pytest.raises(ValueError, match="of one size"):
        agreement(drawn("11"), drawn("111"))


def test_cells_grow_until_they_meet() -> None:
    assert np.array_equal(thinned(drawn("1...2", "1...2", "11.22")) > 0, np.ones((3, 5), bool))
    assert thinned(drawn("1....2")).tolist() == [[1, 1, 1, 2, 2, 2]]
    nothing = drawn("....")
    assert np.array_equal(thinned(nothing), nothing)


def test_thick_membranes_cost_only_where_they_are_not_thinned() -> None:
    membrane = drawn("1111.2222", "1111.2222")[None] == 0
    thick = drawn("11.....22", "11.....22")[None] == 0
    maps = thick.astype(np.float32)
    assert best_score(agreements(maps, membrane, thin=True)).v_rand == 1
    # 4 pixels of each cell stay together and 4 fall apart: 2 (16 + 4) of 2 64 pairs
    assert best_score(agreements(maps, membrane, thin=False)).split == pytest.approx(40 / 128)


def test_the_best_threshold_counts_for_all_slices() -> None:
    membrane = np.repeat(drawn("11.22", "11.22")[None] == 0, 2, axis=0)
    maps = np.zeros((2, 2, 5), np.float32)
    maps[0, :, 2], maps[1, :, 2] = 0.72, 0.42  # from 0.45 on the second slice is one cell
    maps[:, :, 0] = 0.33  # up to 0.3 pixels of the first cells are lost
    score = best_score(agreements(maps, membrane, thin=False))
    assert (score.v_rand, score.threshold) == (1, 0.35)
    table = agreements(maps, membrane, thin=False)
    assert [[one.v_rand == 1 for one in table[THRESHOLDS.index(at)]] for at in (0.2, 0.45, 0.75)] == [
        [False, False],  # 0.2
        [True, False],  # 0.45
        [False, False],  # 0.75
    ]


def test_scores_of_draws() -> None:
    perfect, merged = Agreement(32, 32, 32), Agreement(32, 32, 64)
    table = [[perfect, merged], [merged, merged]]  # two thresholds, two slices
    # the first slice alone: 1; each once: 2 64 / (64 + 96); the second alone: 2/3; all at the first threshold
    best = v_rands(table, np.array([[2, 0], [1, 1], [0, 2]]))
    np.testing.assert_allclose(best, [1, 0.8, 2 / 3])
    assert v_rands(table, np.array([[1, 1]])) == pytest.approx(best_score(table).v_rand)


def test_interval_of_draws() -> None:
    values = np.array([0.0, 1, 2, 3])
    low, high = resampled(lambda drawn: drawn @ values / 4, 4)
    # the mean is 1.5 with a deviation of sqrt(1.25 / 4) = 0.56: 1.96 of them on either side is 0.4 to 2.6
    assert low == pytest.approx(0.4, abs=0.15)
    assert high == pytest.approx(2.6, abs=0.15)
    assert resampled(lambda drawn: drawn @ np.full(4, 0.5) / 4, 4) == [0.5, 0.5]
