from pathlib import Path

import numpy as np
import pytest
import torch

from export.hash_training import HashTrainer, HashTrainingConfig, load_network
from export.networks.sparse_hash import SparseHashConfig
from export.training import Progress, Trainer
from pipeline.errors import InputError
from tests.export.test_calibration import moments

SMALL = SparseHashConfig(side=16, channels=(4, 8, 8, 8), features=16, dropout=0.1)


def config(steps: int, seed: int = 0) -> HashTrainingConfig:
    return HashTrainingConfig(steps=steps, films_per_batch=8, moments_per_film=2, seed=seed, network=SMALL)


def losses_of(trainer: Trainer) -> list[float]:
    losses: list[float] = []
    trainer.run(lambda progress: losses.append(progress.loss))
    return losses


def losses_until_interrupted(trainer: Trainer, steps: int) -> list[float]:
    """Of a run that somebody stops after so many steps."""
    losses: list[float] = []

    def interrupt(progress: Progress) -> None:
        losses.append(progress.loss)
        if len(losses) == steps:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.run(interrupt)
    return losses


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    losses = losses_of(HashTrainer(config(150), moments(), tmp_path))
    assert len(losses) == 150
    assert np.mean(losses[-30:]) < np.mean(losses[:30]) - 4 * np.std(losses[-30:]) / np.sqrt(30)
    network = load_network(tmp_path)
    assert not network.training
    assert network.config == SMALL


def test_same_seed_same_losses_and_another_seed_others(tmp_path: Path) -> None:
    first, again, other = (
        losses_of(HashTrainer(config(5, seed), moments(), tmp_path / name))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    assert first != other


def test_interrupted_training_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole = losses_of(HashTrainer(config(8), moments(), tmp_path / "whole"))
    seen = losses_until_interrupted(HashTrainer(config(8), moments(), tmp_path / "cut"), 4)
    rest = losses_of(HashTrainer(config(8), moments(), tmp_path / "cut"))
    assert seen + rest == whole


def test_single_pictures_change_what_is_learned_and_a_run_goes_on_with_them(tmp_path: Path) -> None:
    pictures = moments().thumbs[::3]
    whole = losses_of(HashTrainer(config(6), moments(), tmp_path / "whole", pictures=pictures))
    assert whole != losses_of(HashTrainer(config(6), moments(), tmp_path / "films"))
    seen = losses_until_interrupted(HashTrainer(config(6), moments(), tmp_path / "cut", pictures=pictures), 3)
    assert seen + losses_of(HashTrainer(config(6), moments(), tmp_path / "cut", pictures=pictures)) == whole


def test_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    losses_of(HashTrainer(config(1), moments(), tmp_path))
    with pytest.raises(InputError, match="another configuration"):
        HashTrainer(config(2), moments(), tmp_path)
    with pytest.raises(InputError, match="no training run"):
        load_network(tmp_path / "nothing")


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made a folder"):
        losses_of(HashTrainer(config(1), moments(), tmp_path / "file" / "run"))


def test_one_film_is_too_few(tmp_path: Path) -> None:
    one = moments().of_films(np.arange(10) == 3)
    with pytest.raises(InputError, match="at least two films"):
        HashTrainer(config(1), one, tmp_path)


def test_random_state_of_torch_is_not_needed(tmp_path: Path) -> None:
    torch.manual_seed(123)
    first = losses_of(HashTrainer(config(2), moments(), tmp_path / "a"))
    torch.manual_seed(321)
    assert losses_of(HashTrainer(config(2), moments(), tmp_path / "b")) == first
