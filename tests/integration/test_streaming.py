"""Cameras to matches on a real Kafka and a real Redis, with the plug pulled on each part."""

import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from edge.demo import sample_films
from edge.virtual_phone import VirtualPhone, preset
from pipeline.broker import Topics
from pipeline.camera_pictures import SIDE, CameraPictures
from pipeline.detector import default_detector
from pipeline.encoder import default_encoder
from pipeline.frames import Frame
from pipeline.jpeg import decode_jpeg
from pipeline.media import read_frames
from pipeline.sightings import Sightings
from pipeline.store import open_store
from pipeline.views import ViewReader, code_frames
from tests.kafka_broker import KafkaBroker, running_broker
from tests.streaming import Stack, film_frames, jpeg, play, running_stack, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

BUNNY, BIKES, CARPHONE = sample_films()
SECOND_NS = 1_000_000_000
PLAIN = ("--no-detect",)  # enough where only the way of frames is tested


@pytest.fixture
def stack(kafka: KafkaBroker, topics: Topics) -> Iterator[Stack]:
    with running_stack(kafka, topics) as running:
        yield running


@pytest.fixture(scope="module")
def small() -> list[bytes]:
    """A hundred small pictures, all different."""
    return [jpeg(Frame(np.ascontiguousarray(frame.image[::4, ::4]), 0.0)) for frame in film_frames(BIKES)][:100]


def seqs(stack: Stack, camera: str) -> list[int]:
    return [frame.seq for frame in stack.codes(camera)]


def send_steadily(stack: Stack, cameras: list[str], small: list[bytes], count: int, first: int = 0) -> None:
    """`count` frames of each camera, acknowledged by the broker."""
    base = time.time_ns()
    sent = [
        stack.send(camera, small[k % len(small)], base + k * 10_000_000, first + k)
        for k in range(count)
        for camera in cameras
    ]
    for one in sent:
        one.get(60)


def committed(stack: Stack) -> int:
    """The sum of the offsets that the stack's processors committed."""
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka.bootstrap)
    try:
        offsets = admin.list_group_offsets(stack.topics.frames)
    finally:
        admin.close()
    found: dict[Any, Any] = offsets.get(stack.topics.frames, offsets)
    return sum(max(value.offset, 0) for name, value in found.items() if isinstance(name, TopicPartition))


def test_cameras_are_matched_to_film_and_second_and_coded_as_vnome_match_codes(stack: Stack) -> None:
    indexed = stack.vnome("index", str(BUNNY), str(BIKES), str(CARPHONE))
    assert indexed.returncode == 0, indexed.stderr
    base = time.time_ns() - 60 * SECOND_NS
    plays = {  # camera -> film, from second, what it should be found as
        "lobby": (BUNNY, 0.0, "bigbuckbunny"),
        "hall-2": (BIKES, 0.0, "bikes"),
        "bar.3": (BIKES, 3.0, "bikes"),
        "tv@home": (CARPHONE, 0.0, "carphone_pristine"),
        "phone": (BIKES, 0.0, "bikes"),  # which films a screen in a room
    }
    stack.processor()
    with hook_server() as (url, posted):
        stack.matcher("--webhook", url)
        for camera, (film, start, _) in plays.items():
            frames = filmed(film, 6.0) if camera == "phone" else film_frames(film, start=start)
            play(stack, camera, frames, base)
        assert_all_is_found(stack, plays, base)
        wait_until(lambda: {event["id"] for event in posted} == {event["id"] for event in stack.events()}, "webhooks")
    wait_until(lambda: len(stack.codes("hall-2")) == len(film_frames(BIKES)), "all codes")
    assert_coded_alike(stack, "hall-2", film_frames(BIKES))
    assert_events_are_on_kafka(stack)
    assert_sightings(stack, base, {camera: name for camera, (_, _, name) in plays.items()})
    assert_pictures(stack, plays, base)


@contextmanager
def hook_server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that takes webhooks: its address, and what was posted."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/events", posted
        server.shutdown()
        thread.join()


def filmed(film: Path, seconds: float) -> list[Frame]:
    """What a phone films of a film that begins when it does, thinned out as an agent does."""
    phone = VirtualPhone(preset("easy"), seed=1)
    shots = phone.film(read_frames(film), seconds=seconds)
    return [Frame(shot.image, shot.pts_seconds) for k, shot in enumerate(shots) if k % 3 == 0]


