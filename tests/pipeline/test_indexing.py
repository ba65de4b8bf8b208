from pathlib import Path

import numpy as np
import pytest

from edge.demo import sample_films
from pipeline.encoder import default_encoder
from pipeline.errors import MediaError
from pipeline.frames import RgbImage
from pipeline.indexing import INDEX_FPS, SHORT_SECONDS, code_film, fingerprint, open_film
from pipeline.media import read_frames, read_key_frames
from tests.media_samples import grey_ramp, hollow_film, shown_index, write_film, write_sound

BAR = 12  # of 96 rows, above and below


def barred(count: int) -> list[RgbImage]:
    """Noise between black bars, another picture each time."""
    rng = np.random.default_rng(0)
    images = []
    for _ in range(count):
        image = np.zeros((96, 160, 3), np.uint8)
        image[BAR:-BAR] = np.repeat(np.repeat(rng.integers(60, 255, (9, 20, 3), dtype=np.uint8), 8, 0), 8, 1)
        images.append(image)
    return images


@pytest.mark.parametrize("seconds", [SHORT_SECONDS / 4, SHORT_SECONDS * 1.5])
def test_black_bars_are_found_in_short_and_long_films(tmp_path: Path, seconds: float) -> None:
    count = int(seconds * 2)
    film = write_film(tmp_path / "film.mp4", barred(count), range(0, count * 500, 500), gop=10)
    frames, corners = open_film(film)
    assert corners is not None
    assert sum(1 for _ in frames) == count
    np.testing.assert_allclose(corners, [[0, BAR], [160, BAR], [160, 96 - BAR], [0, 96 - BAR]], atol=2)


def test_bars_are_set_aside_in_the_codes(tmp_path: Path) -> None:
    images = barred(24)
    ticks = range(0, 24 * 250, 250)
    with_bars = write_film(tmp_path / "bars.mp4", images, ticks, codec_options={"crf": "10"})
    without = write_film(tmp_path / "plain.mp4", [i[BAR:-BAR] for i in images], ticks, codec_options={"crf": "10"})
    coded, plain = (code_film(film, default_encoder(), lambda _: None).track for film in (with_bars, without))
    moments = np.arange(0.1, 5.9, 0.25)
    differing = np.bitwise_count(coded.codes_at(moments)[0] ^ plain.codes_at(moments)[0])
    assert np.median(differing) <= 1
    assert open_film(without)[1] is None


def test_coded_film_tells_its_length_and_reports_where_it_is() -> None:
    reached: list[float] = []
    coded = code_film(sample_films()[1], default_encoder(), reached.append)
    assert coded.duration_seconds == pytest.approx(10.0, abs=0.05)
    assert coded.frames == pytest.approx(10 * INDEX_FPS, abs=1)
    assert reached == sorted(reached)
    assert reached[-1] == pytest.approx(10.0, abs=0.1)
    assert 20 < len(coded.track) <= coded.frames
    assert coded.track.end_ms == pytest.approx(10_000, abs=50)
    assert coded.track.levels.shape == (len(coded.track), 32)
    assert coded.track.levels.max() > coded.track.levels.min()


def test_film_of_undeclared_length_is_not_held_in_memory(tmp_path: Path) -> None:
    count = int(SHORT_SECONDS * INDEX_FPS * 2)
    film = write_film(tmp_path / "raw.h264", barred(count), range(count), gop=10)
    frames, corners = open_film(film)
    assert corners is not None  # from the part that is held
    assert sum(1 for _ in frames) == pytest.approx(count / 2, abs=2)  # declared as 25 a second, so every other one


def test_film_of_one_frame(tmp_path: Path) -> None:
    coded = code_film(write_film(tmp_path / "one.mkv", grey_ramp(1), [0]), default_encoder(), lambda _: None)
    assert (len(coded.track), coded.frames, coded.motion) == (1, 1, None)
    assert coded.duration_seconds == pytest.approx(1 / INDEX_FPS)


def test_key_frames_are_spread_over_a_film(tmp_path: Path) -> None:
    film = write_film(
        tmp_path / "film.mkv", grey_ramp(24), range(0, 24_000, 1000), gop=4, codec_options={"sc_threshold": "0"}
    )
    found = list(read_key_frames(film, 24))
    assert [frame.pts_seconds for frame in found] == [0, 4, 8, 12, 16, 20]  # every fourth second has one
    assert [shown_index(frame.image) for frame in found] == [0, 4, 8, 12, 16, 20]
    assert len(list(read_key_frames(film, 50))) == 6  # each once
    assert [frame.pts_seconds for frame in read_key_frames(film, 2)] == [0, 8]  # at or before 0 and the middle


def test_key_frames_where_a_film_has_one_or_none(tmp_path: Path) -> None:
    raw = write_film(tmp_path / "raw.h264", grey_ramp(10), range(10), gop=5)
    assert [shown_index(frame.image) for frame in read_key_frames(raw, 4)] == [0]  # no times, no place to seek to
    assert list(read_key_frames(hollow_film(tmp_path / "hollow.mp4"), 4)) == []
    with pytest.raises(MediaError, match="no picture"):
        next(iter(read_key_frames(write_sound(tmp_path / "sound.flac"), 4)))


def test_times_of_key_frames_are_those_of_the_frames(tmp_path: Path) -> None:
    film = write_film(tmp_path / "late.mkv", grey_ramp(12), range(5000, 17_000, 1000), gop=3)
    starts = {frame.pts_seconds for frame in read_frames(film)}
    assert {frame.pts_seconds for frame in read_key_frames(film, 4)} <= starts


def test_fingerprint_is_the_sha256_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert fingerprint(tmp_path / "a").startswith("ba7816bf8f01cfea")  # NIST's test vector
    with pytest.raises(MediaError, match="check the path"):
        fingerprint(tmp_path / "b")
