"""The evaluation as pictures."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from export.evaluation import Outcome
from export.identifiers import NO_ODDS, Guess
from export.plots import COLUMNS, TILE, draw_all
from export.report import summary
from pipeline.detector import ScreenFinder, Sighting
from pipeline.frames import RgbImage
from pipeline.matching import Odds
from tests.commands import BIKES, cut_clip

OUTLINE = np.array([[40, 40], [200, 40], [200, 160], [40, 160]], np.float32)


class Outliner(ScreenFinder):
    """Sees the same screen in every picture."""

    def detect(self, images: Sequence[RgbImage]) -> list[Sighting]:
        return [Sighting(OUTLINE, 0.9)] * len(images)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut_clip(BIKES, tmp_path_factory.mktemp("clips") / "clip.mp4", seconds=1.0)


def outcomes(clip: Path, condition: str, wrong: int) -> list[Outcome]:
    """Four clips of film a at second 3, the first `wrong` of which were taken for film b or for nothing."""
    made = []
    for number in range(4):
        film = "a" if number >= wrong else ("b" if number % 2 else None)
        odds = Odds(3.0 * number, 50.0) if film else NO_ODDS
        guesses = [Guess(seconds, film, 3.0, 1.0, odds, 0.9, film is not None, 1.0) for seconds in (1.0, 5.0)]
        made.append(Outcome("ours", condition, "a", 3.0, 1.0, True, str(clip), guesses, 0.1))
    return made


def result_of(made: list[Outcome], probes: dict[str, Any]) -> dict[str, Any]:
    return {"probes": probes, "outcomes": [asdict(one) for one in made], **summary(made)}


PROBES = {
    "levels": {
        "easy": {
            "hits_by_probes": {"1": 0.4, "16": 0.6, "512": 0.8},
            "hits_by_radius": {"0": 0.4, "1": 0.6},
            "codes_in_radius": {"0": 1, "1": 33},
        }
    },
    "margins": [{"least_margin": 0.0, "bits": 10, "promised": 0.4, "flipped": 0.5}],
}


def shape(path: Path) -> list[int]:
    image = cv2.imread(str(path))
    assert image is not None
    assert image.std() > 0  # something is drawn
    return list(image.shape)


def test_every_plot_is_written(clip: Path, tmp_path: Path) -> None:
    made = outcomes(clip, "phone, easy", wrong=2) + outcomes(clip, "phone, hard", wrong=3)
    drawn = draw_all(result_of(made, PROBES), tmp_path, "ours", Outliner())
    names = ["identification.png", "error-trade-off.png", "reliability.png", "probes.png", "failures.png"]
    assert [path.name for path in drawn] == names
    for path in drawn:
        assert min(shape(path)[:2]) > 200
    assert shape(tmp_path / "identification.png")[1] > 1.5 * shape(tmp_path / "error-trade-off.png")[1]  # two panels


def test_gallery_shows_each_failure_with_its_outline(clip: Path, tmp_path: Path) -> None:
    draw_all(result_of(outcomes(clip, "phone, easy", wrong=3), PROBES), tmp_path, "ours", Outliner())
    image = cv2.imread(str(tmp_path / "failures.png"))
    assert image is not None
    assert image.shape == (TILE[1], COLUMNS * TILE[0], 3)
    tiles = np.hsplit(image, COLUMNS)
    assert all(tile.any() for tile in tiles[:3])
    assert not tiles[3].any()
    green = (tiles[0][:, :, 1] > 150) & (tiles[0][:, :, 0] < 120) & (tiles[0][:, :, 2] < 120)
    assert green.sum() > 100


def test_edits_alone_have_no_phone_plots_and_no_gallery(clip: Path, tmp_path: Path) -> None:
    made = outcomes(clip, "copy", wrong=1)
    drawn = draw_all(result_of(made, {"levels": {}, "margins": []}), tmp_path, "ours", Outliner())
    assert [path.name for path in drawn] == ["reliability.png"]
    assert shape(drawn[0])
