"""Films that are sent, and what strangers send instead of films."""

import shutil
import struct
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from edge.demo import sample_films
from pipeline.errors import InputError, StoreError
from pipeline.gateway import sandbox as sandbox_module
from pipeline.gateway.sandbox import Cancelled, Sandbox
from pipeline.library import Library
from pipeline.store import Store
from tests.commands import BIKES, BUNNY
from tests.pipeline.gateway.conftest import VTT, Client, Make, is_problem

pytestmark = pytest.mark.redis


def send(client: Client, film: Path, **data: str) -> dict[str, str]:
    answer = client.post("/v1/videos", files={"film": (film.name, film.read_bytes())}, data=data)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/uploads/{answer.json()['upload']}"
    return dict(answer.json())


def test_a_film_that_is_sent_is_found(client: Client) -> None:
    film = sample_films()[BIKES]
    files = {"film": (film.name, film.read_bytes()), "subtitles.en": ("en.vtt", VTT.encode())}
    upload = client.post("/v1/videos", files=files, data={"title": "Bikes!"}).json()
    over = client.wait_for(upload)
    assert over["state"] == "done" and over["progress"] == 1.0 and over["video_url"] == "/v1/videos/bikes"
    video = client.get(over["video_url"]).json()
    assert video["title"] == "Bikes!" and video["languages"] == ["en"]
    assert client.get(video["poster"]).headers["content-type"] == "image/jpeg"
    assert client.get(video["film"]).content == film.read_bytes()
    clip = client.post("/v1/identify", files={"clip": ("clip.mp4", film.read_bytes())}).json()
    assert clip["matches"][0]["video"] == "bikes" and abs(clip["matches"][0]["at_seconds"]) < 0.3
    assert client.delete("/v1/videos/bikes").status_code == 204
    assert not list(client.gateway.films.own.iterdir())  # its film went with it


def test_an_upload_goes_on_after_the_gateway_was_stopped(make_client: Make, home: Path) -> None:
    first = make_client()
    first.gateway.uploads.close()  # nothing is coded from here on, as after a kill
    upload = send(first, sample_films()[BUNNY], title="Rabbit")
    (home / "uploads" / "half").mkdir()  # of an upload that was never answered
    done = home / "uploads" / "done"  # of one whose film had been moved already
    shutil.copytree(home / "uploads" / upload["upload"], done)
    (done / "film").unlink()
    second = make_client()
    assert second.wait_for(upload)["state"] == "done"
    assert second.get("/v1/videos/bigbuckbunny").json()["title"] == "Rabbit"
    assert not list((home / "uploads").iterdir())


def test_an_upload_that_waits_can_be_given_up(make_client: Make, store: Store) -> None:
    client = make_client()
    client.gateway.uploads.close()
    upload = send(client, sample_films()[BUNNY])
    assert client.delete(f"/v1/uploads/{upload['upload']}").json()["state"] == "cancelled"
    assert make_client().get("/v1/uploads").json()["total"] == 0 and not Library(store).videos()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"hello, I am no film", "not a film"),
        (sample_films()[BIKES].read_bytes()[:3000], "cut off"),
    ],
)
def test_what_is_no_film_fails_in_one_line(client: Client, data: bytes, words: str) -> None:
    answer = client.post("/v1/videos", files={"film": ("x.mp4", data)})
    assert answer.status_code == 202
    over = client.wait_for(answer.json())
    assert over["state"] == "failed" and words in str(over["detail"]) and "vn-" not in str(over["detail"])
    assert client.get("/v1/videos").json()["total"] == 0


