"""Films that come as frames, and the stages that code them."""

from pathlib import Path

import numpy as np
import pytest

from edge.demo import sample_films
from pipeline import keys
from pipeline.bundles import load_bundle
from pipeline.code_stream import CodeEntry, CodeStream
from pipeline.codes import FrameCodes
from pipeline.detector import default_detector
from pipeline.encoder import default_encoder
from pipeline.errors import CatalogueError
from pipeline.frames import Frame
from pipeline.indexing import code_film
from pipeline.library import Library
from pipeline.messages import CODE, END, JPEG, REFERENCE, BadMessage, FrameMessage, Place
from pipeline.recogniser import RECOGNISER, Recogniser
from pipeline.references import References
from pipeline.search import Search
from pipeline.stages.decode import Decode
from pipeline.stages.detect import Detect
from pipeline.stages.encode import Encode
from pipeline.stages.recognise import Recognise
from pipeline.stages.work import CameraFrame, Memories, SourceMemory
from pipeline.store import Store
from pipeline.views import INSIDE_BARS, WHOLE, CodedFrame
from tests.pipeline.test_recogniser import colour_bundle
from tests.streaming import film_frames, jpeg

pytestmark = pytest.mark.redis

BUNNY, BIKES, _ = sample_films()
ENCODER = "e" * 64


def message(k: int, value: bytes = b"", kind: str = JPEG, seconds: float = 0.0) -> FrameMessage:
    at = 1_790_000_000_000_000_000 + round(seconds * 1e9)
    return FrameMessage("sender", at, k, kind, REFERENCE, "film", value, Place("t", 0, k))


def send(store: Store, film: Path) -> int:
    """Codes a film as a processor does; returns the number of its end's message."""
    memories, frames = Memories(), film_frames(film)
    stages = [Decode(ENCODER), Detect(default_detector()), Encode(default_encoder())]
    ones = [message(k, jpeg(frame, 90), seconds=frame.pts_seconds) for k, frame in enumerate(frames)]
    for start in range(0, len(ones), 16):
        batch = [CameraFrame(one, memories.of(one)) for one in ones[start : start + 16]]
        for stage in stages:
            stage.work(batch)
        CodeStream(store).push([CodeEntry(one.message, one.coded) for one in batch if one.coded is not None])
    return len(ones)


def test_what_recognition_said_of_the_frames_is_the_films(store: Store, tmp_path: Path) -> None:
    recognise = Recognise(Recogniser(load_bundle(colour_bundle(tmp_path / "b"), RECOGNISER)))
    memory = SourceMemory()
    for k in range(100):  # five seconds of red, then blue, ten frames each second
        light = (230, 10, 10) if k < 50 else (10, 10, 230)
        frame = CameraFrame(message(k, seconds=k / 10), memory, Frame(np.full((36, 64, 3), light, np.uint8), k / 10))
        recognise.work([frame])
        CodeStream(store).push([CodeEntry(frame.message, nothing_coded(), frame.labels)])
    assert References(store).finish(message(100, kind=END), ENCODER) == "added"
    (red,), (blue,) = (Search(Library(store)).find(word) for word in ("red", "blue"))
    assert (red.at_seconds, red.until_seconds) == pytest.approx((0, 5), abs=1.01)
    assert (blue.at_seconds, blue.until_seconds) == pytest.approx((5, 10), abs=1.01)


def nothing_coded() -> CodedFrame:
    """A coded frame of nothing in particular."""
    return CodedFrame(0.0, {0: FrameCodes(np.zeros(1), np.array([5], np.uint32), np.ones((1, 32), np.float32))})


def test_a_film_that_came_as_frames_is_the_film(store: Store) -> None:
    end = message(send(store, BIKES), b'{"title": "Rides", "source_name": "bikes.mp4"}', END)
    assert References(store).finish(end, ENCODER) == "added"
    (record,) = Library(store).videos()
    assert (record.id, record.title, record.source_name, record.encoder) == ("film", "Rides", "bikes.mp4", ENCODER)
    assert record.duration_seconds == pytest.approx(10.0, abs=0.2)
    direct = code_film(BIKES, default_encoder(), lambda _: None)
    track, _ = Library(store).whole_track(record.number)
    at = np.arange(0.5, 9.5, 0.1)
    codes, _ = track.codes_at(at)
    expected, _ = direct.track.codes_at(at)
    assert np.median(np.bitwise_count(codes ^ expected)) <= 1  # another frame rate, and JPEG; chance is 16
    assert References(store).finish(end, ENCODER) == "repeated"
    assert not store.client.exists(keys.reference_codes("film"))


def test_frames_that_kafka_repeats_after_the_end_do_nothing(store: Store) -> None:
    count = send(store, BUNNY)
    end = message(count, b"{}", END)
    References(store).finish(end, ENCODER)
    before = Library(store).videos()
    send(store, BUNNY)
    assert References(store).finish(end, ENCODER) == "repeated"
    assert Library(store).videos() == before


@pytest.mark.parametrize("value", [b"[]", b"{", b"\xff"])
def test_an_end_that_cannot_be_read(store: Store, value: bytes) -> None:
    with pytest.raises(BadMessage, match="no JSON object"):
        References(store).finish(message(1, value, END), ENCODER)


def test_another_encoder_is_refused_and_nothing_is_lost(store: Store) -> None:
    count = send(store, BUNNY)
    References(store).finish(message(count, b"", END), ENCODER)
    later = message(count + 1, b"", END)
    codes = CodeEntry(message(count + 1, seconds=60.0), nothing_coded())
    CodeStream(store).push([codes])
    with pytest.raises(CatalogueError, match="was coded with encoder"):
        References(store).finish(later, "f" * 64)
    assert store.client.exists(keys.reference_codes("film"))


def test_reference_frames_are_coded_whole_and_inside_bars_only() -> None:
    boxed = [np.pad(frame.image, ((40, 40), (0, 0), (0, 0))) for frame in film_frames(BIKES, 1.0)]
    memories = Memories()
    ones = [message(k, jpeg(Frame(image, 0.0))) for k, image in enumerate(boxed)]
    batch = [CameraFrame(one, memories.of(one)) for one in ones]
    for stage in (Decode(ENCODER), Detect(default_detector()), Encode(default_encoder())):
        stage.work(batch)
    assert batch[-1].coded is not None
    assert set(batch[-1].coded.views) == {WHOLE, INSIDE_BARS}
    assert max(batch[0].frame.image.shape) <= 320 if batch[0].frame else False


def test_codes_of_another_encoder_or_length_are_refused() -> None:
    memories, decode = Memories(), Decode(ENCODER)
    place = Place("t", 0, 0)
    wrong = FrameMessage("c", 0, 0, CODE, "query", "", bytes(36), place, (0,), "f" * 64)
    with pytest.raises(BadMessage) as caught:
        decode.work([CameraFrame(wrong, memories.of(wrong))])
    assert caught.value.reason == "encoder"
    short = FrameMessage("c", 0, 0, CODE, "query", "", bytes(35), place, (0,), ENCODER)
    with pytest.raises(BadMessage) as caught:
        decode.work([CameraFrame(short, memories.of(short))])
    assert caught.value.reason == "code"
