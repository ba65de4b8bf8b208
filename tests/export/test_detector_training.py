"""Training of the screen detector, a few small steps of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.detector_training import DetectorTrainer, DetectorTrainingConfig, load_detector, preset_config
from export.networks.dense import DenseConfig
from pipeline.errors import InputError
from tests.export.test_scenes import sources
from tests.export.test_training import losses_of, losses_until_interrupted

SMALL = DenseConfig(channels=(3, 4, 4), strided=2, pooled=3)


def config(steps: int, seed: int = 0) -> DetectorTrainingConfig:
    return DetectorTrainingConfig(steps=steps, pictures=2, dropout=0.2, seed=seed, network=SMALL)


def trainer(steps: int, folder: Path, seed: int = 0) -> DetectorTrainer:
    return DetectorTrainer(config(steps, seed), sources(), folder, ahead=0)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    fast = replace(config(60), learning_rate=2e-2, pictures=4)
    losses = losses_of(DetectorTrainer(fast, sources(), tmp_path, ahead=0))
    assert len(losses) == 60
    assert np.mean(losses[-15:]) < np.mean(losses[:10]) - 4 * np.std(losses[-15:]) / np.sqrt(15)
    network = load_detector(tmp_path)
    assert not network.training
    assert network.config == SMALL


def test_same_seed_same_losses_and_another_seed_others(tmp_path: Path) -> None:
    first, again, other = (
        losses_of(trainer(3, tmp_path / name, seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    assert first != other


def test_interrupted_training_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole = losses_of(trainer(6, tmp_path / "whole"))
    seen = losses_until_interrupted(trainer(6, tmp_path / "cut"), 3)
    assert seen + losses_of(trainer(6, tmp_path / "cut")) == whole


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_another_process_draws_the_same_scenes(tmp_path: Path) -> None:
    here = losses_of(trainer(2, tmp_path / "here"))
    assert losses_of(DetectorTrainer(config(2), sources(), tmp_path / "there", ahead=2)) == here


def test_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    losses_of(trainer(1, tmp_path))
    with pytest.raises(InputError, match="another configuration"):
        trainer(2, tmp_path)
    with pytest.raises(InputError, match="no training run"):
        load_detector(tmp_path / "nothing")


def test_presets() -> None:
    assert preset_config("cpu", None, 4) == DetectorTrainingConfig(seed=4)
    assert preset_config("gpu", 7, 0).steps == 7
    assert preset_config("gpu", None, 0).pictures > preset_config("cpu", None, 0).pictures
