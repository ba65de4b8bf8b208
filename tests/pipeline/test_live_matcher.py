"""Cameras followed live: events, sightings, shares, and matchers that come and go."""

import json
import time
from typing import Any

import numpy as np
import pytest

from pipeline import keys, live_matcher
from pipeline.code_stream import CodeEntry, CodeStream
from pipeline.codes import FrameCodes
from pipeline.encoder import default_encoder
from pipeline.labels import LabelStore, Stretch
from pipeline.library import Library
from pipeline.live_matcher import LiveMatcher
from pipeline.matching import Matcher, matcher_of
from pipeline.messages import JPEG, QUERY, FrameMessage, Place
from pipeline.metrics import Metrics
from pipeline.recogniser import Labels
from pipeline.reference import CatalogueReference
from pipeline.sightings import Sighting, Sightings
from pipeline.store import Store
from pipeline.tracks import Track
from pipeline.videos import VideoFields
from pipeline.views import SCREEN, WHOLE, CodedFrame
from tests.memory_reference import film_codes

pytestmark = pytest.mark.redis
ON_CLUSTER = True

NS = 1_000_000_000
BEGUN_SECONDS = 300  # ago, when a camera first sent: long enough for what the tests play, and not long ago


class Channel:
    """A camera that shows films by their codes."""

    def __init__(self, store: Store, name: str, view: int = WHOLE) -> None:
        self._stream, self.name, self._view = CodeStream(store), name, view
        self.seq, self.at = 0, time.time_ns() - BEGUN_SECONDS * NS

    def show(
        self, track: Track | None, first: float, seconds: float, fps: float = 10.0, labels: Labels | None = None
    ) -> None:
        """Plays a part of a film, or what no film shows. labels: what recognition says once a second, None: nothing."""
        rng = np.random.default_rng(self.seq + 1)
        entries = []
        for k in range(int(seconds * fps)):
            if track is None:
                code = rng.integers(0, 1 << 32, 1, dtype=np.uint32)
            else:
                code, _ = track.codes_at(np.array([first + k / fps]))
            codes = FrameCodes(np.zeros(1), code, np.full((1, 32), 4, np.float32))
            message = FrameMessage(self.name, self.at, self.seq, JPEG, QUERY, "", b"", Place("t", 0, self.seq))
            due = labels if k % round(fps) == 0 else None
            entries.append(CodeEntry(message, CodedFrame(0.0, {self._view: codes}), due))
            self.seq, self.at = self.seq + 1, self.at + round(NS / fps)
        self._stream.push(entries)

    def pause(self, seconds: float) -> None:
        self.at += round(seconds * NS)


@pytest.fixture
def films(store: Store) -> dict[str, Track]:
    library, made = Library(store), {"one": film_codes(1, 120), "two": film_codes(2, 120)}
    for name, track in made.items():
        fields = VideoFields(name, name.title(), f"{name}.mp4", name, default_encoder().bundle.sha256)
        library.add(fields, track, 120.0, 1500, {})
    return made


@pytest.fixture
def matcher(store: Store, films: dict[str, Track]) -> Matcher:
    return matcher_of(CatalogueReference(Library(store)), default_encoder().bundle)


def live(store: Store, matcher: Matcher, name: str = "m") -> LiveMatcher:
    return LiveMatcher(store, matcher, Library(store), Metrics(), name)


def events(store: Store) -> list[tuple[str, str, str, float]]:
    entries: Any = store.client.xrange(keys.MATCHES)
    told = [json.loads(fields[b"event"]) for _, fields in entries]
    return [(e["camera"], e["event"], e["video"], round(e["at_seconds"])) for e in told]


def run(one: LiveMatcher, store: Store, cameras: int = 1) -> None:
    """Rounds until nothing is left to read."""
    for _ in range(30):
        one.round()
        if len(one.cameras) == cameras and not sum(
            store.client.xinfo_groups(keys.camera_codes(camera))[0]["lag"] or 0 for camera in one.cameras
        ):
            return
    raise AssertionError(f"codes are left, of {one.cameras}")


