"""Postings of a track."""

import numpy as np
import pytest

from pipeline.postings import LATEST_TICK, TICK_MS, Postings
from pipeline.tracks import Track


def test_every_run_has_one_at_its_tick() -> None:
    track = Track(np.array([0, 80, 500, 1020], np.uint32), np.array([7, 8, 7, 9], np.uint32), 2000)
    postings = Postings.of_track(5, track)
    assert postings.video_number == 5
    assert postings.codes.tolist() == [7, 8, 7, 9]
    assert postings.ticks.tolist() == [0, 0, 500 // TICK_MS, 1020 // TICK_MS]
    assert len(postings.part(slice(1, 3))) == 2


def test_an_empty_track_has_none() -> None:
    assert len(Postings.of_track(1, Track.empty())) == 0


def test_sizes_must_agree_and_moments_fit() -> None:
    with pytest.raises(ValueError, match="sizes differ"):
        Postings(1, np.zeros(2, np.uint32), np.zeros(3, np.uint32))
    with pytest.raises(ValueError, match="later than the table can tell"):
        Postings(1, np.zeros(1, np.uint32), np.array([LATEST_TICK + 1], np.uint32))
