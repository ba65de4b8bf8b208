"""From what the cells say to four corners: votes give a first outline, lines through the sides make it exact.

Only tensor sums, products and arg-maxima, so that it is a part of the exported graph: every device that runs the
bundle gets the same corners. Lines are fitted by iteratively re-weighted least squares (Holland and Welsch, "Robust
regression using iteratively reweighted least-squares", 1977) with Welsch's weights exp(-d^2 / 2 s^2). Of a side there
may be several: a film's edge and its panel's, a slide's heading. So the fit starts in several places beside the first
outline, and of the lines that enough cells agree on the outermost counts.
"""

# N batch, h and w map size, M = h w cells; all places are in cells

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from export.networks.screen_detector import VOTE_CELLS, ScreenMaps, cell_middles

VOTE_ROUNDS = 3
VOTE_SPREAD = 0.12  # of the screen's size: votes further apart speak of another screen
LINE_STARTS = (0.09, 0.06, 0.03, 0.0, -0.03, -0.06, -0.09)  # of the screen's size, inwards from the first outline
LINE_SPREAD = (0.035, 0.02, 0.012, 0.008)  # of the screen's size, by round: how far from the line a cell still counts
LEAST_SPREAD = (0.8, 0.5, 0.35, 0.25)  # cells
AGREEING = 0.5  # of the cells of the best line: so many make a line that counts
LEAST_AGREEING = 1.0  # cells of the best line; with fewer, the side is out of view, and the first outline counts
PRIOR_WEIGHT = 0.4  # cells; of the outline by votes, where a side is out of view
BEYOND = 0.12  # of a side: how far past its ends its cells count


class FoundScreen(NamedTuple):
    """corners: (N, 4, 2) x and y in cells, clockwise from the film's top left. confidence: (N,), 0..1."""

    corners: torch.Tensor
    confidence: torch.Tensor


