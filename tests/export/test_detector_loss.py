"""Targets and loss of the screen detector, in numbers that can be worked out by hand."""

import math

import pytest
import torch

from export.detector_loss import (
    CONFIDENT_ERROR,
    FINE_ERROR,
    DetectorWeights,
    ScreenTargets,
    detector_loss,
    fitted_loss,
    screen_targets,
)
from export.networks.quad_fit import FoundScreen, QuadFit
from export.networks.screen_detector import VOTE_CELLS, ScreenMaps

HEIGHT, WIDTH = 8, 10  # cells
QUAD = [[2.0, 2.0], [8.0, 2.0], [8.0, 6.0], [2.0, 6.0]]  # 6 x 4 cells, its sides between cells
TOP, RIGHT, BOTTOM, LEFT = range(4)


def targets(present: bool = True) -> ScreenTargets:
    return screen_targets(torch.tensor([QUAD]), torch.tensor([present]), HEIGHT, WIDTH)


def at(row: int, column: int) -> int:
    """Number of a cell in a flattened map."""
    return row * WIDTH + column


def maps_saying(wanted: ScreenTargets) -> ScreenMaps:
    """Maps that say exactly what is wanted, without doubt."""
    parts = (torch.unflatten(part, 2, (HEIGHT, WIDTH)) for part in wanted[:4])
    inside, sides, offsets, votes = parts
    return ScreenMaps((2 * inside - 1) * 20, (2 * sides - 1) * 20, offsets, votes)


def zeros() -> ScreenMaps:
    return ScreenMaps(*(torch.zeros(1, channels, HEIGHT, WIDTH) for channels in (1, 4, 8, 8)))


def test_inside_is_one_in_the_screens_cells() -> None:
    inside = targets().inside.view(HEIGHT, WIDTH)
    expected = torch.zeros(HEIGHT, WIDTH)
    expected[2:6, 2:8] = 1
    torch.testing.assert_close(inside, expected, atol=1e-5, rtol=0)


def test_sides_are_marked_in_the_cells_near_them() -> None:
    top = targets().sides[0, TOP].view(HEIGHT, WIDTH)
    # middles of rows 0..4 are 1.5, 0.5, 0.5, 1.5, 2.5 from y = 2, and 2 - distance, at most 1, is the mark
    assert top[:5, 5].tolist() == pytest.approx([0.5, 1, 1, 0.5, 0], abs=1e-5)
    # past the end at x = 2 the distance is to the corner: cell (1, 0) is (1.5, 0.5) away, cell (0, 0) (1.5, 1.5)
    assert top[1, 0].item() == pytest.approx(2 - math.hypot(1.5, 0.5), abs=1e-5)
    assert top[0, 0].item() == pytest.approx(0, abs=1e-5)


