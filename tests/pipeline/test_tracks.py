"""Tracks: runs of equal codes, and their blocks in Redis."""

import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import keys
from pipeline.errors import MediaError, StoreError
from pipeline.store import Store
from pipeline.tracks import BLOCK_MS, RUN_LIMIT_MS, Track, Tracks, pack_blocks, unpack_blocks


def track_of(starts: list[int], codes: list[int], end_ms: int) -> Track:
    return Track(np.array(starts, np.uint32), np.array(codes, np.uint32), end_ms)


def parts(track: Track) -> tuple[list[int], list[int], int]:
    return track.start_ms.tolist(), track.codes.tolist(), track.end_ms


def test_equal_neighbours_join_and_long_runs_are_cut() -> None:
    seconds = np.array([0.0, 0.04, 0.08, 0.5, 1.08, 1.2])
    track = Track.from_codes(seconds, np.array([7, 7, 9, 9, 9, 9], np.uint32), 1.24)
    # 9 starts at 80 ms; at 1080 ms it has lasted RUN_LIMIT_MS
    assert parts(track) == ([0, 80, 80 + RUN_LIMIT_MS], [7, 9, 9], 1240)


def test_frames_of_one_millisecond_and_before_zero() -> None:
    seconds = np.array([-0.04, 0.0, 0.0004, 0.0004, 0.04])
    track = Track.from_codes(seconds, np.array([1, 2, 3, 4, 5], np.uint32), 0.04)
    assert parts(track) == ([0, 40], [2, 5], 60)  # a track does not end before its last run begins


def test_no_frames_no_track() -> None:
    assert parts(Track.from_codes(np.empty(0), np.empty(0, np.uint32), 5.0)) == ([], [], 0)


def test_film_of_fifty_days_is_refused() -> None:
    with pytest.raises(MediaError, match="too long"):
        Track.from_codes(np.array([0.0]), np.array([1], np.uint32), 50 * 86400.0)


@pytest.mark.parametrize(("starts", "end_ms"), [([0, 0], 20), ([40, 20], 60), ([0, 20], 20)])
def test_runs_out_of_order_are_refused(starts: list[int], end_ms: int) -> None:
    with pytest.raises(ValueError, match="follow one another"):
        track_of(starts, [1, 2], end_ms)


@pytest.mark.parametrize(("starts", "end_ms"), [([0, 30], 40), ([0, 20], 50)])
def test_moments_between_steps_are_refused(starts: list[int], end_ms: int) -> None:
    with pytest.raises(ValueError, match="multiples of 20 ms"):
        track_of(starts, [1, 2], end_ms)


def test_codes_at_moments() -> None:
    track = track_of([100, 1020, 2000], [1, 2, 3], 2500)
    moments = np.array([[0.0, 0.1, 1.0199], [1.02, 2.499, 2.5]])
    codes, valid = track.codes_at(moments)
    assert codes.tolist() == [[0, 1, 1], [2, 3, 0]]
    assert valid.tolist() == [[False, True, True], [True, True, False]]


def test_slice_keeps_the_open_run() -> None:
    track = track_of([0, 100, 200], [1, 2, 3], 300)
    assert parts(track.slice(150, 200)) == ([100], [2], 200)
    assert parts(track.slice(100, 220)) == ([100, 200], [2, 3], 300)
    assert len(track.slice(300, 400)) == 0
    assert len(track.slice(50, 50)) == 0


films = st.builds(
    lambda steps, codes, last: track_of(
        (20 * np.cumsum(steps)).tolist(), (codes * len(steps))[: len(steps)], 20 * (sum(steps) + last)
    ),
    # steps of a frame, of seconds, and of minutes without a frame
    st.lists(st.one_of(st.integers(1, 10), st.integers(1, 250), st.integers(1, 10_000)), min_size=1, max_size=80),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8),
    st.integers(1, 7_500),
)