def test_found_moved_another_film_and_lost(store: Store, matcher: Matcher, films: dict[str, Track]) -> None:
    channel = Channel(store, "tv")
    channel.show(films["one"], 10, 8)
    channel.show(films["one"], 80, 8)  # somebody has skipped a part
    channel.show(films["two"], 30, 8)
    channel.show(None, 0, 12)
    one = live(store, matcher)
    run(one, store)
    names = [(event, video) for _, event, video, _ in events(store)]
    assert names == [("found", "one"), ("moved", "one"), ("lost", "one"), ("found", "two"), ("lost", "two")]
    seen = Sightings(store).find()
    assert [(s.video, s.open) for s in seen] == [("one", False), ("one", False), ("two", False)]
    assert [s.film_start for s in seen] == pytest.approx([10.5, 81.5, 31.5], abs=0.6)
    for sighting in seen:
        assert sighting.end - sighting.start == pytest.approx(sighting.film_end - sighting.film_start, abs=0.1)
    assert seen[0].end - seen[0].start > 4
    count = one._metrics.registry.get_sample_value
    assert count("vnome_sighting_seconds_count") == 3
    assert count("vnome_sighting_seconds_bucket", {"le": "3.0"}) == 0  # which the false-alarm watch counts


def test_the_view_that_matched_is_told_to_the_processors(
    store: Store, matcher: Matcher, films: dict[str, Track]
) -> None:
    channel = Channel(store, "tv", SCREEN)
    channel.show(films["one"], 10, 3)
    one = live(store, matcher)
    run(one, store)
    assert store.client.hget(keys.camera_state("tv"), "follow") == str(SCREEN).encode()
    channel.show(None, 0, 12)
    run(one, store)
    assert store.client.hget(keys.camera_state("tv"), "follow") == b""


def test_a_camera_that_falls_silent_has_lost_its_film(
    store: Store, matcher: Matcher, films: dict[str, Track], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_matcher, "SILENT_SECONDS", 0.2)
    channel = Channel(store, "tv")
    channel.show(films["one"], 10, 3)
    one = live(store, matcher)
    run(one, store)
    deadline = time.monotonic() + 10
    while len(events(store)) < 2 and time.monotonic() < deadline:
        one.round()
    assert [event for _, event, _, _ in events(store)] == ["found", "lost"]
    monkeypatch.setattr(live_matcher, "SILENT_SECONDS", 60.0)  # on a busy machine a round takes longer than 0.2 s
    channel.pause(100)
    channel.show(films["two"], 50, 3)
    run(one, store)
    assert events(store)[-1][1:3] == ("found", "two")


def test_two_matchers_share_the_cameras_and_each_change_is_told_once(
    store: Store, matcher: Matcher, films: dict[str, Track]
) -> None:
    channels = [Channel(store, f"c{k}") for k in range(4)]
    for channel in channels:
        channel.show(films["one"], 20, 4)
    first, second = live(store, matcher, "first"), live(store, matcher, "second")
    run(first, store, 4)
    second._shared_at = first._shared_at = -1e9
    second.round()
    first.round()
    second._shared_at = -1e9
    second.round()
    assert len(first.cameras) == len(second.cameras) == 2
    assert not set(first.cameras) & set(second.cameras)
    for channel in channels:
        channel.show(films["one"], 24, 4)
    run(first, store, 2)
    run(second, store, 2)
    assert [(event, video) for _, event, video, _ in events(store)] == [("found", "one")] * 4
    assert all(sighting.end - sighting.start > 4 for sighting in Sightings(store).find())


def test_a_matcher_that_dies_is_followed_by_one_that_knows_all(
    store: Store, matcher: Matcher, films: dict[str, Track]
) -> None:
    channel = Channel(store, "tv")
    channel.show(films["one"], 20, 4)
    first = live(store, matcher, "first")
    run(first, store)
    channel.show(films["one"], 24, 2)
    given: Any = store.client.xreadgroup(live_matcher.GROUP, "first", {keys.camera_codes("tv"): ">"})  # and it dies
    assert given
    channel.show(films["one"], 26, 2)
    store.client.delete(keys.camera_matcher("tv"))  # its lease has run out
    second = live(store, matcher, "second")
    run(second, store)
    assert [(event, video) for _, event, video, _ in events(store)] == [("found", "one")]
    pending: Any = store.client.xpending(keys.camera_codes("tv"), live_matcher.GROUP)
    assert pending["pending"] == 0
    (sighting,) = Sightings(store).find()
    assert sighting.film_end > 25
    assert sighting.open


def test_a_matcher_that_lost_its_lease_writes_nothing(store: Store, matcher: Matcher, films: dict[str, Track]) -> None:
    channel = Channel(store, "tv")
    channel.show(None, 0, 2)
    one = live(store, matcher)
    run(one, store)
    store.client.set(keys.camera_matcher("tv"), "another")
    channel.show(films["one"], 20, 4)
    one.round()
    assert events(store) == []
    assert one.cameras == []


