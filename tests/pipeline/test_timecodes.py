"""Time codes: numbers of frames, and drop-frame's arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.timecodes import RATES, Rate, is_timecode, rate_near, rate_of

FILM, PAL, NTSC, DROP = Rate(24, ntsc=True), Rate(25), Rate(30, ntsc=True), Rate(30, ntsc=True, drop=True)
DAY_FRAMES = 24 * 6 * 17982  # of drop-frame: 17,982 numbers in ten minutes


@pytest.mark.parametrize(
    ("rate", "frame", "text"),
    [
        (PAL, 0, "00:00:00:00"),
        (PAL, 25 * 3661 + 24, "01:01:01:24"),
        (FILM, 24 * 3600, "01:00:00:00"),  # an hour of numbers, 3603.6 s of film
        (NTSC, 30 * 60, "00:01:00:00"),
        (DROP, 1799, "00:00:59;29"),
        (DROP, 1800, "00:01:00;02"),  # 00 and 01 are left out
        (DROP, 17981, "00:09:59;29"),
        (DROP, 17982, "00:10:00;00"),  # but not each tenth minute
        (DROP, 107892, "01:00:00;00"),  # 3600 s at 29.97 are 107,892 frames
        (Rate(60, True, True), 3600, "00:01:00;04"),
        (PAL, 25 * 86400, "00:00:00:00"),
    ],
)
def test_frames_and_their_time_codes(rate: Rate, frame: int, text: str) -> None:
    assert rate.text(frame) == text
    assert is_timecode(text) and rate.frame(text) == frame % (25 * 86400)


@given(st.integers(0, DAY_FRAMES - 1))
def test_a_drop_frame_time_code_tells_its_frame_and_keeps_step(frame: int) -> None:
    text = DROP.text(frame)
    assert DROP.frame(text) == frame
    hours, minutes, seconds, frames = int(text[:2]), int(text[3:5]), int(text[6:8]), int(text[9:])
    shown = hours * 3600 + minutes * 60 + seconds + frames / 30
    assert abs(shown - frame / DROP.fps) < 0.16  # 86 ms a day, and two frames


@pytest.mark.parametrize(
    ("fps", "meant"),
    [(23.976, FILM), (23.98, FILM), (24.0, Rate(24)), (25.01, PAL), (29.97, NTSC), (30.0, Rate(30)), (15.0, None)],
)
def test_what_a_declared_rate_means(fps: float, meant: Rate | None) -> None:
    assert rate_near(fps) == meant


def test_only_ntsc_video_drops_numbers() -> None:
    assert [rate.drop for rate in map(lambda rate: rate_near(rate.fps, drop=True), RATES) if rate] == [
        rate.ntsc and rate.numbers in (30, 60) for rate in RATES
    ]


def test_rates_as_people_write_them() -> None:
    assert (rate_of("25"), rate_of(" 29.97DF "), rate_of("23.976")) == (PAL, DROP, FILM)


@pytest.mark.parametrize("text", ["", "df", "15", "25df", "23.976df", "nan", "inf", "twenty"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no rate of time codes"):
        rate_of(text)


@pytest.mark.parametrize("text", ["", "1:00:00:00", "00:00:00", "00:00:00:00:00", "aa:bb:cc:dd"])
def test_what_is_no_time_code_is_refused(text: str) -> None:
    assert not is_timecode(text)
    with pytest.raises(InputError, match="hh:mm:ss:ff"):
        PAL.frame(text)
