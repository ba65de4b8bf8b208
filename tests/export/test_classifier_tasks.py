"""`vnome train --task` and `vnome score` on small stand-ins of the sets."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from export.classifier_tasks import MNIST, probabilities
from export.classifier_training import ClassifierTrainer, load_classifier
from export.commands import Learning
from export.labelled import mnist
from export.task import Sources, error_rate, score_table, scored
from export.tasks import TASKS
from pipeline.errors import EXIT_DONE, EXIT_INPUT
from tests.commands import Vnome
from tests.export.test_training import losses_of
from tests.labelled_samples import write_judged_films, write_sets


@pytest.fixture
def vnome(capsys: pytest.CaptureFixture[str]) -> Vnome:
    return Vnome(capsys)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sets(tmp_path_factory.mktemp("sets") / "classify", 4)


def test_every_task_can_be_named() -> None:
    assert {task.value for task in Learning} - {"encoder", "detector"} == set(TASKS)


def test_a_committee_is_trained_and_scored(vnome: Vnome, sets: Path, tmp_path: Path) -> None:
    for seed in ("0", "1"):
        run = tmp_path / f"run{seed}"
        ran = vnome("train", "--task", "mnist", "--data", sets, "--out", run, "--steps", "12", "--seed", seed)
        assert ran.code == EXIT_DONE, ran.err
        assert f"vnome score {run} --data {sets}" in ran.out
    scores = vnome("score", tmp_path / "run0", tmp_path / "run1", "--data", sets, "--json").document
    assert scores["task"] == "mnist"
    assert [row["cases"] for row in scores["runs"]] == [50, 50]
    assert scores["committee"]["of"] == 2
    # squares in ten places are easy: chance errs on nine of ten
    assert scores["committee"]["error_percent"] < 80
    low, high = scores["committee"]["interval_percent"]
    assert low <= scores["committee"]["error_percent"] <= high
    table = vnome("score", tmp_path / "run0", tmp_path / "run1", "--data", sets).out
    assert "committee of 2" in table
    assert "published: 0.23 %" in table


def test_every_picture_comes_once_an_epoch(sets: Path, tmp_path: Path) -> None:
    trainer = MNIST.trainer(Sources(sets), "cpu", 8, 3, "cpu", tmp_path)
    assert isinstance(trainer, ClassifierTrainer)
    seen = []
    for step in range(8):
        trainer.step = step
        seen.append(trainer._batch().numpy())
    first, second = np.concatenate(seen[:4]), np.concatenate(seen[4:])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(400))
    assert first.tolist() != second.tolist()


def test_the_same_seed_gives_the_same_run(sets: Path, tmp_path: Path) -> None:
    first, again, other = (
        losses_of(MNIST.trainer(Sources(sets), "cpu", 4, seed, "cpu", tmp_path / name))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again != other


def test_mirror_images_are_asked_as_well(sets: Path, tmp_path: Path) -> None:
    losses_of(MNIST.trainer(Sources(sets), "cpu", 2, 0, "cpu", tmp_path))
    network, pictures = load_classifier(tmp_path), mnist(sets, "test").pictures[:5]
    both = probabilities(network, pictures, mirrored=True)
    assert np.allclose(both, probabilities(network, pictures[..., ::-1].copy(), mirrored=True), atol=1e-6)
    assert not np.allclose(both, probabilities(network, pictures, mirrored=False), atol=1e-4)
    assert both.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_errors_have_their_interval() -> None:
    rate = error_rate(np.arange(10_000) < 50)
    assert (rate["errors"], rate["error_percent"]) == (50, 0.5)
    assert rate["interval_percent"] == pytest.approx([0.380, 0.659], abs=0.002)
    wrong = np.array([True, False])
    scores = {"published": "0 %", **scored("t", [Path("a/b")], [wrong], wrong)}
    assert "b  50.00 % (1 of 2" in score_table(scores)


def test_the_recogniser_is_trained_exported_and_scored(vnome: Vnome, tmp_path: Path) -> None:
    films = write_judged_films(tmp_path / "films")
    where = ("--data", write_sets(tmp_path / "sets", 1), "--films", films)
    ran = vnome("train", "--task", "recogniser", *where, "--out", tmp_path / "run", "--steps", "2")
    assert ran.code == EXIT_DONE, ran.err
    (row,) = vnome("score", tmp_path / "run", *where, "--json").document["runs"]
    assert 0 < row["labels_map"] < 1
    card = vnome("export", tmp_path / "run", *where, "--out", tmp_path / "bundle", "--json").document
    assert card["kind"] == "recogniser"
    assert cv2.imread(str(tmp_path / "bundle" / "reliability.png")) is not None
    assert card["training"]["command"].startswith("vnome train --task recogniser ")


def test_bad_use_is_one_line(vnome: Vnome, sets: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert vnome("train", "--task", "mnist", "--out", run).failed_with(EXIT_INPUT, "--data")
    assert vnome("train", "--task", "recogniser", "--data", sets, "--out", run).failed_with(EXIT_INPUT, "--films")
    assert vnome("train", "--out", run).failed_with(EXIT_INPUT, "the encoder needs --films")
    started = vnome("train", "--task", "mnist", "--data", sets, "--start", run, "--out", run)
    assert started.failed_with(EXIT_INPUT, "--start")
    assert vnome("score", run, "--data", sets).failed_with(EXIT_INPUT, "no training run in")
    losses_of(MNIST.trainer(Sources(sets), "cpu", 1, 0, "cpu", run))
    exported = vnome("export", run, "--films", sets, "--out", tmp_path / "bundle")
    assert exported.failed_with(EXIT_INPUT, "benchmark mnist", "vnome score")
    assert vnome("score", run, "--data", tmp_path).failed_with(EXIT_INPUT, "no mnist.npz")
