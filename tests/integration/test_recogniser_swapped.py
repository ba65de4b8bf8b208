"""Another classifier in place of the one that VNOME ships, by one setting: from the film to search and live events."""

from collections.abc import Iterator
from json import loads
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.demo import sample_films
from pipeline.frames import RgbImage
from pipeline.media import read_frames
from pipeline.recogniser import default_recogniser
from pipeline.settings import settings
from pipeline.store import Store
from tests.commands import BIKES, Vnome
from tests.media_samples import write_film
from tests.pipeline.test_recogniser import colour_bundle

pytestmark = pytest.mark.redis

FPS, RED_SECONDS, BLUE_SECONDS = 25, 4, 5
NEAR_SECONDS = 1.3  # a picture a second is labelled, and a label is held for one more


def red_then_blue() -> Iterator[RgbImage]:
    """A real film in one colour, and then in another."""
    frames = read_frames(sample_films()[BIKES], end_seconds=RED_SECONDS + BLUE_SECONDS, max_side=320)
    for frame in frames:
        light = frame.image.mean(axis=2).astype(np.uint8)
        tinted = np.zeros_like(frame.image)
        tinted[:, :, 0 if frame.pts_seconds < RED_SECONDS else 2] = light
        yield tinted


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = list(red_then_blue())
    ticks = [1000 * k // FPS for k in range(len(images))]
    return write_film(tmp_path_factory.mktemp("films") / "flag.mp4", images, ticks)


@pytest.fixture
def vnome(
    store: Store, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Vnome:
    """The command, with the setting and nothing else that tells of the other model."""
    monkeypatch.setenv("VNOME_REDIS", redis_url)
    monkeypatch.setenv("VNOME_RECOGNISER", str(colour_bundle(tmp_path / "colours")))
    settings.cache_clear()
    default_recogniser.cache_clear()
    return Vnome(capsys)


def best(labels: list[list[Any]]) -> str:
    return str(labels[0][0])


def test_from_the_film_to_search_and_live_events(vnome: Vnome, film: Path) -> None:
    assert vnome("index", film).code == 0
    (red,) = vnome("search", "red", "--json").document["results"]
    (blue,) = vnome("search", "blue", "--json").document["results"]
    assert (red["at_seconds"], red["until_seconds"]) == pytest.approx((0, RED_SECONDS), abs=NEAR_SECONDS)
    assert (blue["at_seconds"], blue["until_seconds"]) == pytest.approx((RED_SECONDS, 9), abs=NEAR_SECONDS)
    assert vnome("search", "green").code == 1

    seen = vnome("inspect", film, "--fps", "1", "--json").document["frames"]
    assert [best(frame["labels"]) for frame in seen] == ["red"] * RED_SECONDS + ["blue"] * BLUE_SECONDS
    assert vnome("inspect", film, "--fps", "0.1").out.endswith("  red 1.00\n")

    (found,) = vnome("match", film, "--json").document["matches"]
    assert (found["video"], best(found["labels"])) == ("flag", "red")

    ran = vnome("watch", film, "--json")
    events = [*map(loads, ran.out.splitlines())]
    assert (events[0]["event"], events[-1]["event"], events[-1]["labels"]) == ("found", "lost", [])
    told = [(event["at_seconds"], best(event["labels"])) for event in events if event["event"] != "lost"]
    assert {label for _, label in told} == {"red", "blue"}
    for at_seconds, label in told:
        if abs(at_seconds - RED_SECONDS) > NEAR_SECONDS:
            assert label == ("red" if at_seconds < RED_SECONDS else "blue")
