"""Queries and sessions with the real encoder, on a catalogue in memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.demo import sample_films
from pipeline.encoder import BATCH_FRAMES, Encoder, batches_of_one_size, default_encoder
from pipeline.frames import Frame
from pipeline.indexing import code_film
from pipeline.matching import Matcher, matcher_of
from pipeline.media import read_frames
from pipeline.query import QUERY_FPS, Query
from pipeline.session import LOST_AFTER_SECONDS, LiveEvent, LiveSession, identify_clip
from pipeline.views import INSIDE_BARS_MIRRORED, MIRRORED, SCREEN, VIEWS, WHOLE
from tests.memory_reference import MemoryReference

BUNNY, BIKES, CARPHONE = sample_films()


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    """Knows two of the sample films, as numbers 1 and 2."""
    reference = MemoryReference()
    for number, film in ((1, BUNNY), (2, BIKES)):
        coded = code_film(film, default_encoder(), lambda _: None)
        reference.add(number, coded.track)
        if coded.motion is not None:
            reference.motions[number] = coded.motion
    return matcher_of(reference, default_encoder().bundle)


@pytest.fixture
def encoder() -> Encoder:
    return default_encoder()


def clip(film: Path, start: float, seconds: float, shift: float = 0.0) -> Iterator[Frame]:
    """Frames of a film, their times from `shift` on."""
    frames = read_frames(film, max_fps=QUERY_FPS, start_seconds=start, end_seconds=start + seconds)
    first: float | None = None
    for frame in frames:
        first = frame.pts_seconds if first is None else first
        yield Frame(frame.image, frame.pts_seconds - first + shift)


def noise(seconds: float, shift: float, seed: int = 0) -> Iterator[Frame]:
    """Blotches that no film shows."""
    rng = np.random.default_rng(seed)
    for k in range(int(seconds * QUERY_FPS)):
        coarse = rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)
        yield Frame(np.repeat(np.repeat(coarse, 40, 0), 40, 1), shift + k / QUERY_FPS)


def fill(query: Query, frames: Iterator[Frame]) -> None:
    for batch in batches_of_one_size(frames, BATCH_FRAMES):
        query.add(batch)


def test_query_keeps_the_last_seconds_only(encoder: Encoder) -> None:
    query = Query(encoder, 2.0)
    fill(query, clip(BIKES, 0.0, 9.0))
    whole = query.views()[WHOLE]
    assert query.frames == 90
    assert len(whole) == pytest.approx(2.0 * QUERY_FPS, abs=1)
    assert whole.pts_seconds[-1] == query.last_pts_seconds
    assert whole.pts_seconds[0] >= query.last_pts_seconds - 2.0
    assert whole.lights is not None
    assert len(whole.lights) == len(whole)


def test_views_that_say_nothing_of_their_own_are_empty(encoder: Encoder) -> None:
    query = Query(encoder, 5.0)
    fill(query, noise(1.0, 0.0))
    lengths = dict(zip(VIEWS, map(len, query.views()), strict=True))
    assert lengths["whole picture"] == lengths["mirrored"] == 10
    assert lengths["inside bars"] == lengths["inside bars, mirrored"] == 0


def test_bars_and_mirrors_have_views_that_match_the_plain_film(encoder: Encoder) -> None:
    plain, changed = Query(encoder, 5.0), Query(encoder, 5.0)
    fill(plain, clip(BIKES, 3.0, 2.0))
    boxed = (
        Frame(np.pad(frame.image, ((40, 40), (0, 0), (0, 0)))[:, ::-1].copy(), frame.pts_seconds)
        for frame in clip(BIKES, 3.0, 2.0)
    )
    fill(changed, boxed)
    wanted = plain.views()[WHOLE].codes
    views = changed.views()
    near = {view: float(np.bitwise_count(views[view].codes ^ wanted).mean()) for view in (WHOLE, INSIDE_BARS_MIRRORED)}
    assert near[INSIDE_BARS_MIRRORED] < 1 < 4 < near[WHOLE]


def test_only_the_view_that_matched_is_coded_on(encoder: Encoder) -> None:
    query = Query(encoder, 5.0)
    fill(query, clip(BIKES, 3.0, 1.0))
    query.follow_only(MIRRORED)
    fill(query, clip(BIKES, 4.0, 1.0, shift=1.0))
    assert [len(view) for view in query.views()] == [20 if view == MIRRORED else 0 for view in range(len(VIEWS))]
    query.follow_only(None)
    fill(query, clip(BIKES, 5.0, 1.0, shift=2.0))
    whole = query.views()[WHOLE]  # nothing is known of the second in which only the mirrored view was coded
    assert (whole.pts_seconds < 1.0).sum() == (whole.pts_seconds >= 2.0).sum() == 10 == len(whole) / 2


def test_a_screen_in_a_room_has_a_view_that_matches_the_plain_film(encoder: Encoder) -> None:
    plain, filmed = Query(encoder, 5.0), Query(encoder, 5.0)
    fill(plain, clip(BIKES, 3.0, 2.0))
    rooms = []
    for frame in clip(BIKES, 3.0, 2.0):
        room = np.full((360, 640, 3), 120, np.uint8)
        room[50:300, 90:545] = 12  # the bezel
        room[55:295, 100:535] = cv2.resize(frame.image, (435, 240), interpolation=cv2.INTER_AREA)
        rooms.append(Frame(room, frame.pts_seconds))
    fill(filmed, iter(rooms))
    assert all(seen is not None for seen in filmed.screens)
    wanted, views = plain.views()[WHOLE].codes, filmed.views()
    near = {view: float(np.bitwise_count(views[view].codes[-8:] ^ wanted[-8:]).mean()) for view in (WHOLE, SCREEN)}
    assert near[SCREEN] < 4 < near[WHOLE]


def test_clip_is_identified_and_read_no_further_than_needed(encoder: Encoder, matcher: Matcher) -> None:
    read = []
    frames = (read.append(frame.pts_seconds) or frame for frame in clip(BIKES, 1.0, 9.0))  # type: ignore[func-returns-value]
    answer = identify_clip(frames, encoder, matcher)
    assert answer.match is not None
    assert answer.match.number == 2
    assert answer.match.at_seconds == pytest.approx(1.0, abs=0.3)
    assert 0 < answer.query_seconds <= 3.0
    assert read[-1] < 8.0  # sure before the end
    assert answer.frames <= len(read)


def test_unknown_clip_is_read_to_its_end(encoder: Encoder, matcher: Matcher) -> None:
    answer = identify_clip(clip(CARPHONE, 0.0, 4.0), encoder, matcher)
    assert answer.match is None
    assert answer.seconds == pytest.approx(4.0, abs=0.3)
    assert answer.frames == pytest.approx(40, abs=2)


def test_empty_and_one_frame_clips_are_unknown_or_sure(encoder: Encoder, matcher: Matcher) -> None:
    assert identify_clip(iter([]), encoder, matcher).match is None
    answer = identify_clip(noise(0.1, 0.0), encoder, matcher)
    assert (answer.match, answer.frames, answer.seconds) == (None, 1, 0.0)


def test_answer_of_a_later_part_gives_the_start_of_the_clip(encoder: Encoder, matcher: Matcher) -> None:
    frames = [*noise(4.0, 0.0), *clip(BIKES, 3.0, 6.0, shift=4.0)]
    answer = identify_clip(iter(frames), encoder, matcher)
    assert answer.match is not None
    assert answer.match.film_seconds(4.0) == pytest.approx(3.0, abs=0.3)
    assert answer.match.at_seconds == pytest.approx(-1.0, abs=0.5)  # the clip began before the film did


def events_of(frames: list[Frame], encoder: Encoder, matcher: Matcher) -> list[LiveEvent]:
    return list(LiveSession(encoder, matcher).follow(iter(frames)))


def test_live_session_finds_holds_and_loses(encoder: Encoder, matcher: Matcher) -> None:
    frames = [*clip(BIKES, 2.0, 6.0), *noise(5.0, 6.0)]
    events = events_of(frames, encoder, matcher)
    kinds = [event.event for event in events]
    assert (kinds[0], kinds[-1]) == ("found", "lost")
    assert set(kinds[1:-1]) == {"still"}
    assert events[0].at < 3.0
    assert events[-1].at >= 6.0 + LOST_AFTER_SECONDS - 1
    for event in events[:-1]:
        assert event.match.number == 2
        assert event.match.film_seconds(event.at) == pytest.approx(2.0 + event.at, abs=0.4)


def test_live_session_follows_a_jump_to_another_film(encoder: Encoder, matcher: Matcher) -> None:
    frames = [*clip(BIKES, 2.0, 5.0), *clip(BUNNY, 0.2, 5.0, shift=5.0)]
    events = events_of(frames, encoder, matcher)
    found = [event.match.number for event in events if event.event == "found"]
    assert found[0] == 2
    assert found[-1] == 1
    assert events[-1].event == "lost"  # the source ended
    assert events[-1].match.number == 1


def test_what_holds_is_confirmed_without_a_search(
    encoder: Encoder, matcher: Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[float] = []
    search = matcher.match

    def counted(*arguments: Any) -> Any:
        searched.append(1.0)
        return search(*arguments)

    monkeypatch.setattr(matcher, "match", counted)
    events = events_of(list(clip(BIKES, 0, 10)), encoder, matcher)
    assert (events[0].event, events[-1].event) == ("found", "lost")
    assert events[-1].at > 9  # it held to the end
    assert len(searched) <= 6  # of twenty decisions


def test_a_wrong_speed_of_the_first_answer_is_mended_soon(
    encoder: Encoder, matcher: Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, answers = matcher.match, 0

    def hasty(*arguments: Any) -> Any:
        nonlocal answers
        found = search(*arguments)
        answers += found is not None
        return replace(found, speed=1.1) if found is not None and answers == 1 else found

    monkeypatch.setattr(matcher, "match", hasty)
    first, *told, _ = events_of(list(clip(BIKES, 0, 10)), encoder, matcher)
    assert first.match.speed == 1.1
    assert told[0].at - first.at <= 2.5
    # a film from its start: its moment is the time of the source
    assert max(abs(event.match.film_seconds(event.at + 1) - (event.at + 1)) for event in told) < 0.25


def test_another_film_is_told_within_two_seconds(encoder: Encoder, matcher: Matcher) -> None:
    frames = [*clip(BIKES, 0, 6), *clip(BUNNY, 0, 5, shift=6.1)]
    found = [(event.match.number, event.at) for event in events_of(frames, encoder, matcher) if event.event == "found"]
    assert [number for number, _ in found] == [2, 1]
    assert found[1][1] - 6.1 < 2.0


def test_frames_that_show_nothing_do_not_confirm(matcher: Matcher, encoder: Encoder) -> None:
    query = Query(encoder, 10.0)
    fill(query, clip(BIKES, 2, 4))
    held = matcher.match(query.views())
    assert held is not None and matcher.confirms(query.views()[held.view], held)
    later = replace(held, at_seconds=held.at_seconds + 3)  # the same film, elsewhere
    assert not matcher.confirms(query.views()[held.view], later)
    fill(query, noise(1.0, 4.1))
    assert not matcher.confirms(query.views()[held.view], held)  # the newest speak against it
    assert not matcher.confirms(query.views()[held.view].since(1000.0), held)
