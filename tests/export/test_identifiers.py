"""Ways to identify a clip, on the sample films."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge.demo import sample_films
from export.identifiers import HashIdentifier, Identifier, PdqIdentifier, SeenClip
from pipeline.detector import ScreenFinder, Sighting
from pipeline.encoder import default_encoder
from pipeline.evidence import EvidenceModel
from pipeline.frames import Frame, RgbImage
from pipeline.library import Library
from pipeline.matching import DecisionRule
from pipeline.query import QUERY_FPS
from pipeline.store import Store
from tests.commands import BIKES, BUNNY, CARPHONE, cut_clip

LENGTHS = (1.0, 3.0)


class Blind(ScreenFinder):
    """Sees no screen anywhere; counts the pictures that it was shown."""

    def __init__(self) -> None:
        self.pictures = 0

    def detect(self, images: Sequence[RgbImage]) -> list[Sighting]:
        self.pictures += len(images)
        return [Sighting(np.zeros((4, 2), np.float32), 0.0)] * len(images)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SeenClip]:
    """Three seconds of each film as they are, and of one mirrored."""
    folder = tmp_path_factory.mktemp("clips")
    cuts = {
        "bikes": (BIKES, "copy", 4.0),
        "bunny": (BUNNY, "copy", 1.0),
        "stranger": (CARPHONE, "copy", 0.5),
        "mirrored": (BIKES, "mirrored", 4.0),
    }
    return {
        name: SeenClip.of_file(cut_clip(film, folder / f"{name}.mp4", edit, start, 3.0), Blind())
        for name, (film, edit, start) in cuts.items()
    }


def hash_identifier(store: Store, *, rectified: bool = True) -> HashIdentifier:
    encoder = default_encoder()
    evidence, rule = EvidenceModel.of_bundle(encoder.bundle), DecisionRule.of_bundle(encoder.bundle)
    return HashIdentifier("ours", encoder, evidence, rule, Library(store), rectified=rectified)


def index(identifier: Identifier) -> list[float]:
    return [identifier.index(sample_films()[film]) for film in (BIKES, BUNNY)]


def test_a_clip_is_read_and_searched_once(tmp_path: Path) -> None:
    finder = Blind()
    clip = SeenClip.of_file(cut_clip(BIKES, tmp_path / "clip.mp4", seconds=2.0), finder)
    assert finder.pictures == len(clip.frames) == len(clip.sightings) == len(clip.screens)
    assert len(clip.frames) == pytest.approx(2.0 * QUERY_FPS, abs=1)
    assert clip.screens == [None] * len(clip.frames)


def test_pdq_finds_what_is_unchanged(clips: dict[str, SeenClip]) -> None:
    pdq = PdqIdentifier()
    assert index(pdq) == pytest.approx([10.0, 5.28], abs=0.2)
    for film, start in (("bikes", 4.0), ("bunny", 1.0)):
        for guess, seconds in zip(pdq.identify(clips[film], LENGTHS), LENGTHS, strict=True):
            assert guess.accepted
            assert guess.film == sample_films()[BIKES if film == "bikes" else BUNNY].stem
            assert guess.at_seconds == pytest.approx(start, abs=0.5)
            assert guess.seconds == seconds
            assert 0.3 < guess.confidence <= 1
    (guess,) = pdq.identify(clips["stranger"], [3.0])
    assert not guess.accepted
    (guess,) = pdq.identify(clips["mirrored"], [3.0])
    assert not guess.accepted  # PDQ knows one reading only


def test_more_votes_of_pdq_are_longer_odds(clips: dict[str, SeenClip]) -> None:
    pdq = PdqIdentifier()
    index(pdq)
    short, long = pdq.identify(clips["bikes"], LENGTHS)
    assert long.odds.both > short.odds.both + 5  # ten frames a second
    assert long.odds.both == pytest.approx(long.odds.film)


@pytest.mark.redis
def test_hash_identifier_answers_for_each_length(store: Store, clips: dict[str, SeenClip]) -> None:
    ours = hash_identifier(store)
    assert index(ours) == pytest.approx([10.0, 5.28], abs=0.2)
    assert index(ours) == [0.0, 0.0]  # they are there already
    for name in ("bikes", "mirrored"):
        guesses = ours.identify(clips[name], LENGTHS)
        assert [guess.seconds for guess in guesses] == list(LENGTHS)
        assert guesses[-1].accepted
        assert guesses[-1].film == "bikes"
        assert guesses[-1].at_seconds == pytest.approx(4.0, abs=0.3)
        assert 0 < guesses[-1].first_seen <= 3.2
    (guess,) = ours.identify(clips["stranger"], [3.0])
    assert not guess.accepted
    (guess,) = ours.identify(clips["bikes"], [0.1])
    assert (guess.film, guess.accepted) == (None, False)  # nothing was decided so early


@pytest.mark.redis
def test_unrectified_sees_the_whole_picture_only(store: Store, clips: dict[str, SeenClip]) -> None:
    raw = hash_identifier(store, rectified=False)
    index(raw)
    (guess,) = raw.identify(clips["bikes"], [3.0])
    assert (guess.film, guess.accepted) == ("bikes", True)
    (guess,) = raw.identify(clips["mirrored"], [3.0])
    assert not guess.accepted


def test_pdq_of_the_screen_is_that_of_the_film(clips: dict[str, SeenClip]) -> None:
    """Frames shown small in a grey room are found again, but only where the screen is seen."""
    pdq = PdqIdentifier()
    index(pdq)
    seen = clips["bikes"]
    corners = np.array([[100, 60], [740, 60], [740, 332], [100, 332]], np.float32)
    frames = []
    for frame in seen.frames:
        room = np.full((400, 860, 3), 120, np.uint8)
        room[60:332, 100:740] = frame.image[:272, :640]
        frames.append(Frame(room, frame.pts_seconds))
    sighting = Sighting(corners, 0.95)
    (guess,) = pdq.identify(SeenClip(frames, [sighting] * len(frames), [sighting] * len(frames)), [3.0])
    assert (guess.film, guess.accepted) == ("bikes", True)
    (guess,) = pdq.identify(SeenClip(frames, [sighting] * len(frames), [None] * len(frames)), [3.0])
    assert not guess.accepted
