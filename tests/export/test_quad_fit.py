"""Corners from maps whose screen is known."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from export.bundling import to_onnx
from export.detector_loss import screen_targets
from export.networks.quad_fit import FoundScreen, QuadFit, quad_mask
from export.networks.screen_detector import ScreenMaps, cell_middles

HEIGHT, WIDTH = 36, 64  # cells
SURE = 12.0  # logit of a cell that has no doubt
SCREENS: dict[str, list[list[float]]] = {
    "upright": [[12, 8], [52, 8], [52, 28], [12, 28]],
    "tilted": [[10.3, 6.2], [44.8, 9.7], [42.1, 27.4], [8.9, 30.6]],
    "rolled": [[20, 4], [50, 16], [42, 32], [12, 20]],
    "small": [[30.2, 14.1], [40.7, 14.8], [40.1, 20.9], [29.8, 20.2]],
    "upside down": [[52, 28], [12, 28], [12, 8], [52, 8]],
    "cut off on the left": [[-1.0, 8.4], [30.2, 7.1], [31.5, 26.0], [-0.6, 28.9]],
    "cut off at a corner": [[8.2, -0.8], [64.9, -0.5], [60.3, 30.1], [9.9, 28.2]],
    "all sides at the edge": [[0.4, -0.6], [64.5, 0.3], [63.6, 36.7], [-0.3, 35.5]],
}


def maps_of(corners: list[list[float]], strength: float = SURE) -> ScreenMaps:
    """What a perfect detector says of one screen, its probabilities as logits of this strength; N is 1."""
    targets = screen_targets(torch.tensor([corners], dtype=torch.float32), torch.tensor([True]), HEIGHT, WIDTH)
    inside, sides, offsets, votes = (torch.unflatten(part, 2, (HEIGHT, WIDTH)) for part in targets[:4])
    return ScreenMaps((2 * inside - 1) * strength, (2 * sides - 1) * strength, offsets, votes)


def no_screen() -> ScreenMaps:
    """What a detector says that is sure of nothing being there, its other maps being noise."""
    noise = torch.randn(1, 16, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(2))
    none = torch.full((1, 5, HEIGHT, WIDTH), -SURE)
    return ScreenMaps(none[:, :1], none[:, 1:], noise[:, :8] * 3, noise[:, 8:] * 3)


def error(found: FoundScreen, corners: list[list[float]]) -> float:
    """Cells, of the worst corner."""
    return float((found.corners[0] - torch.tensor(corners)).norm(dim=1).max())


@pytest.mark.parametrize("name", SCREENS)
def test_corners_of_perfect_maps_are_given_back(name: str) -> None:
    found = QuadFit()(maps_of(SCREENS[name]))
    assert error(found, SCREENS[name]) < 0.05
    assert 0.85 < found.confidence[0] <= 1


@pytest.mark.parametrize(("weaker", "outer"), [(0.9, True), (0.5, False)])
def test_of_two_lines_of_a_side_the_outermost_counts_if_enough_cells_agree_on_it(weaker: float, outer: bool) -> None:
    """A film between bars: the detector takes both for the upper side, as in a dark scene."""
    film: list[list[float]] = [[12, 12], [52, 12], [52, 28], [12, 28]]
    panel: list[list[float]] = [[12, 8], [52, 8], [52, 28], [12, 28]]
    maps, of_panel = maps_of(film), maps_of(panel)
    upper = of_panel.sides[0, 0] > 0
    maps.sides[0, 0][upper] = float(np.log(weaker / (1 - weaker)))
    maps.offsets[0, :2, upper] = of_panel.offsets[0, :2, upper]
    assert error(QuadFit()(maps), panel if outer else film) < 0.3  # not between them


@pytest.mark.parametrize("side", range(4))
def test_a_third_of_a_side_may_be_hidden(side: int) -> None:
    corners = SCREENS["tilted"]
    maps = maps_of(corners)
    start, stop = torch.tensor(corners[side]), torch.tensor(corners[(side + 1) % 4])
    share = ((cell_middles(HEIGHT, WIDTH, torch.device("cpu")).permute(1, 2, 0) - start) @ (stop - start)) / (
        stop - start
    ).square().sum()
    hidden = (share > 0.2) & (share < 0.55)
    maps.sides[0, side][hidden] = -SURE
    maps.offsets[0, 2 * side : 2 * side + 2, hidden] = 9.0  # and where they say that it runs is nonsense
    found = QuadFit()(maps)
    assert error(found, corners) < 0.05
    assert found.confidence[0] > 0.9


def test_noise_on_the_sides_averages_out() -> None:
    corners = SCREENS["tilted"]
    maps = maps_of(corners)
    generator = torch.Generator().manual_seed(5)
    votes = maps.votes + 0.06 * torch.randn(maps.votes.shape, generator=generator)  # one cell
    offsets = maps.offsets + 0.5 * torch.randn(maps.offsets.shape, generator=generator)
    assert error(QuadFit()(maps._replace(offsets=offsets, votes=votes)), corners) < 0.3  # of 80 cells a side


def test_the_surer_of_two_screens_is_taken_whole() -> None:
    first = [[6.0, 5.0], [32.0, 6.0], [31.0, 22.0], [6.5, 20.0]]
    second = [[42.0, 20.0], [58.0, 19.5], [58.5, 31.0], [42.5, 30.0]]
    strong, weak = maps_of(first), maps_of(second, strength=1.0)
    theirs = weak.inside > 0
    near = weak.sides.amax(dim=1, keepdim=True) > 0
    both = ScreenMaps(
        torch.maximum(strong.inside, torch.where(theirs, weak.inside, -SURE)),
        torch.maximum(strong.sides, torch.where(near, weak.sides, -SURE)),
        torch.where(near, weak.offsets, strong.offsets),
        torch.where(theirs, weak.votes, strong.votes),
    )
    assert error(QuadFit()(both), first) < 0.05
    swapped = both._replace(inside=torch.where(theirs, SURE, torch.where(strong.inside > 0, 1.0, -SURE)))
    assert error(QuadFit()(swapped), second) < 0.05


def test_nothing_to_find_is_not_believed() -> None:
    found = QuadFit()(no_screen())
    assert found.confidence[0] < 0.01
    assert torch.isfinite(found.corners).all()


def test_maps_of_zeros_give_finite_corners() -> None:
    zeros = [torch.zeros(2, channels, 8, 8) for channels in (1, 4, 8, 8)]
    found = QuadFit()(ScreenMaps(*zeros))
    assert torch.isfinite(found.corners).all()
    assert torch.isfinite(found.confidence).all()


def test_pictures_of_a_batch_do_not_see_each_other() -> None:
    each = [maps_of(SCREENS["small"]), no_screen(), maps_of(SCREENS["rolled"])]
    together = QuadFit()(ScreenMaps(*(torch.cat(parts) for parts in zip(*each, strict=True))))
    for k, alone in enumerate(each):
        found = QuadFit()(alone)
        torch.testing.assert_close(together.corners[k], found.corners[0])
        torch.testing.assert_close(together.confidence[k], found.confidence[0])


def test_mask_counts_cells_by_their_middles_and_halves_those_on_the_line() -> None:
    cells = cell_middles(4, 5, torch.device("cpu")).flatten(1).T
    mask = quad_mask(torch.tensor([[[1.0, 1.0], [3.5, 1.0], [3.5, 3.0], [1.0, 3.0]]]), cells).view(4, 5)
    assert mask[1].tolist() == pytest.approx([0, 1, 1, 0.5, 0], abs=1e-5)  # the right side runs through middle 3.5
    assert mask.sum(dim=1).tolist() == pytest.approx([0, 2.5, 2.5, 0], abs=1e-5)


class _Fit(nn.Module):
    """The fit with its maps as separate inputs, as ONNX has them."""

    def forward(
        self, inside: torch.Tensor, sides: torch.Tensor, offsets: torch.Tensor, votes: torch.Tensor
    ) -> FoundScreen:
        found: FoundScreen = QuadFit()(ScreenMaps(inside, sides, offsets, votes))
        return found


def test_onnx_parity() -> None:
    axes = {0: torch.export.Dim("batch", min=1, max=64)}
    maps = maps_of(SCREENS["upright"])
    inputs = {name: torch.cat([part, part]) for name, part in maps._asdict().items()}
    model = to_onnx(_Fit(), inputs, ["corners", "confidence"], dict.fromkeys(inputs, axes))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for corners in SCREENS.values():
        seen = maps_of(corners)
        found = QuadFit()(seen)
        places, confidence = session.run(None, {name: part.numpy() for name, part in seen._asdict().items()})
        np.testing.assert_allclose(places, found.corners.numpy(), atol=1e-3)
        np.testing.assert_allclose(confidence, found.confidence.numpy(), atol=1e-5)