def assert_all_is_found(stack: Stack, plays: dict[str, tuple[Path, float, str]], base: int) -> None:
    """Each camera's film, at the right second, and its end."""
    stack.producer.flush(timeout=60)
    wait_until(lambda: {e["camera"] for e in stack.events() if e["event"] == "found"} == set(plays), "the matches")
    for event in stack.events():
        if event["event"] == "found":
            assert event["video"] == plays[event["camera"]][2]
            assert event["at_seconds"] == pytest.approx(event["time"] - base / 1e9, abs=0.5)
    wait_until(lambda: sum(e["event"] == "lost" for e in stack.events()) == len(plays), "the ends", 40)


def assert_coded_alike(stack: Stack, camera: str, frames: list[Frame]) -> None:
    """The codes in Redis are those of the same pictures read in this process."""
    reader, encoder, detector = ViewReader(), default_encoder(), default_detector()
    stored = stack.codes(camera)
    pictures = [Frame(decode_jpeg(jpeg(frame)), entry.ts_ns / 1e9) for frame, entry in zip(frames, stored, strict=True)]
    readings = []
    for picture in pictures:
        (seen,) = detector.detect([picture.image])
        readings.append(reader.read(picture, seen)[0])
    for entry, expected in zip(stored, code_frames(encoder, pictures, readings), strict=True):
        coded = entry.coded(0)
        for view, reading in coded.views.items():
            sure = (
                expected[view].margins[0] > 0.05
            )  # a batch of another size may round a bit that is in doubt otherwise
            different = (int(reading.codes[0] ^ expected[view].codes[0]) >> np.arange(32)) & 1
            assert not (different.astype(bool) & sure).any()
            assert reading.margins[0] == pytest.approx(np.minimum(expected[view].margins[0], 255 / 16), abs=0.1)


def assert_events_are_on_kafka(stack: Stack) -> None:
    told = {event["id"]: event for event in stack.events()}
    wait_until(lambda: {json.loads(m.value)["id"] for m in stack.messages(stack.topics.matches)} == set(told), "Kafka")
    for message in stack.messages(stack.topics.matches):
        event = json.loads(message.value)
        assert event == told[event["id"]]
        assert message.key.decode() == event["camera"]


def assert_sightings(stack: Stack, base_ns: int, names: dict[str, str]) -> None:
    ran = stack.vnome("sightings", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)["sightings"]
    assert {sighting["camera"]: sighting["video"] for sighting in found} == names
    for sighting in found:
        assert not sighting["open"]
        assert sighting["film_start"] == pytest.approx(sighting["start"] - base_ns / 1e9, abs=0.5)
        assert sighting["film_end"] - sighting["film_start"] == pytest.approx(
            sighting["end"] - sighting["start"], abs=0.6
        )


def assert_pictures(stack: Stack, plays: dict[str, tuple[Path, float, str]], base_ns: int) -> None:
    """Of each camera and of each sighting a picture is kept: the film's at the moment that is told with it."""
    with open_store(stack.redis.url) as store:
        pictures = CameraPictures(store)
        for sighting in Sightings(store).find():
            assert pictures.of_camera(sighting.camera) is not None
            kept = pictures.of_sighting(sighting.id)
            assert kept is not None
            if sighting.camera != "phone":
                moment = (kept.ts_ns - base_ns) / SECOND_NS
                shown = next(read_frames(plays[sighting.camera][0], start_seconds=moment - 1e-3, max_side=SIDE))
                seen = decode_jpeg(kept.jpeg).astype(float)
                assert np.abs(seen - shown.image).mean() < 12  # grey levels; another moment is twice as far off