class QuadFit(nn.Module):
    """The most convincing screen of each picture; where there is none, some outline with confidence near 0."""

    def forward(self, maps: ScreenMaps) -> FoundScreen:
        height, width = maps.inside.shape[2:]
        cells = cell_middles(height, width, maps.inside.device).flatten(1)  # (2, M)
        inside = torch.sigmoid(maps.inside.float())  # (N, 1, h, w)
        film = inside.flatten(1)  # (N, M)
        votes = maps.votes.float().flatten(2) * VOTE_CELLS + cells.repeat(4, 1)  # (N, 8, M)
        outline = self._outline(inside, film, votes)  # (N, 4, 2)
        sides = torch.sigmoid(maps.sides.float()).flatten(2)  # (N, 4, M)
        offsets = torch.unflatten(maps.offsets.float().flatten(2), 1, (4, 2))  # (N, 4, 2, M)
        corners = self._fit(outline, sides, Points(offsets[:, :, 0] + cells[0], offsets[:, :, 1] + cells[1]))
        mask = quad_mask(corners, cells.T)
        overlap = torch.minimum(film, mask).sum(dim=1)
        union = torch.maximum(film, mask).sum(dim=1)
        return FoundScreen(corners, overlap / (union + 2.0))

    def _outline(self, inside: torch.Tensor, film: torch.Tensor, votes: torch.Tensor) -> torch.Tensor:
        """The outline that the cells of one screen agree on, (N, 4, 2)."""
        smooth = functional.avg_pool2d(inside, 5, stride=1, padding=2).flatten(1)  # (N, M)
        best = smooth.argmax(dim=1)  # (N,)
        outline = votes.gather(2, best.view(-1, 1, 1).expand(-1, 8, 1)).squeeze(2)  # (N, 8)
        for _ in range(VOTE_ROUNDS):
            spread = VOTE_SPREAD * _size(torch.unflatten(outline, 1, (4, 2))) + 1.0  # (N, 1)
            apart = (votes - outline.unsqueeze(2)).square().mean(dim=1)  # (N, M)
            weight = film * torch.exp(-apart / (2 * spread.square()))  # (N, M)
            outline = (weight.unsqueeze(1) * votes).sum(dim=2) / (weight.sum(dim=1, keepdim=True) + 1e-6)
        return torch.unflatten(outline, 1, (4, 2))

    def _fit(self, outline: torch.Tensor, sides: torch.Tensor, points: "Points") -> torch.Tensor:
        """Lines through the cells of each side, crossed: (N, 4, 2). K starts; each tensor has them beside the sides."""
        starts = len(LINE_STARTS)
        size = _size(outline).unsqueeze(2)  # (N, 1, 1)
        start, stop = outline, outline.roll(-1, dims=1)  # (N, 4, 2): side k runs from corner k to the next
        middle, along = (start + stop) / 2, stop - start
        length = along.norm(dim=2, keepdim=True) + 1e-3
        along = along / length
        away = points.away(middle)
        reach = (away.x * along[..., :1] + away.y * along[..., 1:]).abs()  # (N, 4, M)
        seen = sides.square() * torch.sigmoid((length * (0.5 + BEYOND) - reach) / (0.05 * length + 0.3))
        inward = torch.stack([-along[..., 1], along[..., 0]], dim=2) * size  # (N, 4, 2)
        shift = torch.cat([inward * share for share in LINE_STARTS], dim=1)  # (N, 4 K, 2)
        middle, along = middle.repeat(1, starts, 1) + shift, along.repeat(1, starts, 1)
        ends = torch.stack([start, stop], dim=2).repeat(1, starts, 1, 1) + shift.unsqueeze(2)  # (N, 4 K, 2, 2)
        points = Points(points.x.repeat(1, starts, 1), points.y.repeat(1, starts, 1))
        seen = seen.repeat(1, starts, 1)  # (N, 4 K, M)
        for share, least in zip(LINE_SPREAD, LEAST_SPREAD, strict=True):
            middle, along = _line(points, seen * points.near(middle, along, share * size + least), ends)
            reach = ((ends - middle.unsqueeze(2)) * along.unsqueeze(2)).sum(dim=3, keepdim=True)
            ends = middle.unsqueeze(2) + reach * along.unsqueeze(2)  # on the line: they keep its direction, no more
        agreeing = (seen * points.near(middle, along, LINE_SPREAD[-1] * size + 2 * LEAST_SPREAD[-1])).sum(dim=2)
        lines = torch.unflatten(torch.cat([middle, along], dim=2), 1, (starts, 4))  # (N, K, 4, 4)
        chosen = _outermost(torch.unflatten(agreeing, 1, (starts, 4)), lines)  # (N, 4, 4)
        return _crossings(chosen[..., :2], chosen[..., 2:], outline)


