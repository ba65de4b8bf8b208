"""`vnome ingest`: what it is asked, and what it sends."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.demo import sample_films
from pipeline.broker import Topics
from pipeline.encoder import default_encoder
from pipeline.messages import CODE, Place, parse_message
from pipeline.wire import unpack_readings
from tests.commands import Vnome
from tests.kafka_broker import KafkaBroker
from tests.streaming import Stack, running_stack

BUNNY, BIKES, _ = sample_films()


@pytest.fixture
def vnome(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Vnome:
    monkeypatch.setenv("VNOME_KAFKA", "127.0.0.1:1")
    return Vnome(capsys)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "give a SOURCE"),
        (["x.mp4"], "--camera '' is no id"),
        (["x.mp4", "--camera", "a b"], "--camera 'a b' is no id"),
        (["x.mp4", "--camera", "a", "--role", "actor"], "--role 'actor'"),
        (["x.mp4", "--camera", "a", "--video", "v"], "--role reference"),
        (["x.mp4", "--camera", "a", "--role", "channel"], "--role channel needs --video ID"),
        (["x.mp4", "--role", "reference", "--encode"], "--encode is for live sources"),
        (["x.mp4", "--config", "y.yaml"], "give a SOURCE"),
        (["--config", "nosuch.yaml"], "nosuch.yaml cannot be read"),
    ],
)
def test_bad_use(vnome: Vnome, arguments: list[str], part: str) -> None:
    assert vnome("ingest", *arguments).failed_with(2, part)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "cannot be read"),
        ("a: 1", "no list `cameras`"),
        ("cameras: []", "no list `cameras`"),
        ("cameras: [lobby]", "camera 1: needs camera and source"),
        ("cameras: [{camera: a}]", "camera 1: needs camera and source"),
        ("cameras: [{camera: a, source: x, colour: 1}]", "knows no 'colour'"),
        ("cameras: [{camera: a b, source: x}]", "'a b' is no id"),
        ("cameras: [{camera: a, source: x, fps: fast}]", "fps 'fast'"),
        ("cameras: [{camera: a, source: x, loop: 1}]", "true or false"),
        ("cameras: [{camera: a, source: x}, {camera: a, source: y}]", "'a' is there twice"),
    ],
)
def test_bad_config(vnome: Vnome, tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    assert vnome("ingest", "--config", tmp_path / "c.yaml").failed_with(2, "c.yaml", part)


def test_no_kafka_named(vnome: Vnome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VNOME_KAFKA")
    assert vnome("ingest", str(BUNNY), "--camera", "a").failed_with(2, "VNOME_KAFKA")
    from pipeline.settings import settings

    settings.cache_clear()
    monkeypatch.setenv("VNOME_KAFKA", "nonsense")
    assert vnome("ingest", str(BUNNY), "--camera", "a").failed_with(2, "'nonsense' is not HOST:PORT")


@pytest.fixture
def stack(kafka: KafkaBroker, topics: Topics) -> Iterator[Stack]:
    with running_stack(kafka, topics) as running:
        yield running


@pytest.mark.kafka
@pytest.mark.redis
def test_many_cameras_of_a_file_some_of_them_missing(stack: Stack, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        f"cameras: [{{camera: a, source: '{BUNNY}', fps: 5}}, {{camera: b, source: '{BUNNY}', encode: true}},"
        f" {{camera: c, source: '{tmp_path}/none.mp4'}}]"
    )
    ran = stack.vnome("ingest", "--config", str(config), "--topic", stack.topics.frames, "--json")
    assert ran.returncode == 2
    results = {one["camera"]: one for one in json.loads(ran.stdout)["cameras"]}
    assert "no such file" in results["c"]["error"]
    assert results["a"]["sent"] == pytest.approx(26, abs=2)
    assert results["a"]["dropped"] == 0
    messages = [
        parse_message(m.key, m.value, m.headers, m.timestamp, Place(m.topic, m.partition, m.offset))
        for m in stack.messages(stack.topics.frames)
    ]
    coded = [message for message in messages if message.camera == "b"]
    assert len(coded) == results["b"]["sent"]
    assert {message.type for message in coded} == {CODE}
    assert {message.encoder for message in coded} == {default_encoder().bundle.sha256}
    assert len(unpack_readings(coded[0].value, len(coded[0].views), 0.0)) == len(coded[0].views) > 1
    for camera in ("a", "b"):
        numbers = [message.seq for message in messages if message.camera == camera]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
