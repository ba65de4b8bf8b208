"""WebSocket `/v1/live`: what phones send and what they are told."""

import json
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from edge.demo import sample_films
from pipeline.api_keys import QUERY, ApiKeys
from pipeline.codes import FrameCodes
from pipeline.encoder import default_encoder
from pipeline.errors import InputError
from pipeline.gateway.access import KEY_PROTOCOL, PROTOCOL
from pipeline.gateway.routes import live
from pipeline.labels import LabelStore, Stretch
from pipeline.live_wire import LAST_MS, RECORD_BYTES, pack_frame, unpack_frames
from pipeline.media import read_frames
from pipeline.store import Store
from pipeline.views import SCREEN, WHOLE
from tests.commands import BIKES, BUNNY, CARPHONE
from tests.phones import Sent, coded_film, codes_start
from tests.pipeline.gateway.conftest import Client, Make, add_film

DECIDED_SECONDS = 0.012  # a decision takes half of it

Events = list[dict[str, Any]]


@contextmanager
def session(
    client: Client, key: str | None = None, start: dict[str, Any] | None = None
) -> Iterator[WebSocketTestSession]:
    offered = [PROTOCOL, *([KEY_PROTOCOL + key] if key else [])]
    with client.websocket_connect("/v1/live", subprotocols=offered) as socket:
        assert socket.accepted_subprotocol == PROTOCOL
        socket.send_text(json.dumps(start or codes_start()))
        yield socket
        open_before = client.gateway.sessions.open
        with suppress(WebSocketDisconnect, RuntimeError):
            socket.close()
        deadline = time.monotonic() + 1.0  # or the test client cancels a session that is about to end by itself
        while open_before and client.gateway.sessions.open >= open_before and time.monotonic() < deadline:
            time.sleep(0.005)


def told(socket: WebSocketTestSession, until: str, most: int = 200) -> Events:
    """Events up to the first of a name."""
    events: Events = []
    for _ in range(most):
        events.append(json.loads(socket.receive_text()))
        if events[-1]["event"] == until:
            return events
    raise AssertionError(f"no {until} among {[event['event'] for event in events]}")


def send(socket: WebSocketTestSession, messages: Sent, shift_ms: int = 0) -> None:
    """Sends frames one after the other, slower than they are decided, at other times on the phone's clock."""
    for t, message in messages:
        words = np.frombuffer(message, "<u4").copy()
        words[0] += shift_ms
        assert t + shift_ms <= LAST_MS
        socket.send_bytes(words.tobytes())
        time.sleep(DECIDED_SECONDS)


@pytest.fixture
def phone_client(make_client: Make, store: Store) -> Client:
    """A public gateway that knows two films."""
    add_film(store, sample_films()[BIKES], {"en": "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n"})
    add_film(store, sample_films()[BUNNY])
    return make_client(None, public=True)


@pytest.mark.redis
def test_found_another_film_and_lost(phone_client: Client) -> None:
    bikes = coded_film(sample_films()[BIKES], 5, 2, 6)
    bunny = coded_film(sample_films()[BUNNY], 5, 0, 5)
    stranger = coded_film(sample_films()[CARPHONE], 5)
    with session(phone_client) as socket:
        send(socket, bikes)
        events = told(socket, "found")
        assert events[0] == {"event": "searching", "t": 0}
        found = events[-1]
        assert (found["video"], found["title"], found["languages"]) == ("bikes", "Bikes", ["en"])
        assert found["at_seconds"] == pytest.approx(2 + found["t"] / 1000, abs=0.4) and found["confidence"] > 0.99
        assert found["duration_seconds"] == pytest.approx(10, abs=0.2)
        assert told(socket, "follow")[-1] == {"event": "follow", "reading": WHOLE}
        send(socket, bunny, 6000)
        events = told(socket, "found")
        assert events[-1]["video"] == "bigbuckbunny"
        for lap in range(3):
            send(socket, stranger, 11_000 + lap * 4000)
        events = told(socket, "lost")
        assert events[-1]["video"] == "bigbuckbunny"
        assert [event["event"] for event in [*told(socket, "searching"), *told(socket, "follow")]] == [
            "searching",
            "follow",
        ]


