"""The recogniser learns classes and labels together, from small stand-ins of its data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export.classifier_training import load_classifier
from export.networks.classifier import ClassifierConfig
from export.recogniser_data import RecogniserData, load_recogniser_data, picture_targets
from export.recogniser_training import RecogniserTrainer, RecogniserTrainingConfig, coloured, heads, label_loss
from export.vocabulary import vocabulary
from pipeline.errors import InputError
from tests.export.test_training import losses_of, losses_until_interrupted
from tests.labelled_samples import JUDGED_FILMS, write_judged_films, write_sets

OUTPUTS = 210 + len(vocabulary().labels)
SMALL = ClassifierConfig(3, ((4,), (6,), (8,)), OUTPUTS, dropout=0.1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RecogniserData:
    folder = tmp_path_factory.mktemp("data")
    return load_recogniser_data(write_sets(folder / "sets", 1), write_judged_films(folder / "films"), "train")


def config(steps: int, seed: int = 0) -> RecogniserTrainingConfig:
    return RecogniserTrainingConfig(
        steps=steps, seed=seed, tiny=8, cifar=4, frames=4, sizes=((0.5, 16), (1.0, 24)), network=SMALL
    )


def test_only_judged_films_are_read_one_frame_a_second(data: RecogniserData) -> None:
    assert set(data.films.names) == {name for name in JUDGED_FILMS if "unheard_of" not in name}
    assert np.bincount(data.films.film).tolist() == [3, 3, 3]
    assert data.films.frames.shape[1:] == (3, 72, 128)
    dog = data.films.names.index("editing_inputs_coke.mp4")
    words = vocabulary().labels
    assert {words[k] for k in np.flatnonzero(data.films.targets[dog] == 1)} == {"dog", "animal"}
    kept = data.films.of_films(np.array([name != "editing_inputs_coke.mp4" for name in data.films.names]))
    assert len(kept.frames) == 6
    assert sorted(set(kept.film.tolist())) == [0, 1]


def test_training_lowers_the_loss_and_goes_on_as_if_nothing_had_been(data: RecogniserData, tmp_path: Path) -> None:
    whole = losses_of(RecogniserTrainer(config(30), data, tmp_path / "whole"))
    assert np.mean(whole[-5:]) < np.mean(whole[:5])
    seen = losses_until_interrupted(RecogniserTrainer(config(30), data, tmp_path / "cut"), 12)
    assert seen + losses_of(RecogniserTrainer(config(30), data, tmp_path / "cut")) == whole
    assert load_classifier(tmp_path / "cut")(torch.rand(1, 3, 24, 24)).shape == (1, OUTPUTS)


def test_pictures_grow_as_training_goes_on(data: RecogniserData, tmp_path: Path) -> None:
    trainer = RecogniserTrainer(config(10), data, tmp_path)
    sides = []
    for trainer.step in range(10):
        sides.append(trainer.side)
    assert sides == [16] * 5 + [24] * 5


def test_what_is_unknown_is_left_out_of_the_loss() -> None:
    logits = torch.tensor([[3.0, -2.0, 5.0]])
    targets = torch.tensor([[1, 0, -1]], dtype=torch.int8)
    expected = np.log1p(np.exp(-3.0)) + np.log1p(np.exp(-2.0))
    assert label_loss(logits, targets).item() == pytest.approx(expected, rel=1e-5)


def test_other_classes_and_films_are_refused(data: RecogniserData, tmp_path: Path) -> None:
    fewer = replace(data.cifar, names=data.cifar.names[:9])
    with pytest.raises(InputError, match="200 and 9 classes"):
        RecogniserTrainer(config(1), replace(data, cifar=fewer), tmp_path)
    with pytest.raises(InputError, match=r"'lamp' is not in class_labels.tsv"):
        picture_targets(replace(data.cifar, names=("lamp", *data.cifar.names[1:])))
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "mine.mp4").touch()
    with pytest.raises(InputError, match=r"no film of .* is in film_labels.tsv"):
        load_recogniser_data(write_sets(tmp_path / "sets", 1), tmp_path / "films", "train")


def test_colours_change_within_bounds() -> None:
    pictures = torch.rand(6, 3, 8, 8)
    other = coloured(pictures, torch.Generator().manual_seed(0))
    assert other.min() >= 0
    assert other.max() <= 1
    assert (other - pictures).abs().mean() > 0.02


def test_the_outputs_are_split_among_the_heads() -> None:
    parts = heads(torch.arange(OUTPUTS, dtype=torch.float32).expand(2, -1))
    assert (parts.tiny.shape[1], parts.cifar.shape[1], parts.labels.shape[1]) == (200, 10, OUTPUTS - 210)
    assert parts.labels[0, 0] == 210