def test_a_video_that_was_removed_is_named_so(store: Store, matcher: Matcher, films: dict[str, Track]) -> None:
    channel = Channel(store, "tv")
    channel.show(films["one"], 20, 3)
    one = live(store, matcher)
    run(one, store)
    Library(store).remove("one")
    channel.show(None, 0, 12)
    run(one, store)
    assert events(store)[-1][1] == "lost"
    assert isinstance(Sightings(store).find("one")[0], Sighting)


# What is on, in words

NOTHING: Labels = []
DOG, CAR = [("dog", 0.9)], [("car", 0.8), ("road", 0.7)]


def documents(store: Store) -> list[dict[str, Any]]:
    entries: Any = store.client.xrange(keys.MATCHES)
    return [json.loads(fields[b"event"]) for _, fields in entries]


def shown(store: Store) -> list[tuple[str, list[str]]]:
    return [(told["event"], [label for label, _ in told["labels"]]) for told in documents(store)]


def test_events_tell_what_the_film_shows_at_that_moment(
    store: Store, matcher: Matcher, films: dict[str, Track]
) -> None:
    stretches = [Stretch("bridge", 5.0, 30.0, 0.75), Stretch("dog", 10.0, 14.0, 0.9), Stretch("boat", 78.0, 90.0, 0.8)]
    LabelStore(store).put(Library(store).get("one").number, stretches)
    channel = Channel(store, "tv")
    channel.show(films["one"], 10, 8, labels=CAR)  # what is stored of the film goes before what is seen of it
    channel.show(films["one"], 80, 8, labels=CAR)
    one = live(store, matcher)
    run(one, store)
    found, moved = documents(store)
    assert found["labels"] == [["dog", 0.9], ["bridge", 0.75]] and moved["labels"] == [["boat", 0.8]]
    assert {*found} == {
        "id", "event", "camera", "video", "title", "time", "at_seconds", "speed", "confidence", "labels"
    }  # fmt: skip


def test_a_film_without_labels_and_a_camera_without_a_film_show_what_recognition_says(
    store: Store, matcher: Matcher, films: dict[str, Track]
) -> None:
    channel, coded = Channel(store, "tv"), Channel(store, "yard")
    channel.show(films["two"], 30, 8, labels=DOG)
    channel.show(None, 0, 12, labels=CAR)
    coded.show(films["one"], 10, 4)  # sent as codes: recognition sees nothing
    one = live(store, matcher)
    run(one, store, 2)
    told = {camera: [told for told in documents(store) if told["camera"] == camera] for camera in ("tv", "yard")}
    assert [(event["event"], event["labels"]) for event in told["tv"]] == [
        ("found", []),  # after a second and a half, which is too little to say
        ("lost", [["car", 0.8], ["road", 0.7]]),
    ]
    assert [(event["event"], event["labels"]) for event in told["yard"]] == [("found", [])]


def test_what_cameras_show_is_told_when_asked_for_and_not_all_the_time(
    store: Store, matcher: Matcher, films: dict[str, Track]
) -> None:
    channel = Channel(store, "tv")
    channel.show(None, 0, 15, labels=NOTHING)
    channel.show(None, 0, 15, labels=DOG)
    for _ in range(20):  # something else every other second
        channel.show(None, 0, 1, labels=CAR)
        channel.show(None, 0, 1, labels=[("road", 0.2)])
    channel.show(films["two"], 30, 8, labels=CAR)
    channel.show(None, 0, 30, labels=CAR)  # which "lost" tells, and nothing more is to be told
    one = LiveMatcher(store, matcher, Library(store), Metrics(), "m", tells_shown=True)
    run(one, store)
    told = shown(store)
    assert told[0] == ("shows", ["dog"]) and told[-2:] == [("found", ["car", "road"]), ("lost", ["car", "road"])]
    times = [event["time"] for event in documents(store) if event["event"] == "shows"]
    assert np.diff(times).min(initial=99.0) >= 10
    first = documents(store)[0]
    assert first.pop("id") == f"tv/{round(first.pop('time') * 1000)}/shows"
    assert first == {"event": "shows", "camera": "tv", "labels": [["dog", 0.6]]}  # two of three pictures, 0.9 each


def test_who_takes_a_camera_over_does_not_tell_again_what_it_shows(
    store: Store, matcher: Matcher, films: dict[str, Track]
) -> None:
    channel = Channel(store, "tv")
    channel.show(None, 0, 15, labels=DOG)
    run(LiveMatcher(store, matcher, Library(store), Metrics(), "first", True), store)
    store.client.delete(keys.camera_matcher("tv"))
    channel.show(None, 0, 15, labels=DOG)
    run(LiveMatcher(store, matcher, Library(store), Metrics(), "second", True), store)
    assert shown(store) == [("shows", ["dog"])]