@pytest.mark.redis
def test_what_the_film_shows_is_told_with_it(phone_client: Client, store: Store) -> None:
    number = phone_client.gateway.library.get("bikes").number
    LabelStore(store).put(number, [Stretch("bicycle", 0.0, 7.0, 0.8), Stretch("street", 6.5, 12.0, 0.9)])
    with session(phone_client) as socket:
        send(socket, coded_film(sample_films()[BIKES], 5, 2, 6))
        assert told(socket, "found")[-1]["labels"] == [["bicycle", 0.8]]
        still = told(socket, "still")
        while still[-1]["at_seconds"] < 6.5:
            still = told(socket, "still")
        assert still[-1]["labels"][0] == ["street", 0.9]


@pytest.mark.redis
def test_a_skip_within_the_film_is_moved(phone_client: Client) -> None:
    first, later = coded_film(sample_films()[BIKES], 5, 0, 2), coded_film(sample_films()[BIKES], 5, 6, 4)
    with session(phone_client) as socket:
        send(socket, first)
        told(socket, "found")
        send(socket, later, 2000)
        moved = told(socket, "moved")[-1]
        assert moved["at_seconds"] == pytest.approx(6 + (moved["t"] - 2000) / 1000, abs=0.6)


@pytest.mark.redis
def test_pictures_do_as_well_and_tell_where_the_screen_is(phone_client: Client) -> None:
    with session(phone_client, start={"type": "start", "sends": "jpeg"}) as socket:
        names: list[str] = []
        for frame in read_frames(sample_films()[BIKES], max_fps=4, end_seconds=5):
            time_ms = struct.pack("<I", round(frame.pts_seconds * 1000))
            socket.send_bytes(time_ms + simplejpeg.encode_jpeg(frame.image, quality=75))
            events = told(socket, "screen")
            assert events[-1]["corners"] is None or np.shape(events[-1]["corners"]) == (4, 2)
            names += [event["event"] for event in events]
        assert "found" in names and "lost" not in names


@pytest.mark.redis
def test_a_clock_that_jumps_begins_anew(phone_client: Client) -> None:
    bikes = coded_film(sample_films()[BIKES], 5, 0, 3)
    with session(phone_client) as socket:
        send(socket, bikes)
        told(socket, "found")
        send(socket, bikes, 100_000)
        names = [event["event"] for event in told(socket, "found") if event["event"] not in ("still", "follow")]
        assert names == ["lost", "searching", "found"]


@pytest.mark.redis
@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (b"x" * 41, 4400, "40 bytes"),
        (b"", 4400, "40 bytes"),
        (b"\0" * 40 * 81, 4400, "at most"),
        (struct.pack("<2I", 9 << 28, 0) + bytes(32), 4400, "reading 9"),
        ("{}", 4400, "start"),
        ("no json", 4400, "JSON"),
        ('{"type": "start", "sends": "smoke"}', 4400, "codes"),
        ('{"type": "start", "sends": "codes", "encoder": "other"}', 4409, "another encoder"),
    ],
)
def test_what_is_wrong_is_told_and_ends_this_session_alone(
    phone_client: Client, message: str | bytes, code: int, words: str
) -> None:
    bikes = coded_film(sample_films()[BIKES], 5, 2, 3)
    with session(phone_client) as good:
        with session(phone_client) as bad:
            bad.send_text(message) if isinstance(message, str) else bad.send_bytes(message)
            problem = told(bad, "error")[-1]["problem"]
            assert words in problem["detail"] and problem["status"] in (400, 409, 422)
            with pytest.raises(WebSocketDisconnect) as closed:
                bad.receive_text()
            assert closed.value.code == code
        send(good, bikes)
        assert told(good, "found")[-1]["video"] == "bikes"


@pytest.mark.redis
@pytest.mark.parametrize("picture", [b"\xff\xd8broken", b"\xff\xd8" + b"\0" * 100, b"PNG"])
def test_a_broken_picture_is_told(phone_client: Client, picture: bytes) -> None:
    with session(phone_client, start={"type": "start", "sends": "jpeg"}) as socket:
        socket.send_bytes(struct.pack("<I", 0) + picture)
        assert "picture" in told(socket, "error")[-1]["problem"]["detail"].lower()


@pytest.mark.redis
def test_a_picture_that_is_too_large_is_told(phone_client: Client) -> None:
    large = simplejpeg.encode_jpeg(np.zeros((1400, 1400, 3), np.uint8))
    with session(phone_client, start={"type": "start", "sends": "jpeg"}) as socket:
        socket.send_bytes(struct.pack("<I", 0) + large)
        assert "1280" in told(socket, "error")[-1]["problem"]["detail"]