def test_offsets_lead_to_the_line_and_votes_to_the_corners() -> None:
    offsets = torch.unflatten(targets().offsets[0], 0, (4, 2))  # (4, 2, M)
    votes = torch.unflatten(targets().votes[0], 0, (4, 2)) * VOTE_CELLS
    # cell (0, 4) has its middle at (4.5, 0.5)
    expected = torch.tensor([[0, 1.5], [3.5, 0], [0, 5.5], [-2.5, 0]])  # top, right, bottom, left
    torch.testing.assert_close(offsets[:, :, at(0, 4)], expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(votes[:, :, at(0, 4)], torch.tensor(QUAD) - torch.tensor([4.5, 0.5]))


def test_loss_of_maps_without_a_word() -> None:
    weights = DetectorWeights(sides=2.0, side_positives=3.0, offsets=0.3, votes=1.0)
    none = detector_loss(zeros(), targets(present=False), weights)
    # every probability is 1/2: ln 2 for inside, and 4 ln 2 for the four sides, twice
    assert none.item() == pytest.approx(math.log(2) * (1 + 2 * 4), rel=1e-5)
    wanted = targets()
    film = detector_loss(zeros(), wanted, DetectorWeights(sides=0, offsets=0, votes=0))
    assert film.item() == pytest.approx(math.log(2), rel=1e-5)
    edges = detector_loss(zeros(), wanted, DetectorWeights(sides=1, side_positives=3, offsets=0, votes=0)) - film
    # a cell marked by m weighs 1 + 2 m
    assert edges.item() == pytest.approx(4 * math.log(2) * (1 + 2 * wanted.sides.mean().item()), rel=1e-5)


def test_loss_of_votes_and_offsets_that_are_off_by_one_cell() -> None:
    wanted = targets()
    maps = maps_saying(wanted)
    off = maps._replace(votes=maps.votes + 1 / VOTE_CELLS)
    only_votes = DetectorWeights(sides=0, offsets=0, votes=1)
    # smooth L1 with a bend at 0.1: 0.5 x 0.0625^2 / 0.1, over 24 cells of film, and 1 more in the denominator
    assert detector_loss(off, wanted, only_votes).item() == pytest.approx(0.5 * 0.0625**2 / 0.1 * 24 / 25, rel=1e-4)
    off = maps._replace(offsets=maps.offsets - 1)
    only_offsets = DetectorWeights(sides=0, offsets=1, votes=0)
    near = int((wanted.sides > 0.5).sum()) * 2  # x and y of each marked cell
    assert detector_loss(off, wanted, only_offsets).item() == pytest.approx(near / (near + 1), rel=1e-4)


def test_perfect_maps_have_no_loss_and_all_others_more() -> None:
    wanted = targets()
    whole = DetectorWeights()
    perfect = maps_saying(wanted)
    assert detector_loss(perfect, wanted, DetectorWeights(sides=0)).item() < 1e-4
    least = detector_loss(perfect._replace(sides=torch.logit(wanted.sides, 1e-6).view_as(perfect.sides)), wanted, whole)
    # the marks between 0 and 1 keep their entropy; whatever else is said of the sides costs more
    for sides in (perfect.sides * 0, -perfect.sides, perfect.sides.roll(1, dims=1)):
        assert detector_loss(perfect._replace(sides=sides), wanted, whole) > least + 0.1
    for other in (
        perfect._replace(inside=perfect.inside.roll(1, dims=3)),
        perfect._replace(offsets=perfect.offsets + 0.3),
        perfect._replace(votes=perfect.votes.roll(2, dims=1)),
    ):
        assert detector_loss(other, wanted, whole) > detector_loss(perfect, wanted, whole) + 0.05


def test_without_a_screen_votes_and_offsets_do_not_count() -> None:
    none = targets(present=False)
    assert none.inside.abs().sum() == none.sides.abs().sum() == 0
    maps = maps_saying(none)
    wild = maps._replace(offsets=maps.offsets + 50, votes=maps.votes - 50)
    assert detector_loss(wild, none, DetectorWeights()) == detector_loss(maps, none, DetectorWeights())
    assert detector_loss(maps, none, DetectorWeights()).item() < 1e-6


def test_gradient_reaches_every_map() -> None:
    maps = ScreenMaps(*(part.requires_grad_() for part in zeros()))
    detector_loss(maps, targets(), DetectorWeights()).backward()  # type: ignore[no-untyped-call]
    for part in maps:
        assert part.grad is not None
        assert part.grad.abs().sum() > 0


CORNERS, SURE = DetectorWeights(fitted=1.0, confidence=0.0), DetectorWeights(fitted=0.0, confidence=1.0)


def fitted(corners: list[list[float]], share: float, present: bool = True, chosen: DetectorWeights = CORNERS) -> float:
    found = FoundScreen(torch.tensor([corners]), torch.tensor([share]))
    return fitted_loss(found, torch.tensor([QUAD]), torch.tensor([present]), chosen).item()


def test_fitted_corners_cost_the_logarithm_of_their_distance() -> None:
    size = math.hypot(6, 4)  # both diagonals of the screen
    moved = [[2.0, 2.0], [8.0, 2.0], [8.0, 6.0], [2.0, 7.0]]  # one corner of four, by one cell
    assert fitted(QUAD, 0.5) == pytest.approx(0, abs=1e-5)
    assert fitted(moved, 0.5) == pytest.approx(math.log1p(1 / size / FINE_ERROR) / 4, rel=1e-4)
    assert fitted(moved, 0.5, present=False) == pytest.approx(0, abs=1e-5)


def test_the_confidence_asked_for_falls_with_the_error_and_is_none_without_a_screen() -> None:
    moved = [[x + 1.0, y] for x, y in QUAD]
    wanted = math.exp(-1 / math.hypot(6, 4) / CONFIDENT_ERROR)
    losses = {share: fitted(moved, share, chosen=SURE) for share in (wanted / 2, wanted, (1 + wanted) / 2)}
    assert min(losses, key=lambda share: losses[share]) == wanted
    assert fitted(moved, 0.1, present=False, chosen=SURE) == pytest.approx(-math.log(0.9), rel=1e-3)


def test_fitted_loss_reaches_every_map() -> None:
    maps = maps_saying(targets())
    leaves = [part.clone().mul(0.9).add(0.01).requires_grad_() for part in maps]
    found = QuadFit()(ScreenMaps(*leaves))
    fitted_loss(found, torch.tensor([QUAD]), torch.tensor([True]), DetectorWeights()).backward()  # type: ignore[no-untyped-call]
    for leaf in leaves:
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()
        assert leaf.grad.abs().sum() > 0
