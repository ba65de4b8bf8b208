"""What the cells of the screen detector should say, and the loss of what they do say."""

# N batch, h and w map size, M = h w cells; all places are in cells

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional

from export.networks.quad_fit import FoundScreen, quad_mask
from export.networks.screen_detector import VOTE_CELLS, ScreenMaps, cell_middles

NEAR_CELLS = 1.5  # a side is marked in cells whose middle is closer
FINE_ERROR = 0.03  # of the screen's size: corners further off than this pull less and less
CONFIDENT_ERROR = 0.08  # of the screen's size: the confidence asked for falls to 1 / e


@dataclass(frozen=True)
class DetectorWeights:
    """Weights of the parts of the loss. side_positives: of a marked cell against one that is not.

    fitted, confidence: of the corners that the fit makes of the maps, and of their overlap with the film's cells.
    """

    sides: float = 1.0
    side_positives: float = 3.0
    offsets: float = 0.3
    votes: float = 1.0
    fitted: float = 0.2
    confidence: float = 0.3


class ScreenTargets(NamedTuple):
    """As `ScreenMaps`, flattened to (N, ., M). present: (N, 1), 1 where the picture has a screen."""

    inside: torch.Tensor
    sides: torch.Tensor
    offsets: torch.Tensor
    votes: torch.Tensor
    present: torch.Tensor


def screen_targets(quads: torch.Tensor, present: torch.Tensor, height: int, width: int) -> ScreenTargets:
    """quads: float (N, 4, 2) in cells, anything where present, bool (N,), is false."""
    cells = cell_middles(height, width, quads.device).flatten(1).T  # (M, 2)
    there = present.float().view(-1, 1, 1)
    inside = quad_mask(quads, cells).unsqueeze(1) * there  # (N, 1, M)
    start, along = quads, quads.roll(-1, dims=1) - quads
    length = along.norm(dim=2, keepdim=True) + 1e-6  # (N, 4, 1)
    along = along / length
    off = cells.view(1, 1, -1, 2) - start.unsqueeze(2)  # (N, 4, M, 2)
    reach = (off * along.unsqueeze(2)).sum(dim=3)  # (N, 4, M)
    on_segment = torch.minimum(reach.clamp(min=0), length)
    nearest = start.unsqueeze(2) + along.unsqueeze(2) * on_segment.unsqueeze(3)
    distance = (cells.view(1, 1, -1, 2) - nearest).norm(dim=3)  # (N, 4, M)
    sides = (NEAR_CELLS + 0.5 - distance).clamp(0, 1) * there
    on_line = start.unsqueeze(2) + along.unsqueeze(2) * reach.unsqueeze(3)
    offsets = (on_line - cells.view(1, 1, -1, 2)).transpose(2, 3).flatten(1, 2)  # (N, 8, M)
    votes = (quads.unsqueeze(2) - cells.view(1, 1, -1, 2)).transpose(2, 3).flatten(1, 2) / VOTE_CELLS
    return ScreenTargets(inside, sides, offsets, votes, there)


def detector_loss(maps: ScreenMaps, targets: ScreenTargets, weights: DetectorWeights) -> torch.Tensor:
    """Cross-entropy of inside and sides, L1 of offsets near the sides and of votes inside; a scalar."""
    inside, sides, offsets, votes = (part.float().flatten(2) for part in maps)
    film = functional.binary_cross_entropy_with_logits(inside, targets.inside)
    emphasis = 1 + (weights.side_positives - 1) * targets.sides
    edges = functional.binary_cross_entropy_with_logits(sides, targets.sides, weight=emphasis) * 4
    near = (targets.sides > 0.5).float().repeat_interleave(2, dim=1)  # (N, 8, M)
    shift = ((offsets - targets.offsets).abs() * near).sum() / (near.sum() + 1)
    held = (targets.inside > 0.5).float()  # (N, 1, M)
    corners = functional.smooth_l1_loss(votes, targets.votes, reduction="none", beta=0.1).mean(dim=1, keepdim=True)
    placed = (corners * held).sum() / (held.sum() + 1)
    return film + weights.sides * edges + weights.offsets * shift + weights.votes * placed


def fitted_loss(
    found: FoundScreen, quads: torch.Tensor, present: torch.Tensor, weights: DetectorWeights
) -> torch.Tensor:
    """The loss of what leaves the network in the end: corners, and a confidence that says how good they are; a scalar.

    quads, present: as for `screen_targets`. A corner costs log(1 + e / `FINE_ERROR`), e its distance from the truth
    as a share of the screen's size, so that a screen that was mistaken for another does not drown the rest. The
    overlap should be exp(-e / `CONFIDENT_ERROR`) of the mean e, and 0 where there is no screen.
    """
    there = present.float()
    across = ((quads[:, 2] - quads[:, 0]).norm(dim=1) + (quads[:, 3] - quads[:, 1]).norm(dim=1)) / 2
    error = (found.corners - quads).norm(dim=2) / (across.unsqueeze(1) + 1e-6)  # (N, 4)
    corners = (torch.log1p(error / FINE_ERROR).mean(dim=1) * there).sum() / (there.sum() + 1e-6)
    wanted = torch.exp(-error.detach().mean(dim=1) / CONFIDENT_ERROR) * there
    sure = functional.binary_cross_entropy(found.confidence.clamp(1e-4, 1 - 1e-4), wanted)
    return weights.fitted * corners + weights.confidence * sure
