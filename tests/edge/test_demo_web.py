"""`vnome demo --web`: a gateway for a phone of one's own."""

import json
import os
import signal
import ssl
import stat
import subprocess
import time
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import demo_web
from edge.demo import sample_films
from edge.demo_web import add_film, addresses, make_certificate, qr_code, telling_moments
from pipeline.details import Details
from pipeline.gateway.pages import built_pages
from pipeline.library import Library
from pipeline.store import Store
from pipeline.subtitles import read_cues
from tests.commands import BUNNY, COMMAND, Vnome
from tests.ports import free_port


def test_the_code_can_be_scanned() -> None:
    text = "https://192.0.2.7:8443/"
    rows = qr_code(text).split("\n")
    light = {"\u2588": (1, 1), "\u2580": (1, 0), "\u2584": (0, 1), " ": (0, 0)}
    picture = np.array([[light[mark][half] for mark in row] for row in rows for half in (0, 1)], np.uint8) * 255
    seen, *_ = cv2.QRCodeDetector().detectAndDecode(
        cv2.resize(picture, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    )
    assert seen == text


def test_a_certificate_is_made_once_and_again_for_another_address(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path / "tls", ["127.0.0.1"])
    first = certificate.read_bytes()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    make_certificate(tmp_path / "tls", ["127.0.0.1"])
    assert certificate.read_bytes() == first
    make_certificate(tmp_path / "tls", ["127.0.0.1", "192.0.2.9"])
    assert certificate.read_bytes() != first
    certificate.write_text("broken")
    make_certificate(tmp_path / "tls", ["127.0.0.1"])
    assert b"BEGIN CERTIFICATE" in certificate.read_bytes()
    assert addresses()[-1] == "127.0.0.1"


def test_subtitles_tell_the_moment() -> None:
    texts = telling_moments("bikes", 5.0)
    assert sorted(texts) == ["de", "en", "it"]
    cues = read_cues(texts["it"])
    assert [(cue.start, cue.text) for cue in cues] == [
        (0.0, "bikes: sei a 0:00:00"),
        (2.0, "bikes: sei a 0:00:02"),
        (4.0, "bikes: sei a 0:00:04"),
    ]


@pytest.mark.redis
def test_subtitles_beside_a_film_are_taken(store: Store, tmp_path: Path) -> None:
    film = tmp_path / "one.mp4"
    film.write_bytes(sample_films()[BUNNY].read_bytes())
    (tmp_path / "one.fr.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nBonjour\n")
    assert add_film(store, film) > 0
    assert Library(store).get("one").subtitles == ("fr",)
    assert Details(Library(store)).poster("one")


def test_pages_that_are_not_built_are_told_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_web, "built_pages", lambda: None)
    assert Vnome(capsys)("demo", "--web").failed_with(2, "make web", "Node.js")


@pytest.mark.browser
def test_a_newcomers_phone_finds_everything_over_https(home: Path) -> None:
    assert built_pages() is not None
    port = free_port()
    command = [*COMMAND, "demo", "--web", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as demo:
        try:
            assert demo.stdout is not None
            lines = []
            for line in demo.stdout:
                lines.append(line)
                if "Ctrl-C" in line:
                    break
            assert any(f":{port}/" in line for line in lines)
            trusted = ssl.create_default_context(cafile=str(home / "tls" / "certificate.pem"))
            time.sleep(0.5)
            with urllib.request.urlopen(f"https://127.0.0.1:{port}/v1/videos", context=trusted) as answer:
                videos = json.loads(answer.read())["videos"]
                assert answer.headers["strict-transport-security"]
            assert {video["video"] for video in videos} >= {"bikes", "bigbuckbunny"}
            assert all(video["film"] and video["poster"] and "de" in video["languages"] for video in videos)
            with urllib.request.urlopen(f"https://127.0.0.1:{port}/", context=trusted) as page:
                assert b"VNOME" in page.read()
        finally:
            demo.send_signal(signal.SIGINT)
            assert demo.wait(30) == 0
