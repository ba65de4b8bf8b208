"""Files, addresses and cameras: how they are opened, and the one line when they cannot be."""

import functools
import http.server
import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline import sources
from pipeline.errors import MediaError
from pipeline.media import probe, read_frames
from tests import media_samples as samples
from tests.media_samples import grey_ramp, shown_index, write_film


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Ten frames, 0.04 s apart, 64 x 48."""
    return write_film(tmp_path / "film.mp4", grey_ramp(10), range(0, 400, 40))


def failure(source: str | Path) -> str:
    """The one line that reading gives; probing must not say otherwise where it fails too."""
    with pytest.raises(MediaError) as caught:
        list(read_frames(source))
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 300
    return line


# --- bad input


def test_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no.mp4"
    assert failure(path) == f"no such file: {path}; check the path"
    with pytest.raises(MediaError, match="no such file"):
        probe(path)


def test_folder_is_named(tmp_path: Path) -> None:
    assert "is a folder" in failure(tmp_path)


def test_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert "is empty (0 bytes)" in failure(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["a.txt", "a.nfo", "a.mp4", "a.srt", "a"])
def test_text_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("1\n00:00:01,000 --> 00:00:02,000\nthis is not a film\n\n" * 20)
    line = failure(tmp_path / name)
    assert line.startswith(str(tmp_path / name))
    assert "film or picture" in line or "has no picture" in line


def test_text_that_ffmpeg_would_draw_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Call me Ishmael.\n" * 100)
    assert "this is text, not a film or picture" in failure(tmp_path / "a.txt")


def test_device_without_pictures_is_refused() -> None:
    assert "not a film or picture that can be read" in failure("/dev/null")


def test_noise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(random.Random(1).randbytes(5000))
    assert "not a film or picture that can be read" in failure(tmp_path / "a.mp4")


@pytest.mark.parametrize("cover", [False, True])
def test_sound_has_no_picture(tmp_path: Path, cover: bool) -> None:
    path = samples.write_sound(tmp_path / "a.flac", samples.four_corners() if cover else None)
    assert "has no picture; give a film" in failure(path)
    with pytest.raises(MediaError, match="has no picture"):
        probe(path)


def test_unknown_coding_is_named(film: Path) -> None:
    film.write_bytes(film.read_bytes().replace(b"avc1", b"zzz1"))
    assert "coding is not known" in failure(film)


def test_forbidden_file_is_named(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, who may read anything
    assert "may not be read by you" in failure(film)


def test_path_through_a_file_is_named(film: Path) -> None:
    assert "cannot be opened (Not a directory)" in failure(film / "a.mp4")


@pytest.mark.parametrize("name", ["a\0b", "a" * 5000])
def test_impossible_name_is_one_line(name: str) -> None:
    with pytest.raises(MediaError, match="cannot be opened"):
        probe(name)


def test_name_with_a_line_break_is_shown_in_one_line() -> None:
    assert failure("no\nsuch\udcff.mp4") == "no such file: no?such?.mp4; check the path"


def test_truncated_without_index_is_named(film: Path) -> None:
    film.write_bytes(film.read_bytes()[:-1200])  # the index lies at the end
    assert "cut off or damaged, its index cannot be read" in failure(film)


# --- cameras and networks


def test_camera_that_is_not_there_is_named() -> None:
    assert failure("webcam:93") == "webcam:93: no such camera; `ls /dev/video*` lists those there are"
    assert "no such camera" in failure("/dev/video93")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (av.error.PermissionError(13, "Permission denied"), "join the group `video`"),
        (av.error.OSError(16, "Device or resource busy"), "Device or resource busy"),
    ],
)
def test_camera_trouble_says_what_to_do(error: Exception, advice: str) -> None:
    assert advice in str(sources.open_failure(sources.locate("webcam:0"), error))


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "rtmp", "http", "https"])
def test_unreachable_address_is_named_without_its_password(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    line = failure(f"{scheme}://user:p@ss/word@127.0.0.1:{port}/live?token=abc")
    assert line.startswith(f"{scheme}://127.0.0.1:{port}/live?token=***: cannot be reached")
    assert "word" not in line
    assert "abc" not in line


def test_silent_address_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "NETWORK_TIMEOUT_SECONDS", 0.3)
    with samples.mute_server() as port:
        for scheme in ("rtsp", "http"):
            assert "cannot be reached" in failure(f"{scheme}://127.0.0.1:{port}/live")


def test_unknown_scheme_is_named() -> None:
    assert failure("gopher://host/a.mp4").startswith("gopher://host/a.mp4: cannot read gopher://; give a file")


def test_live_schemes_are_live() -> None:
    assert [sources.locate(f"{scheme}://host/x").live for scheme in ("rtsp", "rtmp", "http")] == [
        True,
        True,
        False,
    ]
    assert sources.locate("/dev/video0").live


def test_rtsp_camera_is_read_over_tcp(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with samples.RtspCamera(tmp_path, frames=10) as camera:
        frames = list(read_frames(f"rtsp://127.0.0.1:{camera.port}/live"))
    assert [shown_index(frame.image) for frame in frames] == list(range(10))
    times = [frame.pts_seconds for frame in frames]
    assert times[0] == 0.0
    # FFmpeg gives the first frame of an RTSP stream no timestamp; the others are 0.1 s apart.
    assert np.diff(times[1:]) == pytest.approx(0.1)
    assert any("interleaved" in request for request in camera.requests)
    assert not caplog.records  # PyAV logs options that nothing used


def test_rtsp_probe_is_live(tmp_path: Path) -> None:
    with samples.RtspCamera(tmp_path, frames=5) as camera:
        info = probe(f"rtsp://127.0.0.1:{camera.port}/live")
    assert (info.width, info.height, info.live, info.duration_seconds) == (64, 48, True, None)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, breaking off after `limit` bytes of each file, without printing."""

    limit: int | None = None

    def log_message(self, *_: object) -> None:
        pass

    def copyfile(self, source: object, outputfile: object) -> None:
        data = source.read()  # type: ignore[attr-defined]
        outputfile.write(data[: self.limit])  # type: ignore[attr-defined]


@contextmanager
def serving(folder: Path, limit: int | None = None) -> Iterator[str]:
    handler = type("Handler", (QuietHandler,), {"limit": limit})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_http_film_is_read(tmp_path: Path) -> None:
    write_film(tmp_path / "a.ts", grey_ramp(10), range(0, 400, 40))
    with serving(tmp_path) as address:
        assert [shown_index(frame.image) for frame in read_frames(f"{address}/a.ts")] == list(range(10))
        assert "cannot be reached" in failure(f"{address}/no.ts")


def test_http_text_is_not_blamed_on_the_network(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<html>not here</html>" * 50)
    with serving(tmp_path) as address:
        assert "not a film or picture" in failure(f"{address}/a.html")


def test_http_broken_off_is_an_error_not_a_short_film(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), np.uint8)
    path = write_film(tmp_path / "a.ts", list(noise), range(0, 2000, 40))
    with serving(tmp_path, limit=path.stat().st_size // 2) as address:
        assert "stopped sending" in failure(f"{address}/a.ts")
