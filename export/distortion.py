"""Affine and elastic distortion of pictures, whole batches at once, on the CPU or the GPU.

Simard, Steinkraus, Platt, "Best practices for convolutional neural networks applied to visual document analysis",
ICDAR 2003, section 2: random displacements smoothed by a Gaussian; Ciresan, Meier, Schmidhuber, CVPR 2012 (arXiv
1202.2745), section 3, draw them anew for every picture of every epoch, with shifts, scales and rotations.
"""

# N pictures, C channels, H and W their size in pixels, S size of the coarse field of displacements

import math
from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Distortion:
    """How far pictures are distorted; all drawn evenly from [-x, x] around the undistorted.

    degrees: rotation. scale: of each axis on its own, 0.1 is 0.9 to 1.1. shift: of the picture's size. shear: x per y.
    crop: only a part is shown, its sides from 1 - crop to 1 of the picture's, anywhere in it.
    elastic: deviation of the displacements, pixels. smooth: deviation of the Gaussian over them, pixels.
    mirror: whether half of the pictures are mirrored left to right. padding: what lies outside, of `grid_sample`.
    """

    degrees: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    shear: float = 0.0
    crop: float = 0.0
    elastic: float = 0.0
    smooth: float = 5.0
    mirror: bool = False
    padding: str = "zeros"

    def grid(self, shape: torch.Size, generator: torch.Generator, device: torch.device) -> torch.Tensor:
        """Where the pixels of distorted pictures of this shape, (N, C, H, W), come from.

        Returns float32 (N, H, W, 2), x and y in -1..1 as `torch.nn.functional.grid_sample` has them.
        """
        count, _, height, width = shape
        grid = functional.affine_grid(self._affine(count, generator, device), [count, 1, height, width], False)
        if self.elastic:
            size = torch.tensor([2 / width, 2 / height], device=device)
            grid = grid + self._displacements(count, height, width, generator, device) * size
        return grid

    def apply(self, pictures: torch.Tensor, grid: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
        """Pictures (N, C, H, W) through a grid of `grid`; mode "nearest" for maps of labels."""
        return functional.grid_sample(pictures, grid, mode, self.padding, align_corners=False)

    def __call__(self, pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Distorts float pictures (N, C, H, W), each in its own way; the shape stays."""
        return self.apply(pictures, self.grid(pictures.shape, generator, pictures.device))

    def _affine(self, count: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
        """(N, 2, 3), from places in the distorted picture to places in the given one."""

        def drawn(most: float) -> torch.Tensor:
            return (torch.rand(count, generator=generator, device=device) * 2 - 1) * most

        turn, wide, high = drawn(math.radians(self.degrees)), 1 + drawn(self.scale), 1 + drawn(self.scale)
        shear, right, down = drawn(self.shear), drawn(2 * self.shift), drawn(2 * self.shift)
        if self.crop:
            size = 1 - self.crop * torch.rand(count, generator=generator, device=device)
            right, down = right + drawn(1.0) * (1 - size), down + drawn(1.0) * (1 - size)
            wide, high = wide * size, high * size
        if self.mirror:
            wide = torch.where(torch.rand(count, generator=generator, device=device) < 0.5, -wide, wide)
        cosine, sine = turn.cos(), turn.sin()
        first = torch.stack([wide * cosine, high * (shear * cosine - sine), right], dim=1)
        second = torch.stack([wide * sine, high * (shear * sine + cosine), down], dim=1)
        return torch.stack([first, second], dim=1)

    def _displacements(
        self, count: int, height: int, width: int, generator: torch.Generator, device: torch.device
    ) -> torch.Tensor:
        """(N, H, W, 2) pixels, smooth: a random field as coarse as the Gaussian allows, smoothed and made large."""
        coarse = max(1.0, self.smooth / 2)
        rows, columns = math.ceil(height / coarse) + 6, math.ceil(width / coarse) + 6
        field = torch.randn(count * 2, 1, rows, columns, generator=generator, device=device)
        kernel = torch.exp(-(torch.arange(-4, 5, device=device) ** 2) / (2 * (self.smooth / coarse) ** 2))
        kernel = kernel / kernel.square().sum().sqrt()  # the deviation stays 1
        field = functional.conv2d(field, kernel.view(1, 1, 1, -1), padding=(0, 4))
        field = functional.conv2d(field, kernel.view(1, 1, -1, 1), padding=(4, 0))
        field = field[:, :, 3:-3, 3:-3] * self.elastic  # without the edge, where fewer were summed
        field = functional.interpolate(field, (height, width), mode="bicubic", align_corners=False)
        return field.view(count, 2, height, width).permute(0, 2, 3, 1)
