"""Films, pictures, damaged files, network sources and pace, on clips made here."""

import os
import random
import threading
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline import media, sources
from pipeline.errors import MediaError
from pipeline.frames import RgbImage
from pipeline.media import SourceInfo, probe, read_frames, read_frames_at_pace
from tests import media_samples as samples
from tests.media_samples import grey_ramp, shown_index, write_film

FRAMES = 25
TICKS = range(0, 40 * FRAMES, 40)  # milliseconds: 25 frames a second for one second


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """One second, 25 frames a second, 64 x 48, frame k grey 10 k, shown at 0.04 k s; key frames 12 apart."""
    return write_film(tmp_path / "film.mp4", grey_ramp(FRAMES), TICKS)


def read_times(source: str | Path, **wanted: float) -> list[float]:
    return [frame.pts_seconds for frame in read_frames(source, max_side=None, **wanted)]


def read_indices(source: str | Path, **wanted: float) -> list[int]:
    return [shown_index(frame.image) for frame in read_frames(source, max_side=None, **wanted)]


# --- what a source declares


def test_probe_film(film: Path) -> None:
    info = probe(film)
    assert (info.width, info.height, info.live) == (64, 48, False)
    assert info.duration_seconds == pytest.approx(1.0, abs=0.05)
    assert info.frame_rate == pytest.approx(25, rel=0.05)


def test_probe_picture_has_no_times(tmp_path: Path) -> None:
    path = samples.write_picture(tmp_path / "a.png", samples.four_corners())
    assert probe(path) == SourceInfo(64, 48, None, False, None)


def test_probe_matroska_takes_the_container_duration(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", grey_ramp(10), range(0, 400, 40))
    assert probe(path).duration_seconds == pytest.approx(0.4, abs=0.05)


def test_probe_raw_stream_declares_no_duration(tmp_path: Path) -> None:
    assert probe(write_film(tmp_path / "a.h264", grey_ramp(10), range(10))).duration_seconds is None


# --- frames and times


def test_frames_all_in_order_with_their_times(film: Path) -> None:
    frames = list(read_frames(film))
    assert [shown_index(frame.image) for frame in frames] == list(range(FRAMES))
    assert [frame.pts_seconds for frame in frames] == pytest.approx([0.04 * k for k in range(FRAMES)])
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8 for frame in frames)
    assert all(frame.image.flags.c_contiguous for frame in frames)


def test_times_of_variable_rate_come_from_the_stamps(tmp_path: Path) -> None:
    ticks = [0, 10, 500, 501, 900]
    path = write_film(tmp_path / "vfr.mkv", grey_ramp(5), ticks)
    assert read_times(path) == pytest.approx([0.0, 0.01, 0.5, 0.501, 0.9])


@pytest.mark.parametrize("first", [-400, 5000])
def test_times_start_at_zero_whatever_the_first_stamp(tmp_path: Path, first: int) -> None:
    path = write_film(tmp_path / "a.ts", grey_ramp(5), range(first, first + 200, 40))
    assert read_times(path) == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.16], abs=1e-4)


def test_times_without_stamps_follow_the_declared_rate(tmp_path: Path) -> None:
    path = write_film(tmp_path / "raw.h264", grey_ramp(10), range(10), time_base=Fraction(1, 25))
    assert read_indices(path) == list(range(10))
    assert read_times(path) == pytest.approx([0.04 * k for k in range(10)])


def placed(stamps: list[int | None], duration: int = 0, rate: float | None = None) -> list[float]:
    """Times given to frames stamped in milliseconds, the first stamp being the origin."""
    first = stamps[0]
    timeline = media._Timeline(None if first is None else first / 1000, rate)
    times = []
    for stamp in stamps:
        picture = av.VideoFrame(16, 16, "rgb24")
        picture.pts, picture.duration, picture.time_base = stamp, duration, samples.MILLISECONDS
        times.append(timeline.place(picture))
    return times