def bad_values(small: list[bytes]) -> dict[str, list[bytes | None]]:
    """Values that can never be processed, by the reason that is to be given."""
    one = small[0]
    huge = bytearray(one)
    frame_header = huge.index(b"\xff\xc0")
    huge[frame_header + 5 : frame_header + 9] = b"\xff\x00\xff\x00"  # 65,280 x 65,280 pixels
    tables = one.index(b"\xff\xc4")
    corrupt = one[: tables + 4] + bytes(60) + one[tables + 64 :]
    tiny = bytes(simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8), 80, "RGB", "444"))
    return {
        "empty": [b"", None],
        "truncated": [one[: len(one) // 2], one[:-40], one[:300]],
        "corrupt": [corrupt],
        "oversized": [bytes(huge)],
        "not an image": [b"hello", b"\x89PNG\r\n\x1a\n" + bytes(50), tiny],
    }


def test_bad_frames_become_dead_letters_and_hold_nothing_up(stack: Stack, small: list[bytes]) -> None:
    processor = stack.processor(*PLAIN)
    bad = [(reason, value) for reason, values in bad_values(small).items() for value in values]
    chosen = random.Random(5)
    places = set(chosen.sample(range(1000), 50))
    base, sent = time.time_ns(), {}
    for seq in range(1000):
        reason, value = bad[seq % len(bad)] if seq in places else ("", small[seq % len(small)])
        sent[seq] = (reason, value)
        stack.send(f"c{seq % 3}", value, base + seq * 10_000_000, seq)
    stack.producer.flush(timeout=60)
    wait_until(lambda: committed(stack) == 1000, "all offsets")
    letters = stack.messages(stack.topics.dead)
    assert len(letters) == 50
    for letter in letters:
        headers = dict(letter.headers)
        seq = int(headers["seq"])
        assert sent[seq] == (headers["reason"].decode(), letter.value)
        assert letter.key.decode() == f"c{seq % 3}"
        assert headers["topic"].decode() == stack.topics.frames
        assert headers["error"]
    written = sorted(seq for k in range(3) for seq in seqs(stack, f"c{k}"))
    assert written == [seq for seq in range(1000) if seq not in places]
    assert processor.metric("vnome_dead_letters_total") == 50
    wait_until(lambda: processor.metric("vnome_consumer_lag") == 0, "no lag", 45)
    assert processor.stop() == 0


def test_no_frame_is_lost_or_doubled_however_often_a_processor_is_killed(stack: Stack, small: list[bytes]) -> None:
    cameras = [f"k{k}" for k in range(4)]
    total, chosen = 0, random.Random(7)
    for _ in range(20):
        send_steadily(stack, cameras, small, 25, total)
        total += 25
        before = sum(len(seqs(stack, camera)) for camera in cameras)
        processor = stack.processor(*PLAIN, "--instance", "one", "--batch", "8", wait=False)
        wait_until(lambda: sum(len(seqs(stack, camera)) for camera in cameras) > before, "some progress")  # noqa: B023
        time.sleep(chosen.uniform(0, 0.3))
        processor.kill()
    last = stack.processor(*PLAIN, "--instance", "one")
    wait_until(lambda: committed(stack) == 4 * total, "the rest")
    for camera in cameras:
        assert seqs(stack, camera) == list(range(total))
    assert stack.messages(stack.topics.dead) == []
    assert last.stop() == 0


def test_processors_join_and_leave(stack: Stack, small: list[bytes]) -> None:
    cameras = [f"j{k}" for k in range(8)]
    first = stack.processor(*PLAIN)
    send_steadily(stack, cameras, small, 40)
    second = stack.processor(*PLAIN)
    send_steadily(stack, cameras, small, 40, 40)
    wait_until(lambda: second.metric("vnome_frames_total") > 0, "work for the second")
    assert first.stop() == 0
    send_steadily(stack, cameras, small, 40, 80)
    wait_until(lambda: committed(stack) == 8 * 120, "all offsets")
    for camera in cameras:
        assert seqs(stack, camera) == list(range(120))
    assert second.stop() == 0


def test_redis_may_be_killed(stack: Stack, small: list[bytes]) -> None:
    processor = stack.processor(*PLAIN)
    send_steadily(stack, ["r"], small, 50)
    wait_until(lambda: committed(stack) == 50, "the first frames")
    stack.redis.kill()
    send_steadily(stack, ["r"], small, 50, 50)
    wait_until(lambda: processor.page("readyz")[0] == 503, "to be not ready")
    assert "Redis" in processor.page("readyz")[1]
    assert processor.page("healthz")[0] == 200
    assert committed(stack) == 50
    stack.redis.start()
    wait_until(lambda: committed(stack) == 100, "the others")
    assert seqs(stack, "r") == list(range(100))
    assert processor.ready()


def test_the_broker_may_be_killed(topics: Topics, small: list[bytes]) -> None:
    with running_broker() as broker, running_stack(broker, replace(topics, frames="vnome.frames")) as stack:
        processor = stack.processor(*PLAIN)
        agent = stack.start("ingest", str(BIKES), "--camera", "b", "--loop", "--budget", "200000")
        wait_until(lambda: len(stack.codes("b")) > 10, "frames of the agent")
        broker.kill()
        wait_until(lambda: agent.metric("vnome_drops_total") > 5, "frames that are dropped")
        assert 0 < agent.metric("vnome_inflight_bytes") <= 200_000
        assert 'reason="newer frame"' in agent.page("metrics")[1]
        broker.start()
        before = len(stack.codes("b"))
        wait_until(lambda: len(stack.codes("b")) > before + 10, "frames after the broker came back", 90)
        assert agent.stop() == 0
        sent = agent.metric("vnome_frames_total") if agent.process.poll() is None else None
        assert sent is None
        wait_until(lambda: seqs(stack, "b") == sorted(set(seqs(stack, "b"))), "order")
        assert processor.stop() == 0


def test_a_frame_that_kills_goes_to_the_dead_letters(stack: Stack, small: list[bytes]) -> None:
    poison = small[0][:-2] + b"POISON" + small[0][-2:]
    program = (sys.executable, "-m", "tests.poison_child")
    base = time.time_ns()
    for k in range(60):
        stack.send("p", poison if k == 30 else small[k], base + k * 1000, k)
    stack.producer.flush(timeout=30)
    died = 0
    for _ in range(6):
        processor = stack.processor(*PLAIN, "--instance", "one", wait=False, program=program)
        wait_until(lambda: processor.process.poll() is not None or committed(stack) == 60, "death or the end")  # noqa: B023
        if processor.process.poll() is None:
            break
        died += 1
    assert died == 3  # once among others, twice alone
    assert seqs(stack, "p") == [k for k in range(60) if k != 30]
    (letter,) = stack.messages(stack.topics.dead)
    assert letter.value == poison
    assert dict(letter.headers)["reason"] == b"killed"


def test_another_matcher_takes_over(stack: Stack) -> None:
    assert stack.vnome("index", str(BIKES)).returncode == 0
    stack.processor()
    first = stack.matcher("--name", "first")
    frames, base = film_frames(BIKES), time.time_ns()
    half = len(frames) // 2
    play(stack, "m", frames[:half], base)
    wait_until(lambda: [e["event"] for e in stack.events()] == ["found"], "the first match")
    first.kill()
    second = stack.matcher("--name", "second")
    play(stack, "m", frames[half:], base, half)
    wait_until(lambda: second.metric("vnome_cameras_followed") == 1, "a matcher that takes over")
    wait_until(lambda: len(stack.events()) == 2, "the end")
    assert [e["event"] for e in stack.events()] == ["found", "lost"]
    (sighting,) = json.loads(stack.vnome("sightings", "bikes", "--json").stdout)["sightings"]
    assert sighting["film_end"] > 7.0
    assert second.stop() == 0


def test_a_film_may_come_through_kafka(stack: Stack) -> None:
    stack.processor()
    sent = stack.vnome("ingest", str(BIKES), "--role", "reference", "--video", "rides", "--title", "Rides",
                       "--topic", stack.topics.frames, "--json")  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    assert json.loads(sent.stdout)["cameras"][0]["dropped"] == 0
    wait_until(lambda: "Rides" in stack.vnome("list").stdout, "the film in the catalogue")
    found = json.loads(stack.vnome("match", str(BIKES), "--json").stdout)["matches"]
    assert found[0]["video"] == "rides"
    assert found[0]["at_seconds"] == pytest.approx(0, abs=0.2)


def test_a_channel_is_found_while_it_airs(stack: Stack) -> None:
    """A camera that films what a channel showed a little before, and a clip of it."""
    stack.processor()
    stack.matcher()
    began = time.time()
    aired = stack.vnome("ingest", str(BIKES), "--role", "channel", "--video", "tv1", "--keep", "900",
                        "--topic", stack.topics.frames, "--json")  # fmt: skip
    assert aired.returncode == 0, aired.stderr
    wait_until(lambda: "live, 900 s  tv1" in stack.vnome("list").stdout, "the channel in the catalogue")
    play(stack, "bar", film_frames(BIKES), time.time_ns())
    wait_until(lambda: any(event["event"] == "found" for event in stack.events()), "the match")
    (found, *_) = stack.events()
    assert (found["video"], found["camera"]) == ("tv1", "bar")
    assert began - 2 < datetime.fromisoformat(found["aired_at"]).timestamp() < time.time()
    (match,) = json.loads(stack.vnome("match", str(BIKES), "--json").stdout)["matches"]
    assert match["video"] == "tv1"
    assert datetime.fromisoformat(match["aired_at"]).timestamp() == pytest.approx(began, abs=5)
    assert stack.vnome("check").returncode == 0


def test_of_two_processors_of_one_instance_the_newer_stays(stack: Stack, small: list[bytes]) -> None:
    older = stack.processor(*PLAIN, "--instance", "one")
    newer = stack.processor(*PLAIN, "--instance", "one")
    send_steadily(stack, ["i"], small, 40)
    wait_until(lambda: older.process.poll() is not None, "the older one to end")
    assert older.process.returncode == 3
    assert "another processor of this --instance" in older.log.read_text().splitlines()[-1]
    assert "Redis is away" not in older.log.read_text()
    wait_until(lambda: committed(stack) == 40, "the newer one's work")
    assert seqs(stack, "i") == list(range(40))
    assert newer.stop() == 0