@given(track=films)
def test_blocks_give_the_track_back(track: Track) -> None:
    blocks = pack_blocks(track)
    assert parts(unpack_blocks(blocks)) == parts(track)
    assert len(blocks) == -(-track.end_ms // BLOCK_MS)


@pytest.mark.redis
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(track=films, windows=st.lists(st.tuples(st.integers(0, 4_000_000), st.integers(1, 200_000)), max_size=4))
def test_windows_read_what_the_track_holds(store: Store, track: Track, windows: list[tuple[int, int]]) -> None:
    tracks = Tracks(store)
    tracks.write(5, track)
    assert parts(tracks.whole(5)) == parts(track)
    read, _ = tracks.read([(5, start / 1000, (start + length) / 1000) for start, length in windows])
    for (start, length), part in zip(windows, read, strict=True):
        moments = np.linspace(start, start + length, 50, endpoint=False) / 1000
        codes, valid = part.codes_at(moments)
        wanted_codes, wanted = track.codes_at(moments)
        assert valid.tolist() == wanted.tolist()
        assert codes[valid].tolist() == wanted_codes[valid].tolist()


@pytest.mark.redis
def test_unknown_numbers_and_rewriting(store: Store) -> None:
    tracks = Tracks(store)
    tracks.write(1, track_of([0, 70_000, 140_000], [1, 2, 3], 150_000))
    tracks.write(1, track_of([0], [9], 500))
    assert parts(tracks.whole(1)) == ([0], [9], 500)
    assert [len(part) for part in tracks.read([(1, 0, 1), (2, 0, 1), (1, 70, 80)])[0]] == [1, 0, 0]
    tracks.delete(1)
    assert parts(tracks.whole(1)) == ([], [], 0)
    assert store.client.dbsize() == 0


HEAD = b"\x01\x00\x19\x00\x00\x00\x00\x00"  # one run, from 0 to 500 ms


def deflated(content: bytes) -> bytes:
    packed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packed.compress(content) + packed.flush()


@pytest.mark.redis
@pytest.mark.parametrize(
    "damage",
    [
        b"odd",
        HEAD + b"not deflated",
        HEAD + deflated(b""),
        HEAD + deflated(b"1" * 31),
        HEAD + deflated(b"1" * 64),
        HEAD + deflated(b"1" * 32)[:-3],
        b"\x00" * 4 + HEAD[4:] + deflated(b"1" * 32),
        HEAD[:2] + b"\x00\x00" + HEAD[4:] + deflated(b"1" * 32),  # it ends where it begins
    ],
)
def test_damaged_block_is_one_line(store: Store, damage: bytes) -> None:
    tracks = Tracks(store)
    tracks.write(1, track_of([0], [9], 500))
    assert parts(tracks.whole(1)) == ([0], [9], 500)
    store.client.set(keys.track(1, 0), damage)
    for call in (lambda: tracks.read([(1, 0, 1)]), lambda: tracks.whole(1)):
        with pytest.raises(StoreError, match="damaged"):
            call()


BORDERS = [0, 20, 500, BLOCK_MS - 1, BLOCK_MS, BLOCK_MS + 1, 2 * BLOCK_MS, 5 * BLOCK_MS - 1, 5 * BLOCK_MS, 9 * BLOCK_MS]
moments = st.one_of(st.sampled_from(BORDERS), st.integers(0, 20 * BLOCK_MS))


@pytest.mark.redis
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(track=films, pairs=st.lists(st.tuples(moments, moments), min_size=1, max_size=5))
def test_windows_are_slices_of_the_whole(store: Store, track: Track, pairs: list[tuple[int, int]]) -> None:
    tracks = Tracks(store)
    tracks.write(5, track)
    windows = [(min(pair), max(pair)) for pair in pairs]
    read, _ = tracks.read([(5, from_ms / 1000, to_ms / 1000) for from_ms, to_ms in windows])
    for (from_ms, to_ms), part in zip(windows, read, strict=True):
        wanted = track.slice(from_ms, to_ms)
        assert parts(part)[:2] == parts(wanted)[:2]
        # a run that goes on after the last block read ends with that block, after the window
        assert part.end_ms == wanted.end_ms or (to_ms <= part.end_ms < wanted.end_ms and not part.end_ms % BLOCK_MS)


@pytest.mark.redis
def test_window_inside_a_run_without_frames_for_minutes(store: Store) -> None:
    tracks = Tracks(store)
    tracks.write(1, track_of([100, 59_980, 400_000], [1, 2, 3], 401_000))
    windows = [
        (1, 200.0, 210.0),
        (1, 399.0, 400.5),
        (1, -5.0, 0.05),
        (1, 59.98, 60.0),
        (1, 401.0, 500.0),
        (9, 0.0, 9.0),
    ]
    # the open run of the window in block 3 began in block 0; it is read as far as its block
    wanted = [([59_980], [2], 240_000), ([59_980, 400_000], [2, 3], 401_000), ([], [], 0), ([59_980], [2], 60_000)]
    assert [parts(part) for part in tracks.read(windows)[0]] == [*wanted, ([], [], 0), ([], [], 0)]


def test_a_run_keeps_the_mean_of_its_margins() -> None:
    margins = np.full((3, 32), 1.0, np.float32)
    margins[0, 0], margins[1, 0], margins[2, 0] = 2.0, 5.0, 1.5  # the first two frames are one run: 3.5 is level 3
    codes = np.array([7, 7, 0xFFFF0007], np.uint32)
    margins[2, 16:] = 6.0
    track = Track.from_codes(np.array([0.0, 0.04, 0.08]), codes, 0.12, margins)
    assert parts(track) == ([0, 80], [7, 0xFFFF0007], 120)
    assert track.levels[:, 0].tolist() == [3, 1]
    with pytest.raises(ValueError, match="levels"):
        Track(track.start_ms, track.codes, track.end_ms, track.levels[:1])


def test_frames_that_look_alike_join_whatever_their_codes() -> None:
    """Two bits waver around 0, which changes the code and not the look; the run has the code of the mean."""
    codes = np.array([0b00, 0b01, 0b10, 0b00, 0xFFFF], np.uint32)
    margins = np.full((5, 32), 4.0, np.float32)
    margins[:4, :2] = [[0.4, 0.4], [0.2, 0.4], [0.4, 0.1], [0.4, 0.4]]
    track = Track.from_codes(np.arange(5, dtype=np.float64) * 0.08, codes, 0.4, margins)
    assert parts(track) == ([0, 320], [0, 0xFFFF], 400)
    assert track.levels[0, :3].tolist() == [0, 0, 4]


def test_levels_survive_blocks_and_slices() -> None:
    starts = np.arange(0, 4 * BLOCK_MS, 700, dtype=np.uint32)
    rng = np.random.default_rng(6)
    codes = rng.integers(0, 2**32, len(starts), dtype=np.uint32)
    levels = rng.integers(0, 8, (len(starts), 32)).astype(np.uint8)
    track = Track(starts, codes, 4 * BLOCK_MS, levels)
    blocks = pack_blocks(track)
    again = unpack_blocks(blocks)
    assert np.array_equal(again.codes, codes)
    assert np.array_equal(again.levels, levels)
    assert np.array_equal(track.slice(7000, 14_000).levels, levels[10:20])


@pytest.mark.redis
def test_a_track_grows_at_its_end_and_is_forgotten_at_its_beginning(store: Store) -> None:
    tracks = Tracks(store)
    for second in (0, 1, 59, 60, 61, 200):  # nothing between the second and the last minute
        part = track_of([second * 1000, second * 1000 + 500], [second, second + 1000], (second + 1) * 1000)
        tracks.extend(4, part, (second + 1) * 1000)
        tracks.extend(4, part, (second + 1) * 1000)  # once more changes nothing
    whole = tracks.whole(4)
    assert [code for code in whole.codes.tolist() if code < 1000] == [0, 1, 59, 60, 61, 200]
    assert len(whole) == 12
    assert whole.end_ms == 201_000
    ((window,), _) = tracks.read([(4, 199.0, 202.0)])
    assert window.codes.tolist() == [1061, 200, 1200] or window.codes.tolist() == [200, 1200]
    gone = list(tracks.forget(4, 2))
    assert [part.codes.tolist()[0] for part in gone] == [0, 60]
    assert tracks.whole(4).codes.tolist() == [200, 1200]
    assert list(tracks.forget(4, 2)) == []
    tracks.extend(4, track_of([201_000], [7], 202_000), 202_000)
    assert tracks.whole(4).codes.tolist() == [200, 1200, 7]
    tracks.delete(4)
    assert store.client.dbsize() == 0


@pytest.mark.redis
def test_a_block_is_given_before_it_is_deleted(store: Store) -> None:
    """Whoever dies while he takes its postings out finds it again."""
    tracks = Tracks(store)
    tracks.write(4, track_of([0, 60_000, 120_000], [1, 2, 3], 130_000))
    next(iter(tracks.forget(4, 2)))
    assert tracks.whole(4).codes.tolist() == [1, 2, 3]