class Points(NamedTuple):
    """x and y, (N, 4, M) each: planes, as ONNX Runtime takes five times as long for pairs of numbers."""

    x: torch.Tensor
    y: torch.Tensor

    def away(self, middle: torch.Tensor) -> "Points":
        """From a point of each side, (N, 4, 2)."""
        return Points(self.x - middle[..., :1], self.y - middle[..., 1:])

    def near(self, middle: torch.Tensor, along: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Welsch's weights by the distance from lines, (N, 4, M)."""
        away = self.away(middle)
        off = away.y * along[..., :1] - away.x * along[..., 1:]
        return torch.exp(-off.square() / (2 * spread.square()))


def _outermost(agreeing: torch.Tensor, lines: torch.Tensor) -> torch.Tensor:
    """Of K lines a side, from inside to outside, the last that counts. (N, K, 4) and (N, K, 4, 4) -> (N, 4, 4)."""
    best = agreeing.amax(dim=1)  # (N, 4)
    counts = agreeing >= AGREEING * best.unsqueeze(1)
    places = torch.arange(1, agreeing.shape[1] + 1, device=agreeing.device).view(1, -1, 1)
    last = (counts * places).argmax(dim=1)  # (N, 4)
    last = torch.where(best >= LEAST_AGREEING, last, LINE_STARTS.index(0.0))
    return lines.gather(1, last.view(-1, 1, 4, 1).expand(-1, 1, 4, 4)).squeeze(1)


def _line(points: Points, weight: torch.Tensor, ends: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Total least squares: a point and the direction of the line, (N, 4, 2) each."""
    prior = PRIOR_WEIGHT / 2
    total = weight.sum(dim=2, keepdim=True) + 2 * prior  # (N, 4, 1)
    pulled = torch.stack([(weight * points.x).sum(dim=2), (weight * points.y).sum(dim=2)], dim=2)  # (N, 4, 2)
    middle = (pulled + prior * ends.sum(dim=2)) / total
    away, far = points.away(middle), ends - middle.unsqueeze(2)
    heavy = Points(weight * away.x, weight * away.y)
    across = (heavy.x * away.x).sum(dim=2) + prior * far[..., 0].square().sum(dim=2)  # (N, 4)
    down = (heavy.y * away.y).sum(dim=2) + prior * far[..., 1].square().sum(dim=2)
    mixed = (heavy.x * away.y).sum(dim=2) + prior * (far[..., 0] * far[..., 1]).sum(dim=2)
    # the main axis of a 2 x 2 covariance, its angle halved by way of the bisector (cos + 1, sin)
    difference = across - down
    scale = torch.sqrt(difference.square() + 4 * mixed.square() + 1e-9)
    cosine, sine = difference / scale, 2 * mixed / scale
    flat = torch.stack([1 + cosine, sine], dim=2)
    steep = torch.stack([sine, 1 - cosine], dim=2)
    along = torch.where((cosine > 0).unsqueeze(2), flat, steep)
    return middle, along / (along.norm(dim=2, keepdim=True) + 1e-6)


def _crossings(middle: torch.Tensor, along: torch.Tensor, outline: torch.Tensor) -> torch.Tensor:
    """Corner k is where side k - 1 meets side k; where they hardly meet, it stays where the votes put it."""
    before, before_along = middle.roll(1, dims=1), along.roll(1, dims=1)
    cross = before_along[..., 0] * along[..., 1] - before_along[..., 1] * along[..., 0]  # (N, 4)
    gap = middle - before
    step = (gap[..., 0] * along[..., 1] - gap[..., 1] * along[..., 0]) / torch.where(
        cross.abs() < 0.1, torch.full_like(cross, 0.1), cross
    )
    corners = before + before_along * step.unsqueeze(2)
    far = (corners - outline).norm(dim=2) > 0.5 * _size(outline) + 2.0
    return torch.where(((cross.abs() < 0.1) | far).unsqueeze(2), outline, corners)


def _size(quad: torch.Tensor) -> torch.Tensor:
    """Half of the sum of the diagonals, (N, 4, 2) -> (N, 1)."""
    first, second = (quad[:, 2] - quad[:, 0]).norm(dim=1), (quad[:, 3] - quad[:, 1]).norm(dim=1)
    size: torch.Tensor = (first + second) / 2
    return size.unsqueeze(1)


def quad_mask(quad: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """How much of each cell is inside a convex outline, about: (N, 4, 2), (M, 2) -> (N, M), 0..1."""
    start, along = quad, quad.roll(-1, dims=1) - quad  # (N, 4, 2)
    off_x, off_y = cells[:, 0] - start[..., :1], cells[:, 1] - start[..., 1:]  # (N, 4, M)
    cross = along[..., :1] * off_y - along[..., 1:] * off_x  # > 0 inside
    depth = cross / (along.norm(dim=2, keepdim=True) + 1e-6)  # cells
    mask: torch.Tensor = (depth + 0.5).clamp(0, 1).amin(dim=1)
    return mask