@pytest.mark.redis
def test_a_key_is_needed_and_ends_with_its_session(
    make_client: Make, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "KEY_CHECK_SECONDS", 0.1)
    client = make_client(None)
    with client.websocket_connect("/v1/live", subprotocols=[PROTOCOL]) as socket:
        assert told(socket, "error")[-1]["problem"]["status"] == 401
    with client.websocket_connect("/v1/live", subprotocols=[PROTOCOL, KEY_PROTOCOL + "x"]) as socket:
        assert told(socket, "error")[-1]["problem"]["status"] == 401
    key, text = ApiKeys(store).add("phone", QUERY)
    with session(client, text) as socket:
        assert told(socket, "searching")
        ApiKeys(store).revoke(key.id)
        assert "revoked" in told(socket, "error")[-1]["problem"]["detail"]
    with client.websocket_connect("/v1/live", headers={"Authorization": f"Bearer {text}"}) as socket:
        assert told(socket, "error")[-1]["problem"]["status"] == 401


@pytest.mark.redis
def test_sessions_beyond_the_limit_are_refused_and_those_that_end_make_room(make_client: Make) -> None:
    client = make_client(None, public=True, sessions_each=2)
    with session(client), session(client):
        with client.websocket_connect("/v1/live", subprotocols=[PROTOCOL]) as third:
            assert told(third, "error")[-1]["problem"]["status"] == 429
    with session(client) as again:
        assert told(again, "searching")


@pytest.mark.redis
def test_a_phone_that_says_nothing_is_let_go(make_client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "START_SECONDS", 0.1)
    client = make_client(None, public=True)
    with client.websocket_connect("/v1/live", subprotocols=[PROTOCOL]) as socket:
        assert "nothing came" in told(socket, "error")[-1]["problem"]["detail"]


@given(
    st.integers(0, LAST_MS),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2**32 - 1)), min_size=1, max_size=8, unique_by=lambda r: r[0]),
)
def test_a_frame_survives_the_wire(time_ms: int, readings: list[tuple[int, int]]) -> None:
    margins = (np.arange(32) / 2).astype(np.float32)[None]
    frame = [(view, FrameCodes(np.zeros(1), np.array([code], np.uint32), margins)) for view, code in readings]
    data = pack_frame(time_ms, frame)
    assert len(data) == RECORD_BYTES * len(readings) == 40 * len(readings)
    (back,) = unpack_frames(data)
    assert back.pts_seconds == time_ms / 1000 and back.only is None
    assert {view: int(codes.codes[0]) for view, codes in back.views.items()} == dict(readings)
    for codes in back.views.values():
        np.testing.assert_allclose(codes.margins, np.minimum(margins, 255 / 16))


def test_the_wire_is_what_the_description_says() -> None:
    code = FrameCodes(np.zeros(1), np.array([0x01020304], np.uint32), np.full((1, 32), 1.5, np.float32))
    data = pack_frame(0x0ABCDE, [(SCREEN, code)])
    assert data == bytes.fromhex("deBC0a40 04030201") + bytes([24] * 32)  # 1.5 nats are 24 sixteenths


def test_times_that_go_back_within_a_message_are_refused() -> None:
    code = FrameCodes(np.zeros(1), np.zeros(1, np.uint32), np.zeros((1, 32), np.float32))
    with pytest.raises(InputError, match="go back"):
        unpack_frames(pack_frame(5, [(WHOLE, code)]) + pack_frame(4, [(WHOLE, code)]))
    with pytest.raises(ValueError, match="time_ms"):
        pack_frame(LAST_MS + 1, [(WHOLE, code)])


@pytest.mark.redis
@pytest.mark.slow
def test_random_messages_never_close_another_session(phone_client: Client, rng: np.random.Generator) -> None:
    bikes = coded_film(sample_films()[BIKES], 5, 2, 6)
    kinds = ["codes", "jpeg"]
    with session(phone_client) as good:
        for k, (_, message) in enumerate(bikes):
            good.send_bytes(message)
            start = {"type": "start", "sends": kinds[k % 2], "encoder": default_encoder().bundle.sha256}
            with session(phone_client, start=start) as bad:
                for _ in range(3):
                    length = int(rng.integers(0, 400))
                    noise = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
                    if rng.random() < 0.3:
                        noise = rng.integers(0, 256, 40 * int(rng.integers(1, 9)), dtype=np.uint8).tobytes()
                    try:
                        bad.send_bytes(noise) if rng.random() < 0.7 else bad.send_text(noise.decode("latin-1"))
                    except (WebSocketDisconnect, RuntimeError):
                        break
        assert told(good, "found")[-1]["video"] == "bikes"
