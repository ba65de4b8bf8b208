"""Channels: found while they air, forgotten in time, bounded, whoever indexes them."""

from collections.abc import Iterator

import numpy as np
import pytest

from pipeline import channels, keys
from pipeline.care import Care
from pipeline.channels import CHUNK_MS, ChannelIndexer, aired_at
from pipeline.code_stream import CodeEntry, CodeStream
from pipeline.codes import FrameCodes
from pipeline.library import Library
from pipeline.matching import Match
from pipeline.messages import CHANNEL, JPEG, FrameMessage, Place
from pipeline.rebuild import rebuild
from pipeline.reference import CatalogueReference
from pipeline.store import Store
from pipeline.tracks import BLOCK_MS, LATEST_MS, Track
from pipeline.videos import VideoFields
from pipeline.views import WHOLE, CodedFrame
from tests.memory_reference import film_codes, plain_matcher, query_codes

pytestmark = pytest.mark.redis
ON_CLUSTER = True

ENCODER = "e" * 64
FPS = 10
PROGRAMME = film_codes(5, 1500)
BEGUN = 1_790_000_000  # epoch seconds at which the channel first aired


class Air:
    """A channel on the air: its clock, its frames, and what a processor does with them."""

    def __init__(self, store: Store, keep_seconds: int = 120, name: str = "tv1") -> None:
        self.store, self.name, self.keep = store, name, keep_seconds
        self._stream, self.seq = CodeStream(store), 0
        self.now = float(BEGUN)

    def show(self, seconds: float, indexers: list[ChannelIndexer]) -> None:
        """Plays on from where the programme is, second by second; each of the indexers has its turn after each."""
        for _ in range(round(seconds)):
            entries = []
            for k in range(FPS):
                at = self.now + k / FPS
                code, _ = PROGRAMME.codes_at(np.array([at - BEGUN]))
                codes = FrameCodes(np.zeros(1), code, np.full((1, 32), 4, np.float32))
                message = FrameMessage(
                    self.name, round(at * 1e9), self.seq, JPEG, CHANNEL, self.name, b"", Place("t", 0, self.seq),
                    keep_seconds=self.keep,
                )  # fmt: skip
                entries.append(CodeEntry(message, CodedFrame(0.0, {WHOLE: codes})))
                self.seq += 1
            self._stream.push(entries)
            self.now += 1
            for indexer in indexers:
                indexer.round(self.now)


def indexer(store: Store) -> ChannelIndexer:
    return ChannelIndexer(store, Library(store), ENCODER)


def ask(store: Store, at: float, seconds: float = 5.0) -> Match | None:
    """What is answered to a clip of the programme from a moment on, seconds since the channel began."""
    return plain_matcher(CatalogueReference(Library(store))).match([query_codes(PROGRAMME, at, seconds)])


@pytest.fixture
def air(store: Store) -> Iterator[Air]:
    yield Air(store)


def test_what_airs_is_found_a_second_later(air: Air, store: Store) -> None:
    one = indexer(store)
    air.show(31, [one])
    found = ask(store, 25.0)  # its last second has been complete for one second
    assert found is not None
    record = Library(store).get("tv1")
    assert found.number == record.number
    assert found.at_seconds == pytest.approx(25.0, abs=0.3)
    assert aired_at(record, found.at_seconds) is not None
    assert str(aired_at(record, 25.0)).startswith("2026-09-21T14:13:45")
    assert ask(store, 40.0) is None  # not on the air yet
    air.show(15, [one])
    assert ask(store, 40.0) is not None
    air.show(30, [one])
    across = ask(store, 57.5)  # from one minute's block into the next
    assert across is not None
    assert across.at_seconds == pytest.approx(57.5, abs=0.3)
    assert Care(store).check() == []


def test_it_is_forgotten_and_its_memory_is_bounded(air: Air, store: Store) -> None:
    one = indexer(store)
    sizes, postings = [], []
    air.show(240, [one])
    for _ in range(6):
        air.show(60, [one])
        names = list(store.client.scan_iter("vnome:track:*"))
        sizes.append(sum(store.client.strlen(name) for name in names))
        postings.append(sum(state.postings for state in Library(store).lut.partitions.states()))
    assert max(sizes) < 1.3 * min(sizes)
    assert max(postings) < 1.3 * min(postings)
    assert 120 < min(postings) < 120 * 3 * 1.5  # about two postings a second of two to three minutes
    assert ask(store, 100.0) is None  # aired 500 seconds ago
    assert ask(store, 560.0) is not None
    assert Care(store).check() == []


