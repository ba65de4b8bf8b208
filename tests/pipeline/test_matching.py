import numpy as np
import pytest

from pipeline.bundles import shipped_bundle
from pipeline.codes import FrameCodes
from pipeline.matching import Calibration, DecisionRule, Match, Matcher, Odds, matcher_of
from pipeline.motion import BLOCKS, TICK_SECONDS, Motion
from pipeline.tracks import Track
from tests.memory_reference import MemoryReference, film_codes, plain_evidence, query_codes

FILMS = {1: 60.0, 2: 45.0, 3: 90.0}


@pytest.fixture
def reference() -> MemoryReference:
    films = MemoryReference()
    for number, seconds in FILMS.items():
        films.add(number, film_codes(number, seconds))
    return films


def matcher(reference: MemoryReference) -> Matcher:
    return Matcher(reference, plain_evidence(), DecisionRule(Calibration(1.0, 0.0), Calibration(1.0, 0.0), 0.97))


def found(match: Match | None) -> Match:
    assert match is not None
    return match


@pytest.mark.parametrize("flips", [0, 2, 4])
@pytest.mark.parametrize("start", [0.0, 17.3, 50.0])
def test_match_finds_video_and_moment(reference: MemoryReference, flips: int, start: float) -> None:
    query = query_codes(film_codes(3, 90.0), start, 5.0, flips=flips)
    match = found(matcher(reference).match([query]))
    assert match.number == 3
    assert match.at_seconds == pytest.approx(start, abs=0.15)
    assert match.speed == pytest.approx(1.0, abs=0.02)
    assert match.confidence > 0.999


@pytest.mark.parametrize("speed", [0.9, 0.96, 1.0417, 1.1])
def test_match_finds_another_playback_speed(reference: MemoryReference, speed: float) -> None:
    match = found(matcher(reference).match([query_codes(film_codes(1, 60.0), 20.0, 6.0, speed=speed, flips=1)]))
    assert match.number == 1
    assert match.at_seconds == pytest.approx(20.0, abs=0.3)
    assert match.speed == pytest.approx(speed, abs=0.025)


def test_film_seconds_follows_the_speed() -> None:
    match = Match(number=1, at_seconds=10.0, speed=1.04, confidence=1.0, odds=Odds(50.0, 50.0), view=0)
    assert match.film_seconds(5.0) == pytest.approx(15.2)  # 10 + 5 * 1.04


def test_a_film_that_is_not_indexed_is_unknown(reference: MemoryReference) -> None:
    assert matcher(reference).match([query_codes(film_codes(77, 60.0), 10.0, 8.0)]) is None


def test_random_queries_are_never_accepted(reference: MemoryReference) -> None:
    rng = np.random.default_rng(5)
    for _ in range(30):
        margins = rng.uniform(0, 3, (50, 32)).astype(np.float32)
        query = FrameCodes(np.arange(50) / 10, rng.integers(0, 1 << 32, 50, dtype=np.uint32), margins)
        assert matcher(reference).match([query]) is None


def test_the_view_that_matches_is_named_and_empty_views_are_skipped(reference: MemoryReference) -> None:
    nothing = FrameCodes.concatenate([])
    other = query_codes(film_codes(77, 60.0), 10.0, 5.0)
    match = found(matcher(reference).match([other, nothing, query_codes(film_codes(2, 45.0), 12.0, 5.0)]))
    assert (match.number, match.view) == (2, 2)
    assert matcher(reference).match([nothing, nothing]) is None


def test_a_scene_that_stands_twice_in_the_catalogue_is_not_guessed(reference: MemoryReference) -> None:
    reference.add(4, film_codes(3, 90.0))  # the same film again
    guess = found(matcher(reference).best_guess([query_codes(film_codes(3, 90.0), 30.0, 5.0)]))
    assert guess.odds.film == pytest.approx(0, abs=0.1)  # even odds between the two
    assert matcher(reference).match([query_codes(film_codes(3, 90.0), 30.0, 5.0)]) is None


def still_film(seed: int, seconds: float) -> tuple[Track, np.ndarray, np.ndarray]:
    """One code for the whole film, cut each second as an indexed one; light moves at random, smoothly."""
    rng = np.random.default_rng(seed)
    starts = np.arange(0, int(seconds) * 1000, 1000).astype(np.uint32)
    track = Track(starts, np.full(len(starts), 0xABCD1234, np.uint32), int(seconds * 1000))
    pts = np.arange(0, seconds, TICK_SECONDS)
    steps = rng.normal(0, 4, (len(pts), BLOCKS))
    kernel = np.ones(4) / 4
    lights = np.stack([np.convolve(steps[:, b], kernel, mode="same") for b in range(BLOCKS)], axis=1) + 100
    return track, pts, lights.astype(np.float32)


@pytest.mark.parametrize("speed", [1.0, 1.04])
def test_a_still_scene_is_placed_by_its_motion(reference: MemoryReference, speed: float) -> None:
    track, pts, lights = still_film(1, 120.0)
    reference.add(9, track)
    reference.motions[9] = Motion.of_film(pts, lights)
    query = query_codes(track, 40.0, 5.0, speed=speed)
    seen = np.stack([np.interp(40.0 + query.pts_seconds * speed, pts, lights[:, b]) for b in range(BLOCKS)], axis=1)
    noisy = (seen * 0.8 + np.random.default_rng(2).normal(0, 0.5, seen.shape)).astype(np.float32)
    with_light = FrameCodes(query.pts_seconds, query.codes, query.margins, noisy)
    match = found(matcher(reference).match([with_light]))
    assert match.number == 9
    assert match.film_seconds(2.5) == pytest.approx(40.0 + 2.5 * speed, abs=0.2)
    assert matcher(reference).match([query]) is None  # without light, every second is as likely


def test_a_still_scene_with_other_motion_is_not_placed(reference: MemoryReference) -> None:
    track, pts, lights = still_film(1, 120.0)
    reference.add(9, track)
    reference.motions[9] = Motion.of_film(pts, lights)
    query = query_codes(track, 40.0, 5.0)
    other = still_film(8, 10.0)[2][: len(query)]
    with_light = FrameCodes(query.pts_seconds, query.codes, query.margins, other)
    assert matcher(reference).match([with_light]) is None


def test_shipped_bundle_gives_a_matcher(reference: MemoryReference) -> None:
    built = matcher_of(reference, shipped_bundle("encoder"))
    assert 0.5 < built.rule.accept < 1
    sure, unsure = Odds(100.0, 100.0), -5.0
    assert built.rule.confidence(sure) > built.rule.accept
    assert built.rule.accept > max(built.rule.confidence(odds) for odds in (Odds(unsure, 100.0), Odds(100.0, unsure)))
