"""Rectification: the screen inside a picture, given its corners, sampled to a square of luma."""

# N batch, H and W picture size in pixels, S output side, K supersampling factor

import torch
from torch import nn
from torch.nn import functional

LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601, of R, G, B


def luma(images: torch.Tensor) -> torch.Tensor:
    """uint8 (N, H, W, 3) RGB -> float32 (N, 1, H, W) in 0..1."""
    weights = torch.tensor(LUMA_WEIGHTS, device=images.device) / 255
    # as a product with a (3, 1) matrix: a broadcast product and a sum took half of the whole graph's time
    return (images.float() @ weights.unsqueeze(1)).permute(0, 3, 1, 2)


def screen_grid(corners: torch.Tensor, side: int) -> torch.Tensor:
    """Where the centres of a side x side picture of the screen lie in the camera's picture.

    The projective map of the unit square onto a quadrilateral in closed form: Heckbert, "Fundamentals of
    texture mapping and image warping", 1989, section 2.2.3.

    corners: float (N, 4, 2), x and y, clockwise from the film's top left, in any unit.
    Returns float (N, side, side, 2) in the same unit. Four points on a line give finite but useless places.
    """
    x, y = corners[..., 0], corners[..., 1]  # (N, 4)
    dx1, dx2, sx = x[:, 1] - x[:, 2], x[:, 3] - x[:, 2], x[:, 0] - x[:, 1] + x[:, 2] - x[:, 3]
    dy1, dy2, sy = y[:, 1] - y[:, 2], y[:, 3] - y[:, 2], y[:, 0] - y[:, 1] + y[:, 2] - y[:, 3]
    determinant = dx1 * dy2 - dx2 * dy1
    determinant = torch.where(determinant.abs() < 1e-9, torch.full_like(determinant, 1e-9), determinant)
    g = (sx * dy2 - dx2 * sy) / determinant
    h = (dx1 * sy - sx * dy1) / determinant
    centres = (torch.arange(side, device=corners.device, dtype=corners.dtype) + 0.5) / side
    u, v = centres.view(1, 1, side), centres.view(1, side, 1)

    def column(value: torch.Tensor) -> torch.Tensor:
        return value.view(-1, 1, 1)

    depth = column(g) * u + column(h) * v + 1  # (N, side, side)
    places = [
        (column(p[:, 1] - p[:, 0] + g * p[:, 1]) * u + column(p[:, 3] - p[:, 0] + h * p[:, 3]) * v + column(p[:, 0]))
        / depth
        for p in (x, y)
    ]
    return torch.stack(places, dim=3)


class Rectifier(nn.Module):
    """Samples the screen to (N, 1, S, S), supersampled K times and averaged, against aliasing and moire.

    picture: float (N, 1, H, W). corners: float (N, 4, 2) in pixels; (0, 0) is the outer edge of the first
    pixel and (W, H) that of the last; corners may lie outside, where the edge is repeated.
    """

    def __init__(self, side: int, supersampling: int) -> None:
        super().__init__()
        self.side = side
        self.supersampling = supersampling

    def forward(self, picture: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
        height, width = picture.shape[2], picture.shape[3]
        x = corners[..., 0] * (2 / width) - 1
        y = corners[..., 1] * (2 / height) - 1
        grid = screen_grid(torch.stack([x, y], dim=2), self.side * self.supersampling)
        sampled = functional.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return functional.avg_pool2d(sampled, self.supersampling)  # (N, 1, S, S)