def test_a_form_without_its_film_is_told_so(client: Client) -> None:
    assert is_problem(client.post("/v1/videos", data={"title": "x"}), 422, "multipart/form-data")
    assert is_problem(client.post("/v1/videos", files={"other": ("x", b"x")}), 422, "`film`")
    film = {"film": ("x.mp4", b"x")}
    assert is_problem(client.post("/v1/videos", files=film, data={"video": "a/b"}), 422, "without slashes")
    assert is_problem(client.post("/v1/videos", files={**film, "subtitles.en": ("s", b"x")}), 422, "-->")
    assert is_problem(client.post("/v1/videos", files={**film, "poster": ("p", b"x")}), 422, "poster")
    garbage = client.post("/v1/videos", content=b"x", headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert garbage.status_code in (400, 422) and garbage.headers["content-type"] == "application/problem+json"


def test_a_body_has_an_end(make_client: Make) -> None:
    client = make_client(upload_bytes=1 << 20)
    big = b"\0" * (2 << 20)
    assert is_problem(client.post("/v1/videos", files={"film": ("x.mp4", big)}), 413, str(1 << 20))

    def unannounced() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="film"; filename="x.mp4"\r\n\r\n'
        for _ in range(40):
            yield b"\0" * (64 << 10)

    streamed = client.post(
        "/v1/videos", content=unannounced(), headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert is_problem(streamed, 413, str(1 << 20))
    assert is_problem(client.patch("/v1/videos/x", content=b" " * (9 << 20)), 413)


def write_film(path: Path, width: int, height: int, frames: int) -> Path:
    """A film that is small on disk, and large when it is decoded: one black picture, over and over."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), np.uint8), "rgb24")
        (packet,) = [*stream.encode(picture.reformat(format="yuvj420p")), *stream.encode(None)]
        data = bytes(packet)
        for k in range(frames):
            again = av.Packet(data)
            again.stream, again.pts, again.dts, again.time_base = stream, k, k, Fraction(1, 25)
            container.mux(again)
    return path


class TestSandbox:
    """Files that are made to bring a decoder down."""

    def test_pictures_that_are_too_large(self, tmp_path: Path) -> None:
        bomb = write_film(tmp_path / "large.avi", 12000, 12000, 1)
        assert bomb.stat().st_size < 8 << 20
        sandbox = Sandbox()
        with pytest.raises(InputError, match="12000 x 12000"):
            sandbox.frame(bomb, 0.0, 320)
        assert sandbox.frame(sample_films()[BIKES], 1.0, 320)[:2] == b"\xff\xd8"  # the process lives on
        sandbox.close()

    def test_a_header_that_lies_about_the_size(self, tmp_path: Path) -> None:
        film = bytearray(write_film(tmp_path / "lies.avi", 9000, 9000, 2).read_bytes())
        for name in (struct.pack("<2I", 9000, 9000), struct.pack("<2i", 9000, 9000)):
            while (at := film.find(name)) >= 0:
                film[at : at + 8] = struct.pack("<2I", 640, 360)
        (tmp_path / "lies.avi").write_bytes(film)
        sandbox = Sandbox()
        started = time.monotonic()
        try:
            sandbox.frame(tmp_path / "lies.avi", 0.0, 320)
        except InputError as error:
            assert "\n" not in str(error)
        assert time.monotonic() - started < sandbox_module.ANSWER_SECONDS + 10
        assert sandbox.frame(sample_films()[BIKES], 1.0, 320)[:2] == b"\xff\xd8"
        sandbox.close()

    def test_a_film_that_takes_too_much_memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sandbox_module, "MEMORY_BYTES", 8 << 20)
        bomb = write_film(tmp_path / "wide.avi", 12_000, 8000, 3)
        sandbox = Sandbox()
        with pytest.raises(InputError):
            sandbox.frame(bomb, 0.0, 320)
        sandbox.close()

    def test_a_film_that_takes_too_long(self, tmp_path: Path) -> None:
        film = write_film(tmp_path / "long.avi", 1920, 1080, 20_000)
        sandbox = Sandbox()
        started = time.monotonic()
        with pytest.raises(InputError, match="too long"):
            sandbox.code_film(film, tmp_path / "out.npz", 1e6, 4.0, lambda _: None)
        assert time.monotonic() - started < 30
        sandbox.close()

    def test_a_film_that_lasts_too_long(self, tmp_path: Path) -> None:
        sandbox = Sandbox()
        with pytest.raises(InputError, match="longer than the 2 s"):
            sandbox.code_film(sample_films()[BIKES], tmp_path / "out.npz", 2.0, 60.0, lambda _: None)
        sandbox.close()

    def test_a_caller_who_gives_up(self, tmp_path: Path) -> None:
        sandbox = Sandbox()

        def give_up(_: object) -> None:
            raise Cancelled

        with pytest.raises(Cancelled):
            sandbox.code_film(sample_films()[BIKES], tmp_path / "out.npz", 100.0, 60.0, give_up)
        assert sandbox.frame(sample_films()[BIKES], 1.0, 320)[:2] == b"\xff\xd8"
        sandbox.close()

    def test_a_store_that_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VNOME_REDIS", "redis://127.0.0.1:1/0")
        sandbox = Sandbox()
        with pytest.raises(StoreError, match="cannot be reached"):
            sandbox.identify(sample_films()[BIKES])
        sandbox.close()