def test_timeline_small_step_back_holds_the_time() -> None:
    assert placed([1000, 1040, 1030, 1080]) == pytest.approx([0.0, 0.04, 0.04, 0.08])


def test_timeline_restarted_clock_goes_on() -> None:
    # 5 s after the start the clock falls back to 0: the next frame follows by the duration, 0.05 s.
    assert placed([0, 5000, 0, 50, 100], duration=50) == pytest.approx([0.0, 5.0, 5.05, 5.1, 5.15])


def test_timeline_missing_stamp_takes_the_last_duration() -> None:
    assert placed([0, 20, None, None, 80], duration=20) == pytest.approx([0.0, 0.02, 0.04, 0.06, 0.08])


def test_timeline_missing_first_stamp_is_zero_and_the_next_follows() -> None:
    # Known only afterwards: at 10 frames a second the second frame, stamped 7 s, is put at 0.1 s.
    assert placed([None, 7000, 7100], rate=10) == pytest.approx([0.0, 0.1, 0.2])


def test_timeline_nothing_declared_steps_a_twenty_fifth() -> None:
    assert placed([None, None, None]) == pytest.approx([0.0, 0.04, 0.08])


def test_stamp_earlier_than_the_first_frame_is_zero() -> None:
    assert media._Timeline(2.0, None)._seconds(1.9) == 0.0


# --- thinning


def test_max_fps_half_the_rate_keeps_every_other(film: Path) -> None:
    # Grid 0.08 s: frames 0, 2, 4 ... 24 lie on it.
    assert read_indices(film, max_fps=12.5) == list(range(0, FRAMES, 2))


def test_max_fps_not_dividing_the_rate_does_not_drift(film: Path) -> None:
    # Grid 0.1 s, frames each 0.04 s: the first at or after 0, .1, .2, .3 ... is 0, .12, .2, .32, .4 ...
    kept = read_times(film, max_fps=10)
    assert kept == pytest.approx([0.0, 0.12, 0.2, 0.32, 0.4, 0.52, 0.6, 0.72, 0.8, 0.92])


def test_max_fps_above_the_rate_keeps_all(film: Path) -> None:
    assert read_indices(film, max_fps=60) == list(range(FRAMES))


def test_max_fps_times_rounded_to_milliseconds_keep_their_place(tmp_path: Path) -> None:
    # 24 frames a second in Matroska: 0, 42, 83, 125, 167, 208, 250 ms; due at 83.3, 166.7, 250 ms.
    path = write_film(tmp_path / "a.mkv", grey_ramp(7), [round(k * 1000 / 24) for k in range(7)])
    assert read_indices(path, max_fps=12) == [0, 2, 4, 6]


def test_max_fps_variable_rate_neither_bursts_nor_starves(tmp_path: Path) -> None:
    # A burst of ten frames in 0.1 s, a pause of 0.5 s, then frames 0.2 s apart; grid 0.1 s.
    ticks = [*range(0, 100, 10), 600, 800, 1000]
    path = write_film(tmp_path / "a.mkv", grey_ramp(13), ticks)
    assert read_times(path, max_fps=10) == pytest.approx([0.0, 0.6, 0.8, 1.0])


