"""Capturing: sources that end, go away and come back."""

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge import capture as capture_module
from edge.capture import capture
from edge.demo import sample_films
from pipeline.errors import MediaError
from pipeline.frames import Frame

BUNNY, _, _ = sample_films()


def test_a_file_plays_at_its_pace_and_ends() -> None:
    started = time.time_ns()
    frames = list(capture(str(BUNNY), 5.0, False, threading.Event(), lambda: None))
    assert len(frames) == pytest.approx(26, abs=2)
    times = np.array([one.ts_ns for one in frames])
    assert (np.diff(times) > 0).all()
    assert times[0] >= started
    pts = np.array([one.frame.pts_seconds for one in frames])
    assert (times - times[0]) / 1e9 == pytest.approx(pts - pts[0], abs=0.001)  # the source's own clock, not ours


def test_what_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        next(iter(capture(str(tmp_path / "x.mp4"), 10, False, threading.Event(), lambda: None)))


class Flaky:
    """Stands for a live source that breaks off after three frames, and cannot be reached every other time."""

    def __init__(self) -> None:
        self.opened = 0

    def __call__(self, source: str, max_fps: float) -> Iterator[Frame]:
        self.opened += 1
        if self.opened % 2 == 0:
            raise MediaError("cam: no answer; check the address and the network")
        for k in range(3):
            yield Frame(np.zeros((2, 2, 3), np.uint8), k / 10)


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Flaky:
    made = Flaky()
    monkeypatch.setattr(capture_module, "read_frames_at_pace", made)
    monkeypatch.setattr(capture_module, "FIRST_WAIT_SECONDS", 0.01)
    return made


def test_a_live_source_that_goes_away_is_tried_again(flaky: Flaky) -> None:
    stop, again = threading.Event(), []
    frames = []
    for one in capture("rtsp://127.0.0.1/x", 10, False, stop, lambda: again.append(1)):
        frames.append(one)
        if len(frames) == 8:
            stop.set()
    assert flaky.opened == 5
    assert len(again) == 4
    assert all(late.ts_ns > early.ts_ns for early, late in pairwise(frames))


def test_waits_grow_and_a_stop_ends_them(flaky: Flaky, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: Any = None) -> bool:
            waits.append(float(timeout))
            if len(waits) == 6:
                self.set()
            return False

    def nothing(source: str, max_fps: float) -> Iterator[Frame]:
        raise MediaError("cam: no answer")

    monkeypatch.setattr(capture_module, "read_frames_at_pace", nothing)
    assert list(capture("rtsp://127.0.0.1/x", 10, False, Stop(), lambda: None)) == []
    assert waits[-1] > 8 * waits[0]
