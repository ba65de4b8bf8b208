"""`vnome train`, `export` and `evaluate`, small, on the sample films."""

import json
import shutil
from pathlib import Path

import pytest

from edge.demo import sample_films
from export.data import held_out
from pipeline.bundles import load_bundle
from pipeline.encoder import ENCODER
from pipeline.errors import EXIT_DONE, EXIT_INPUT
from tests.commands import BIKES, BUNNY, CARPHONE, Vnome, cut_clip


@pytest.fixture
def vnome(capsys: pytest.CaptureFixture[str]) -> Vnome:
    return Vnome(capsys)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven short films, of which one is held out by its name."""
    folder = tmp_path_factory.mktemp("films")
    for film, start in ((BUNNY, 0.0), (BUNNY, 3.0), (BIKES, 0.0), (BIKES, 3.0), (BIKES, 6.0), (CARPHONE, 0.0)):
        cut_clip(film, folder / f"{film}-{start}.mp4", start=start, seconds=1.5)
    name = next(f"unseen{i}.mp4" for i in range(1000) if held_out((f"unseen{i}.mp4",), 0.1)[0])
    cut_clip(CARPHONE, folder / name, start=2.0, seconds=1.5)
    return folder


def test_train_then_export_gives_a_bundle(vnome: Vnome, films: Path, tmp_path: Path) -> None:
    trained = vnome("train", "--films", films, "--out", tmp_path / "run", "--steps", "2")
    assert trained.code == EXIT_DONE
    assert "step 2/2" in trained.out
    ran = vnome(
        "export", tmp_path / "run", "--films", films, "--out", tmp_path / "bundle", "--decision", "0.5,-1,1,0,0.9"
    )
    assert ran.code == EXIT_DONE, ran.err
    bundle = load_bundle(tmp_path / "bundle", ENCODER)
    assert bundle.card["decision"] == {"film": [0.5, -1.0], "moment": [1.0, 0.0], "accept": 0.9}
    assert bundle.card["training"]["config"]["steps"] == 2
    assert bundle.card["quality"]["on"].startswith("1 films that training never saw")
    assert bundle.card["bytes"] < 3 << 20


@pytest.mark.redis
def test_evaluate_counts_right_wrong_and_unknown(vnome: Vnome, tmp_path: Path) -> None:
    known, unknown = tmp_path / "known", tmp_path / "unknown"
    known.mkdir()
    unknown.mkdir()
    shutil.copy(sample_films()[BIKES], known)
    shutil.copy(sample_films()[CARPHONE], unknown)
    size = ("--clips", "2", "--unknown-clips", "2", "--seconds", "3")
    ran = vnome("evaluate", "--films", known, "--unknown", unknown, *size, "--edit", "copy", "--json")
    assert ran.code == EXIT_DONE
    result = json.loads(ran.out)
    ours = result["coders"]["Sparse-Hash"]
    assert ours["edits"]["copy"] | {"right_before_the_bound": 1.0} == {
        "clips": 2,
        "right": 1.0,
        "wrong": 0.0,
        "unknown": 0.0,
        "right_before_the_bound": 1.0,
    }
    assert ours["edits"]["films that are not indexed"]["unknown"] == 1.0
    assert {outcome["coder"] for outcome in result["outcomes"]} == {"Sparse-Hash", "pHash-32"}
    assert len(result["outcomes"]) == 2 * (2 + 2)


def test_wrong_use(vnome: Vnome, films: Path, tmp_path: Path) -> None:
    assert vnome("train", "--films", tmp_path, "--out", tmp_path / "run").failed_with(EXIT_INPUT, "no film in")
    ran = vnome("export", tmp_path / "run", "--films", films, "--out", tmp_path / "bundle")
    assert ran.failed_with(EXIT_INPUT, "no training run in")
    ran = vnome("evaluate", "--films", films, "--unknown", films, "--edit", "upside down")
    assert ran.failed_with(EXIT_INPUT, "upside down", "letter-boxed")