def test_indexers_take_over_and_repeat_without_a_trace(air: Air, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One dies after it stored the runs of a second, one after their postings; the next does it again."""
    air.show(20, [indexer(store)])
    number = Library(store).get("tv1").number
    for part in ("lut.add", "done"):
        store.client.delete(keys.channel_indexer("tv1"))  # the lease of one that died runs out
        dying = indexer(store)
        if part == "lut.add":
            monkeypatch.setattr(dying._library.lut, "add", _die)
        else:
            monkeypatch.setattr(keys, "channel_done", _die)
        with pytest.raises(_Death):
            air.show(1, [dying])
        monkeypatch.undo()
    store.client.delete(keys.channel_indexer("tv1"))
    two, idle = indexer(store), indexer(store)
    air.show(10, [two, idle])
    whole, _ = Library(store).whole_track(number)
    assert (np.diff(whole.start_ms.astype(np.int64)) > 0).all()
    wanted = sum(len(part) for part in channels.live_postings(number, whole))
    assert sum(state.postings for state in Library(store).lut.partitions.states()) == wanted
    assert ask(store, 18.0) is not None


class _Death(Exception):
    """The process ends here."""


def _die(*_: object) -> None:
    raise _Death


def test_a_pause_leaves_what_was_before_and_after(air: Air, store: Store) -> None:
    air = Air(store, keep_seconds=600)
    one = indexer(store)
    air.show(20, [one])
    air.now += 200  # over three minutes of nothing
    air.show(30, [one])
    before, after = ask(store, 10.0), ask(store, 230.0)
    assert before is not None
    assert after is not None
    assert after.at_seconds == pytest.approx(230.0, abs=0.3)
    record = Library(store).get("tv1")
    whole, _ = Library(store).whole_track(record.number)
    assert int(whole.start_ms[-1]) // 1000 > 240
    Library(store).remove("tv1")
    assert not list(store.client.scan_iter("vnome:track:*"))
    assert sum(state.postings for state in Library(store).lut.partitions.states()) == 0


def test_a_pause_longer_than_it_is_kept_begins_it_anew(air: Air, store: Store) -> None:
    one = indexer(store)
    air.show(20, [one])
    first = Library(store).get("tv1").number
    air.now += 150
    air.show(30, [one])
    record = Library(store).get("tv1")
    assert record.number > first
    found = ask(store, 185.0)
    assert found is not None
    assert found.at_seconds == pytest.approx(15.0, abs=0.3)  # since it began anew
    assert Care(store).check() == []


def test_one_that_goes_silent_is_forgotten_altogether(air: Air, store: Store) -> None:
    one = indexer(store)
    air.show(20, [one])
    one.round(air.now + 120 + channels.GONE_SECONDS + 5)
    assert Library(store).videos() == []
    assert not list(store.client.scan_iter("vnome:track:*"))
    assert store.client.hlen(keys.CHANNELS) == 0
    assert sum(state.postings for state in Library(store).lut.partitions.states()) == 0


def test_after_24_days_it_begins_anew(air: Air, store: Store) -> None:
    one = indexer(store)
    air.show(5, [one])
    record = Library(store).get("tv1")
    chunk = LATEST_MS // CHUNK_MS - 3
    store.client.set(keys.channel_done(record.number), chunk)
    store.client.set(keys.first_block(record.number), chunk * CHUNK_MS // BLOCK_MS)  # what was before is forgotten
    air.now = float(BEGUN + chunk)
    air.show(20, [one])
    later = Library(store).get("tv1")
    assert later.number > record.number
    assert later.live_since_ms > record.live_since_ms + 20 * 86_400_000


def test_a_film_of_that_name_is_left_alone(air: Air, store: Store) -> None:
    library, film = Library(store), film_codes(9, 60)
    library.add(VideoFields("tv1", "A film", "film.mp4", "f", ENCODER), film, 60.0, 700, {})
    air.show(5, [indexer(store)])
    assert library.get("tv1").title == "A film"
    assert [record.id for record in library.videos()] == ["tv1"]


def test_the_table_is_rebuilt_with_it(air: Air, store: Store) -> None:
    one = indexer(store)
    air.show(40, [one])
    for name in list(store.client.scan_iter(keys.LUT)):
        store.client.delete(name)
    rebuild(Library(store), lambda *_: None)
    assert ask(store, 30.0) is not None
    air.show(20, [one])
    assert ask(store, 50.0) is not None


def test_a_second_of_any_length_is_one_run_of_postings(store: Store) -> None:
    track = Track(np.array([0, 980, 1000, 1500], np.uint32), np.arange(4, dtype=np.uint32), 2000)
    assert [len(part) for part in channels.live_postings(3, track)] == [2, 2]
    assert channels.live_postings(3, Track.empty()) == []


def test_a_damaged_frame_is_left_out(air: Air, store: Store) -> None:
    one = indexer(store)
    air.show(3, [one])
    stream = keys.reference_codes("tv1")
    for number, fields in enumerate(({"t": 1, "n": 1, "v": b"\x00", "c": b"odd"}, {"t": 1, "n": 1})):
        store.client.xadd(stream, fields, id=f"{round(air.now * 1000)}-{number}")  # type: ignore[arg-type]
    air.now += 1
    air.show(12, [one])
    found = ask(store, 8.0)
    assert found is not None
    assert found.at_seconds == pytest.approx(8.0, abs=0.3)
