"""`vnome train`, `export` and `evaluate`, small, on the sample films."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.demo import sample_films
from export import detector_bundle, evaluation, hash_training
from export.data import held_out
from export.hash_training import load_network, preset_config
from export.networks.sparse_hash import SparseHashConfig
from pipeline.bundles import load_bundle, shipped_bundle
from pipeline.detector import DETECTOR, ScreenDetector
from pipeline.encoder import ENCODER
from pipeline.errors import EXIT_DONE, EXIT_INPUT
from tests.commands import BIKES, BUNNY, CARPHONE, Vnome, cut_clip
from tests.export.test_pairs import photographed, picture
from tests.export.test_pairs import save as save_picture
from tests.export.test_scene_data import save, table


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


def test_train_then_export_gives_a_bundle(vnome: Vnome, films: Path, pair_folder: Path, tmp_path: Path) -> None:
    trained = vnome("train", "--films", films, "--out", tmp_path / "run", "--steps", "2")
    assert trained.code == EXIT_DONE
    assert "step 2/2" in trained.out
    measured = ("--pairs", pair_folder, "--decision", "0.5,-1,1,0,0.9")
    ran = vnome("export", tmp_path / "run", "--films", films, "--out", tmp_path / "bundle", *measured)
    assert ran.code == EXIT_DONE, ran.err
    bundle = load_bundle(tmp_path / "bundle", ENCODER)
    assert bundle.card["decision"] == {"film": [0.5, -1.0], "moment": [1.0, 0.0], "accept": 0.9}
    assert bundle.card["training"]["config"]["steps"] == 2
    assert bundle.card["quality"]["on"].startswith("1 films that training never saw")
    assert bundle.card["bytes"] < 4_000_000
    real = bundle.card["real_screens"]
    assert real["true_corners"]["photographs"] == 8
    assert 0 < real["by_the_detector"]["photographs"] < 8
    assert real["true_corners_of_those"]["photographs"] == real["whole_photographs"]["photographs"]


def test_training_goes_on_from_a_smaller_encoder_and_refuses_a_larger_one(
    vnome: Vnome, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = shipped_bundle(ENCODER).folder
    asked = ("train", "--films", films, "--start", shipped, "--steps", "1", "--out")
    assert vnome(*asked, tmp_path / "run").code == EXIT_DONE
    grown = load_network(tmp_path / "run")
    sizes = shipped_bundle(ENCODER).card["training"]["config"]["network"]
    assert grown.config == SparseHashConfig() != SparseHashConfig.of_card(sizes)
    small = preset_config("cpu", 1, 0, "")
    monkeypatch.setattr(
        hash_training, "preset_config", lambda *_: replace(small, network=SparseHashConfig(features=64))
    )
    assert vnome(*asked, tmp_path / "other").failed_with(EXIT_INPUT, "its network does not fit into the preset's")


@pytest.fixture(scope="module")
def scene_folders(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """Options that name folders of photographs and the table of televisions."""
    folder = tmp_path_factory.mktemp("scenes")
    save(folder / "stills", [f"still{k}.jpg" for k in range(3)])
    save(folder / "rooms", [f"room{k}.jpg" for k in range(12)])
    save(folder / "tv", ["a_1.jpg", "b_1.jpg"])
    televisions = table(folder / "tv.csv", ["a_1.jpg", "b_1.jpg"])
    return ["--stills", folder / "stills", "--rooms", folder / "rooms", "--televisions", televisions]


@pytest.fixture(scope="module")
def pair_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photographs of screens beside what those showed."""
    folder = tmp_path_factory.mktemp("pairs")
    for seed in range(8):
        save_picture(folder, f"{seed}_original.png", picture(seed))
        save_picture(folder, f"{seed}_photo.png", photographed(picture(seed)))
    return folder


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_train_then_export_gives_a_detector(
    vnome: Vnome, films: Path, scene_folders: list[str | Path], pair_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(detector_bundle, "SCENES", 20)
    scene_folders = [*scene_folders, "--pairs", pair_folder]
    run, out = tmp_path / "run", tmp_path / "bundle"
    trained = vnome("train", "--model", "detector", "--films", films, *scene_folders, "--out", run, "--steps", "2")
    assert trained.code == EXIT_DONE, trained.err
    ran = vnome("export", run, "--films", films, *scene_folders, "--out", out)
    assert ran.code == EXIT_DONE, ran.err
    assert "against torch" in ran.out
    bundle = load_bundle(out, DETECTOR)
    assert bundle.card["training"]["config"]["steps"] == 2
    assert bundle.card["quality"]["simulated"]["scenes"] == 20
    assert 0 < bundle.card["quality"]["other_screens"]["photographs"] < 8
    (seen,) = ScreenDetector(bundle).detect([np.zeros((90, 160, 3), np.uint8)])
    assert 0 <= seen.confidence <= 1
    one_room = [*scene_folders[:3], tmp_path / "room", *scene_folders[4:]]
    save(tmp_path / "room", ["room0.jpg"])
    assert vnome("export", run, "--films", films, *one_room, "--out", out).failed_with(EXIT_INPUT, "held out")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips as short as the sample films need, the shortest of which has 4 seconds."""
    monkeypatch.setattr(evaluation, "LENGTHS", (1.0, 2.0))
    monkeypatch.setattr(evaluation, "EDIT_SECONDS", 3.0)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("known")
    shutil.copy(sample_films()[BIKES], folder)
    return folder


@pytest.fixture(scope="module")
def unknown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unknown")
    shutil.copy(sample_films()[CARPHONE], folder)
    return folder


@pytest.mark.redis
@pytest.mark.usefixtures("short")
def test_evaluate_counts_right_wrong_and_unknown(vnome: Vnome, known: Path, unknown: Path) -> None:
    size = ("--clips", "2", "--unknown-clips", "2", "--level", "none", "--edit", "copy", "--no-baselines")
    ran = vnome("evaluate", "--films", known, "--unknown", unknown, *size, "--json")
    assert ran.code == EXIT_DONE, ran.err
    result = json.loads(ran.out)
    assert list(result["identifiers"]) == ["Sparse-Hash"]
    ours = result["identifiers"]["Sparse-Hash"]
    row = ours["conditions"]["copy"]["lengths"]["3"]
    assert (row["clips"], row["right"], row["wrong"], row["unknown"]) == (2, 1.0, 0.0, 0.0)
    assert 0 < ours["conditions"]["copy"]["median_seconds_to_identify"] <= 3.1
    assert (ours["unknown"]["clips"], ours["unknown"]["false_alarms"]) == (2, 0)
    assert ours["segment_micro_ap_of_edits"] > 0.9
    assert len(result["outcomes"]) == 2 + 2


@pytest.mark.redis
@pytest.mark.usefixtures("short")
def test_evaluate_films_clips_and_keeps_them(vnome: Vnome, known: Path, unknown: Path, tmp_path: Path) -> None:
    size = ("--clips", "1", "--unknown-clips", "1", "--level", "easy", "--edit", "none", "--no-baselines")
    ran = vnome("evaluate", "--films", known, "--unknown", unknown, *size, "--out", tmp_path / "out")
    assert ran.code == EXIT_DONE, ran.err
    assert "phone, easy: right / wrong, % of clips, by seconds of clip" in ran.out
    result = json.loads((tmp_path / "out" / "report.json").read_text())
    lengths = result["identifiers"]["Sparse-Hash"]["conditions"]["phone, easy"]["lengths"]
    assert list(lengths) == ["1", "2"]
    assert lengths["2"]["wrong"] == 0
    assert result["probes"]["levels"]["easy"]["frames"] == pytest.approx(20, abs=2)
    assert (tmp_path / "out" / "identification.png").stat().st_size > 1000
    kept = sorted(path.name for path in (tmp_path / "out" / "recordings").rglob("*.mp4"))
    assert kept == ["easy-2s-0-0000.mp4", "easy-2s-1-0000.mp4"]  # the gallery of failures shows them


@pytest.mark.redis
@pytest.mark.usefixtures("short")
def test_baselines_get_the_same_clips(vnome: Vnome, known: Path, unknown: Path) -> None:
    size = ("--clips", "1", "--unknown-clips", "0", "--level", "none", "--edit", "copy")
    ran = vnome("evaluate", "--films", known, "--unknown", unknown, *size, "--json")
    assert ran.code == EXIT_DONE, ran.err
    result = json.loads(ran.out)
    names = {
        "Sparse-Hash",
        "ITQ-32",
        "LSH-32",
        "Submask-32",
        "pHash-32",
        "pHash-32, raw",
        "PDQ-256",
        "Sparse-Hash, raw",
    }
    assert set(result["identifiers"]) == names
    assert len({(one["film"], one["start_seconds"]) for one in result["outcomes"]}) == 1
    for name in ("Sparse-Hash", "Sparse-Hash, raw", "PDQ-256"):
        assert result["identifiers"][name]["conditions"]["copy"]["lengths"]["3"]["right"] == 1.0
    pace = result["indexing_times_real_time"]
    assert pace["Sparse-Hash"] > 0
    assert pace["Sparse-Hash, raw"] == 0  # it shares the catalogue


def test_wrong_use(vnome: Vnome, films: Path, tmp_path: Path) -> None:
    assert vnome("train", "--films", tmp_path, "--out", tmp_path / "run").failed_with(EXIT_INPUT, "no film in")
    ran = vnome("export", tmp_path / "run", "--films", films, "--out", tmp_path / "bundle")
    assert ran.failed_with(EXIT_INPUT, "no training run in")
    ran = vnome("evaluate", "--films", films, "--unknown", films, "--edit", "upside down")
    assert ran.failed_with(EXIT_INPUT, "upside down", "letter-boxed")
    ran = vnome("evaluate", "--films", films, "--unknown", films, "--level", "extreme")
    assert ran.failed_with(EXIT_INPUT, "extreme", "easy, hard, severe")
    ran = vnome("evaluate", "--films", films, "--unknown", films, "--level", "none", "--edit", "none")
    assert ran.failed_with(EXIT_INPUT, "nothing to measure")
    ran = vnome("train", "--model", "detector", "--films", films, "--out", tmp_path / "run")
    assert ran.failed_with(EXIT_INPUT, "--stills")
