"""Streams of codes in a real Redis: each frame once, in order."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import keys
from pipeline.code_stream import CodeEntry, CodeStream
from pipeline.codes import FrameCodes
from pipeline.messages import JPEG, QUERY, REFERENCE, FrameMessage, Place
from pipeline.store import Store
from pipeline.views import CodedFrame

pytestmark = pytest.mark.redis
ON_CLUSTER = True

START_NS = 1_790_000_000_000_000_000


def entry(seq: int, camera: str = "a", ms: int | None = None, offset: int | None = None, **more: object) -> CodeEntry:
    """A frame: its code is its number; ms after the start, one apart if not given."""
    ts_ns = START_NS + (seq * 100 if ms is None else ms) * 1_000_000
    place = Place("t", 0, seq if offset is None else offset)
    video = str(more.pop("video", ""))
    role = REFERENCE if video else QUERY
    message = FrameMessage(camera, ts_ns, seq, JPEG, role, video, b"", place)
    codes = FrameCodes(np.zeros(1), np.array([seq], np.uint32), np.full((1, 32), 2, np.float32))
    return CodeEntry(message, CodedFrame(0.0, {0: codes, 4: codes}, more.pop("only", None)), [("dog", 0.5)])  # type: ignore[arg-type]


def numbers(stream: CodeStream, camera: str = "a") -> list[int]:
    return [frame.seq for frame in stream.read(keys.camera_codes(camera))]


def test_a_frame_comes_back(store: Store) -> None:
    stream = CodeStream(store)
    assert stream.push([entry(5, only=4)])[0] == [True]
    (frame,) = stream.read(keys.camera_codes("a"))
    coded = frame.coded(START_NS)
    assert (frame.seq, frame.ts_ns, coded.pts_seconds, coded.only) == (5, START_NS + 500_000_000, 0.5, 4)
    assert {view: int(reading.codes[0]) for view, reading in coded.views.items()} == {0: 5, 4: 5}
    assert frame.labels() == [("dog", 0.5)]
    assert store.client.zscore(keys.CAMERAS, "a") == pytest.approx(START_NS / 1e9 + 0.5)


def test_repeated_frames_are_told_and_not_written(store: Store) -> None:
    stream = CodeStream(store)
    assert stream.push([entry(k) for k in range(4)])[0] == [True] * 4
    assert stream.push([entry(k) for k in range(2, 6)])[0] == [False, False, True, True]
    assert numbers(stream) == [0, 1, 2, 3, 4, 5]


def test_cameras_do_not_mix(store: Store) -> None:
    stream = CodeStream(store)
    new, follow = stream.push([entry(1, "a"), entry(1, "b"), entry(2, "a")])
    assert new == [True] * 3
    assert follow == {"a": None, "b": None}
    assert (numbers(stream, "a"), numbers(stream, "b")) == ([1, 2], [1])


def test_the_view_to_follow_comes_with_the_answer(store: Store) -> None:
    store.client.hset(keys.camera_state("a"), "follow", "4")
    assert CodeStream(store).push([entry(1)])[1] == {"a": 4}


def test_a_clock_that_goes_back_loses_nothing(store: Store) -> None:
    stream = CodeStream(store)
    stream.push([entry(1, ms=10_000, offset=1), entry(2, ms=10_100, offset=2)])
    late = [entry(3, ms=4_000, offset=3), entry(4, ms=4_100, offset=4)]
    assert stream.push(late)[0] == [True, True]
    assert stream.push(late)[0] == [False, False]
    assert numbers(stream) == [1, 2, 3, 4]
    assert [frame.ts_ns for frame in stream.read(keys.camera_codes("a"))][-1] == START_NS + 4_100_000_000


def test_a_new_broker_counts_offsets_from_zero_again(store: Store) -> None:
    stream = CodeStream(store)
    stream.push([entry(1, offset=900)])
    assert stream.push([entry(2, offset=0), entry(3, offset=1)])[0] == [True, True]


def test_only_the_last_minutes_of_a_camera_are_kept(store: Store) -> None:
    stream = CodeStream(store, keep_ms=10_000)
    stream.push([entry(k) for k in range(1000)])
    kept = numbers(stream)
    assert kept[-1] == 999
    assert 100 <= len(kept) < 300  # Redis trims by whole nodes
    assert store.client.pttl(keys.camera_codes("a")) > 0


def test_a_video_is_kept_whole(store: Store) -> None:
    stream = CodeStream(store, keep_ms=10)
    stream.push([entry(k, video="film") for k in range(500)])
    assert sum(1 for _ in stream.read(keys.reference_codes("film"), count=77)) == 500
    assert numbers(stream) == []
    assert store.client.zscore(keys.CAMERAS, "a") is None


def test_what_came_before(store: Store) -> None:
    stream = CodeStream(store)
    stream.push([entry(k) for k in range(30)])
    ids = [frame.id for frame in stream.read(keys.camera_codes("a"))]
    assert [frame.seq for frame in stream.before("a", ids[20], 0.5)] == [15, 16, 17, 18, 19]
    assert stream.before("a", ids[0], 5.0) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), min_size=1, max_size=8))
def test_any_replays_of_a_log_leave_it_once_and_in_order(store: Store, replays: Sequence[tuple[int, int]]) -> None:
    """A worker may die anywhere and the next begins anywhere before: as long as none skips, nothing is doubled."""
    store.client.flushdb()
    stream = CodeStream(store)
    clock = np.random.default_rng(3).integers(0, 400, 60)  # capture times that go back now and then
    log = [entry(k, ms=int(clock[k]), offset=k) for k in range(60)]
    done = 0
    for start, length in replays:
        first = min(start, done)
        stream.push(log[first : first + length])
        done = max(done, first + length)
    assert numbers(stream) == list(range(min(done, 60)))
