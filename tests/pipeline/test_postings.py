"""Which runs of a track have postings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.postings import LEAST_GAP_MS, TICK_MS, Postings
from pipeline.tracks import STEP_MS, Track


def track_of(steps: list[int], levels: list[int]) -> Track:
    """Runs that start after so many steps of time, all bits of one as sure as its level."""
    starts = (np.cumsum(steps) * STEP_MS).astype(np.uint32)
    return Track(
        starts,
        np.arange(len(starts), dtype=np.uint32),
        int(starts[-1]) + STEP_MS,
        np.repeat(np.array(levels, np.uint8)[:, None], 32, axis=1),
    )


@given(runs=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 7)), min_size=1, max_size=60))
def test_they_are_apart_and_none_could_be_added(runs: list[tuple[int, int]]) -> None:
    track = track_of([step for step, _ in runs], [level for _, level in runs])
    chosen = track.start_ms[Postings.of_track(5, track).codes].astype(np.int64)  # a run's code is its place
    assert (np.diff(chosen) >= LEAST_GAP_MS).all()
    left = np.setdiff1d(track.start_ms, chosen).astype(np.int64)
    assert all(np.abs(chosen - moment).min() < LEAST_GAP_MS for moment in left)


def test_the_surest_of_near_runs_is_taken() -> None:
    postings = Postings.of_track(5, track_of([1, 5, 5, 50], [2, 6, 3, 0]))
    assert postings.codes.tolist() == [1, 3]
    assert postings.ticks.tolist() == [6 * STEP_MS // TICK_MS, 61 * STEP_MS // TICK_MS]
    assert postings.video_number == 5


def test_of_equals_the_first_is_taken() -> None:
    assert Postings.of_track(1, track_of([1, 5, 5], [4, 4, 4])).codes.tolist() == [0]


def test_an_empty_track_has_none() -> None:
    assert len(Postings.of_track(1, Track.empty())) == 0


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="sizes differ"):
        Postings(1, np.zeros(2, np.uint32), np.zeros(3, np.uint32))
