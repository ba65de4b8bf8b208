from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from export.distortion import Distortion
from export.membrane_training import (
    MembraneTrainer,
    as_input,
    load_membrane_network,
    preset_config,
    turned,
    with_surroundings,
)
from export.membranes import Membranes
from export.networks.sliding_window import SlidingWindow
from pipeline.errors import InputError
from tests.membrane_samples import small_config, small_stack


def quiet(_: object) -> None:
    """Reports nothing."""


def test_presets() -> None:
    assert preset_config("cpu", None, 3).seed == 3
    assert preset_config("cpu", 7, 0).steps == 7
    assert preset_config("gpu", None, 0).crops > preset_config("cpu", None, 0).crops


@pytest.mark.parametrize("window", [1, 4, 9])
def test_surroundings_put_each_pixel_where_its_window_is_asked(window: int) -> None:
    slices = torch.arange(2.0 * 30 * 20).view(2, 1, 30, 20)
    whole = with_surroundings(slices, window)
    assert whole.shape == (2, 1, 29 + window, 19 + window)
    before = window // 2
    assert torch.equal(whole[:, :, before : before + 30, before : before + 20], slices)


def test_the_eight_turns_differ() -> None:
    picture = torch.arange(6.0).view(1, 2, 3)
    assert len({str(turned(picture, way).tolist()) for way in range(8)}) == 8
    assert turned(picture, 5).tolist() == [[[0, 3], [1, 4], [2, 5]]]  # mirrored, then a right angle to the left


def test_labels_of_a_batch_are_those_of_the_windows_middles(tmp_path: Path) -> None:
    stack = small_stack()
    plain = Membranes(stack.membrane.astype("uint8") * 255, stack.membrane)  # pictures that are their own labels
    config = replace(small_config(), distortion=Distortion(degrees=10, elastic=1, smooth=3, padding="reflection"))
    trainer = MembraneTrainer(config, plain, tmp_path)
    pictures, labels = trainer.batch()
    assert pictures.shape == (2, 1, 28, 28)
    assert labels.shape == (2, 20, 20)
    middles = pictures[:, 0, 4:24, 4:24]
    brightest = middles.flatten(1).amax(dim=1).view(2, 1, 1)
    darkest = middles.flatten(1).amin(dim=1).view(2, 1, 1)
    lines = middles > (brightest + darkest) / 2
    assert sorted(set(labels.flatten().tolist())) == [0, 1]
    assert (lines == (labels == 1)).float().mean() > 0.97  # bilinear against nearest
    trainer.step = 1
    assert not torch.equal(trainer.batch()[0], pictures)


def test_loss_is_that_of_every_window_with_the_classes_balanced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.training._cpu_multiplies_bfloat16", lambda: False)  # which rounds to three digits
    stack = small_stack()
    trainer = MembraneTrainer(small_config(), stack, tmp_path)
    pictures, labels = trainer.batch()
    outputs = SlidingWindow(trainer.network.network)(pictures)  # type: ignore[arg-type]
    share = stack.membrane.mean()
    each = functional.cross_entropy(outputs, labels, reduction="none")
    weight = torch.where(labels == 1, 0.5 / share, 0.5 / (1 - share))
    torch.testing.assert_close(trainer.loss(), (each * weight).sum() / weight.sum(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_training_learns_and_its_network_is_found_again(device: str, tmp_path: Path) -> None:
    stack = small_stack()
    trainer = MembraneTrainer(small_config(60), stack, tmp_path, device)
    losses: list[float] = []
    trainer.run(lambda progress: losses.append(progress.loss))
    assert sum(losses[-10:]) / 10 < 0.45 < losses[0]  # 0.69 is chance
    network = load_membrane_network(tmp_path)
    shown = as_input(stack.pictures[:1, :9, :9])
    with torch.no_grad():
        torch.testing.assert_close(network(shown), trainer.network.cpu().eval()(shown)[:, :, 0, 0])


@pytest.mark.parametrize(("height", "width"), [(19, 44), (44, 19)])
def test_exception_for_slices_smaller_than_a_crop(height: int, width: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"slices of {height}x{width} pixels are too small; training needs 20"):
        MembraneTrainer(small_config(), small_stack(2, height, width), tmp_path)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    stack = small_stack()
    whole = MembraneTrainer(small_config(), stack, tmp_path / "whole")
    whole.run(quiet)

    class Stop(Exception):
        pass

    def stop(_: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        MembraneTrainer(small_config(), stack, tmp_path / "parts").run(stop)
    rest = MembraneTrainer(small_config(), stack, tmp_path / "parts")
    assert rest.step == 1
    rest.run(quiet)
    for one, other in zip(whole.network.parameters(), rest.network.parameters(), strict=True):
        assert torch.equal(one, other)
