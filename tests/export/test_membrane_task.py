from pathlib import Path

import numpy as np
import pytest

from export.membrane_task import MEMBRANES, SET, figures
from export.membrane_training import MembraneTrainer, preset_config
from export.task import Sources, score_table
from export.tasks import TASKS
from pipeline.errors import InputError
from tests.membrane_samples import small_config, small_stack, write_stack


def test_the_task_is_known_and_its_runs_say_so(tmp_path: Path) -> None:
    assert TASKS["membranes"] is MEMBRANES
    assert preset_config("cpu", None, 0).task == "membranes"
    with pytest.raises(InputError, match="--data"):
        MEMBRANES.trainer(Sources(), "cpu", None, 0, "cpu", tmp_path)


def test_training_never_sees_the_last_slices(tmp_path: Path) -> None:
    stack = small_stack(8, 140, 150)
    stack.membrane[2:] = True  # the last six
    write_stack(stack, tmp_path / SET)
    trainer = MEMBRANES.trainer(Sources(data=tmp_path), "cpu", 5, 0, "cpu", tmp_path / "run")
    assert isinstance(trainer, MembraneTrainer)
    for step in range(5):
        trainer.step = step
        assert trainer.batch()[1].float().mean() < 0.1


def test_runs_are_scored_alone_and_together(tmp_path: Path) -> None:
    stack = small_stack(8)
    write_stack(stack, tmp_path / SET)
    runs = [tmp_path / "first", tmp_path / "second"]
    training, _ = stack.split()
    for seed, run in enumerate(runs):
        MembraneTrainer(small_config(60, seed), training, run).run(lambda _: None)
    scores = MEMBRANES.score(runs, Sources(data=tmp_path))
    assert [one["run"] for one in scores["runs"]] == [str(run) for run in runs]
    assert scores["committee"]["of"] == 2
    for one in (*scores["runs"], scores["committee"]):
        assert one["slices"] == 6
        assert one["v_rand_thinned"] > 0.9
        low, high = one["v_rand_thinned_interval"]
        assert low <= one["v_rand_thinned"] <= high <= 1
        assert 0 <= one["pixel_error_percent"] < 8
    assert scores["smoothed_grey_values"]["v_rand_thinned"] > 0.9  # these lines are easy
    assert "pixel_error_percent" not in scores["smoothed_grey_values"]
    assert "committee of 2  " in score_table({**scores, "published": MEMBRANES.published})


def test_figures_of_perfect_maps_and_of_maps_that_say_nothing() -> None:
    membrane = small_stack(3).membrane
    perfect = figures(membrane.astype(np.float32), membrane)
    assert (perfect["v_rand_thinned"], perfect["v_rand_as_found"], perfect["pixel_error_percent"]) == (1, 1, 0)
    assert perfect["v_rand_thinned_interval"] == [1, 1]
    nothing = figures(np.zeros_like(membrane, np.float32), membrane)
    assert nothing["split"] == 1  # one cell: nothing is in pieces
    assert nothing["v_rand_thinned"] < 0.75
    assert nothing["pixel_error_percent"] == pytest.approx(100 * membrane.mean(), abs=0.01)