def test_max_fps_skipped_frames_are_not_converted(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted = []
    to_rgb = media._Scaler.to_rgb

    def counting(self: media._Scaler, picture: av.VideoFrame) -> RgbImage:
        converted.append(picture.pts)
        return to_rgb(self, picture)

    monkeypatch.setattr(media._Scaler, "to_rgb", counting)
    list(read_frames(film, max_fps=5))
    assert len(converted) == 5  # due at 0, .2, .4, .6, .8


# --- ranges


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.flv"])
def test_range_is_half_open_and_keeps_film_time(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name == "a.avi" else "libx264"
    path = write_film(tmp_path / name, grey_ramp(FRAMES), range(FRAMES), time_base=Fraction(1, 25), codec=codec)
    # [0.6, 0.8) at 25 frames a second: frames 15 to 19.
    assert read_times(path, start_seconds=0.6, end_seconds=0.8) == pytest.approx(
        [0.6, 0.64, 0.68, 0.72, 0.76], abs=2e-3
    )
    assert read_indices(path, start_seconds=0.6, end_seconds=0.8) == [15, 16, 17, 18, 19]


@pytest.mark.parametrize("start", [0.0, 0.02, 0.44, 0.48, 0.5, 0.96])
def test_range_equals_the_whole_cut(film: Path, start: float) -> None:
    whole = [time for time in read_times(film) if time >= start - 1e-6]
    assert read_times(film, start_seconds=start) == whole


def test_range_does_not_start_at_a_late_key_frame(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "SEEK_LEADS_SECONDS", (-0.5, 0.0))  # the first try lands at the key frame of 0.48 s
    assert read_indices(film, start_seconds=0.3, end_seconds=0.4) == [8, 9]


def test_range_where_seeking_fails_reads_on(tmp_path: Path) -> None:
    path = samples.write_picture(tmp_path / "a.png", samples.four_corners())
    assert read_times(path, start_seconds=0.5) == []


def test_range_of_a_pipe_reads_on(tmp_path: Path) -> None:
    content = write_film(tmp_path / "a.ts", grey_ramp(FRAMES), TICKS).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    assert read_indices(pipe, start_seconds=0.6, end_seconds=0.72) == [15, 16, 17]
    writer.join()


def test_range_beyond_the_end_is_empty(film: Path) -> None:
    assert read_times(film, start_seconds=50.0) == []
    assert read_times(film, end_seconds=0.0) == []


def test_range_start_is_kept_then_the_grid(film: Path) -> None:
    # From 0.24 s on the grid of 0.2 s: 0.24 (first of the range), 0.4, 0.6, 0.8.
    assert read_times(film, start_seconds=0.24, max_fps=5) == pytest.approx([0.24, 0.4, 0.6, 0.8])


@pytest.mark.parametrize(
    "wanted",
    [
        {"max_fps": 0.0},
        {"max_fps": float("nan")},
        {"start_seconds": float("nan")},
        {"end_seconds": float("nan")},
    ],
)
def test_range_that_is_no_number_is_refused(film: Path, wanted: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        read_times(film, **wanted)


def test_closing_early_closes_the_file(film: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    frames = read_frames(film)
    next(frames)
    assert len(os.listdir("/proc/self/fd")) > before
    frames.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


def test_reading_holds_no_film_in_memory(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", grey_ramp(100, 100, 96), range(0, 4000, 40))
    tracemalloc.start()
    for _ in read_frames(path):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 100 * 96 * 3  # bytes: ten of the hundred frames


# --- damage


def test_truncated_with_index_gives_what_is_left(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (FRAMES, 48, 64, 3), np.uint8)
    options = {"movflags": "faststart"}
    path = write_film(tmp_path / "a.mp4", list(noise), TICKS, container_options=options, gop=1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    times = read_times(path)
    assert 8 <= len(times) <= 14  # half of 25, less the index
    assert times == pytest.approx([0.04 * k for k in range(len(times))])


def test_truncated_before_the_first_frame_decodes_nothing(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", grey_ramp(5), range(0, 200, 40), container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 6])
    with pytest.raises(MediaError, match="nothing in it can be decoded"):
        list(read_frames(path))


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4"])
def test_damage_in_the_middle_is_passed_over(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), np.uint8)
    path = write_film(tmp_path / name, list(noise), range(0, 2000, 40), gop=5)
    samples.damage(path, 0.4, 0.5)
    times = read_times(path)
    assert 35 <= len(times) <= 50  # a tenth is gone, and up to two groups of five with it
    assert times == sorted(times)
    assert times[-1] == pytest.approx(49 * 0.04, abs=1e-3)


@pytest.mark.parametrize("seed", range(50))
def test_flipped_bytes_give_frames_or_a_media_error(tmp_path: Path, seed: int) -> None:
    path = write_film(tmp_path / "a.mp4", grey_ramp(6), range(0, 240, 40), gop=3)
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 5, 40])):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(data)
    try:
        times = read_times(path, start_seconds=chance.choice([0.0, 0.1]))
    except MediaError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
    else:
        assert times == sorted(times)


def test_damaged_film_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_film(tmp_path / "a.ts", grey_ramp(FRAMES), TICKS)
    capfd.readouterr()
    samples.damage(path, 0.2, 0.6)
    list(read_frames(path))
    assert capfd.readouterr() == ("", "")


class FailingDemuxer:
    """A container whose reads fail as often as told before each packet, as on a scratched disc."""

    def __init__(self, container: av.container.InputContainer, failures: int) -> None:
        self._packets = list(container.demux(video=0))
        self._failures = failures
        self._left = failures

    def demux(self, _: object) -> "Iterator[av.Packet[av.VideoStream]]":
        while self._packets:
            if self._left:
                self._left -= 1
                raise av.error.OSError(5, "Input/output error")
            self._left = self._failures
            yield self._packets.pop(0)


@pytest.mark.parametrize(("failures", "frames"), [(media.DAMAGE_LIMIT - 1, FRAMES), (media.DAMAGE_LIMIT, 0)])
def test_failing_reads_are_tried_again_up_to_a_limit(film: Path, failures: int, frames: int) -> None:
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        stub = FailingDemuxer(container, failures)
        pictures = media._decode(stub, stream, sources.locate(film))  # type: ignore[arg-type]
        assert len(list(pictures)) == frames


# --- pace


class Clock:
    """A clock that moves when it is slept on, or told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_pace_waits_until_each_frame_is_due(film: Path) -> None:
    clock = Clock()
    due = []
    for frame in read_frames_at_pace(film, clock=clock, sleep=clock.sleep):
        due.append((frame.pts_seconds, clock.now))
    assert len(due) == FRAMES
    assert all(now == pytest.approx(100.0 + seconds) for seconds, now in due)
    assert sum(clock.slept) == pytest.approx(0.96)


def test_pace_begins_at_once_at_a_late_start(film: Path) -> None:
    clock = Clock()
    frame = next(read_frames_at_pace(film, start_seconds=0.8, clock=clock, sleep=clock.sleep))
    assert frame.pts_seconds == pytest.approx(0.8)
    assert clock.now == 100.0


def test_pace_drops_what_a_slow_reader_missed(film: Path) -> None:
    clock = Clock()
    times = []
    for frame in read_frames_at_pace(film, max_fps=12.5, clock=clock, sleep=clock.sleep):
        times.append(frame.pts_seconds)
        clock.now += 0.3
    # Step 0.08 s. At 0.3 s the frame of 0.24 s is 0.06 s late: given. At 0.6: 0.56; at 0.9: 0.88.
    assert times == pytest.approx([0.0, 0.24, 0.56, 0.88])


def test_pace_decoder_slower_than_real_time_still_gives_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "a.mp4", grey_ramp(25), range(0, 1000, 40))
    clock = Clock()
    place = media._Timeline.place

    def slow_place(self: media._Timeline, picture: av.VideoFrame) -> float:
        clock.now += 0.2  # seconds to decode a frame that lasts 0.04
        return place(self, picture)

    monkeypatch.setattr(media._Timeline, "place", slow_place)
    times = [frame.pts_seconds for frame in read_frames_at_pace(path, clock=clock, sleep=clock.sleep)]
    # The first, then each fifth: 5 * 0.2 s is the second a reader is made to wait at most.
    assert times == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])


def test_pace_passes_live_sources_through(tmp_path: Path) -> None:
    clock = Clock()
    with samples.RtspCamera(tmp_path, frames=6) as camera:
        address = f"rtsp://127.0.0.1:{camera.port}/live"
        frames = list(read_frames_at_pace(address, clock=clock, sleep=clock.sleep))
    assert len(frames) == 6
    assert clock.slept == []
