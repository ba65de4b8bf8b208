"""A simulated camera for training: what a phone, a careless editor or a bad line does to a picture of a film.

Works on batches of luma, on the CPU or a GPU. Every effect has its own strength per picture; `Camera.strength`
scales them all. (The virtual phone of `edge/` films a whole room; this one only makes training pairs.)
"""

# N batch, H and W picture size, S side of the rectified picture, K supersampling

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from export.networks.rectify import Rectifier

WORK_SIDE = 128  # pixels; the picture is distorted at this side, then averaged down to the network's


@dataclass(frozen=True)
class Camera:
    """A camera of a given strength: 0 changes nothing, 1 is a hard phone recording.

    spread: how much the strength varies from picture to picture, each way, as a share of it.
    """

    side: int
    strength: float = 1.0
    spread: float = 0.0

    def photograph(self, pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """float (N, 1, H, W) in 0..1 -> the rectified picture as the network would get it, (N, 1, S, S)."""
        draw = Draw(len(pictures), generator, pictures.device)
        strength = _four(self.strength * draw.uniform(1 - self.spread, 1 + self.spread, 1))  # (N, 1, 1, 1)
        corners = self._corners(draw, pictures.shape[2], pictures.shape[3], strength.flatten(1))
        x = Rectifier(WORK_SIDE, 1)(pictures, corners)
        x = _outside(x, draw, strength)
        x = _overlay(x, draw)
        x = _tone(x, draw, strength)
        x = _light(x, draw, strength)
        x = _in_the_way(x, draw, strength)
        x = _blur(x, draw, strength)
        x = _moire(x, draw, strength)
        x = _exposure(x, draw, strength)
        x = _noise(x, draw, strength)
        x = _recompress(x, draw, strength)
        x = _out_of_view(x, draw, strength)
        return functional.avg_pool2d(x.clamp(0, 1), WORK_SIDE // self.side)

    def _corners(self, draw: "Draw", height: int, width: int, strength: torch.Tensor) -> torch.Tensor:
        """Corners (N, 4, 2) that differ from the picture's own by crop, over-scan and detector residue."""
        unit = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], device=draw.device)
        inward = 1 - 2 * unit  # (4, 2): towards the middle
        crop = draw.uniform(0, 0.11, 1, 2) * draw.sometimes(0.5)  # both sides alike, as an editor's zoom
        side_crop = draw.uniform(-0.06, 0.06, 2, 2) * strength.unsqueeze(2) * draw.sometimes(0.7)
        sides = torch.stack(
            [
                torch.stack([side_crop[:, 0, 0], side_crop[:, 0, 1]], 1),
                torch.stack([side_crop[:, 1, 0], side_crop[:, 0, 1]], 1),
                torch.stack([side_crop[:, 1, 0], side_crop[:, 1, 1]], 1),
                torch.stack([side_crop[:, 0, 0], side_crop[:, 1, 1]], 1),
            ],
            dim=1,
        )
        wild = 1 + 2 * draw.sometimes(0.2)  # a detector is mostly near, and now and then a side is off
        residue = draw.normal(0.012, 4, 2) * wild * strength.unsqueeze(2) * draw.sometimes(0.7)
        corners = unit + inward * (crop + sides) + residue
        return corners * torch.tensor([width, height], device=draw.device)


class Draw:
    """Random numbers for a batch of n pictures, of shape (n, ...)."""

    def __init__(self, n: int, generator: torch.Generator, device: torch.device) -> None:
        self.n, self.generator, self.device = n, generator, device

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        values = torch.rand(self.n, *shape, generator=self.generator, device=self.device)
        return values * (high - low) + low

    def normal(self, deviation: float, *shape: int) -> torch.Tensor:
        return torch.randn(self.n, *shape, generator=self.generator, device=self.device) * deviation

    def sometimes(self, share: float) -> torch.Tensor:
        """1.0 for `share` of the pictures and 0.0 for the others, (n, 1, 1)."""
        return (self.uniform(0, 1, 1, 1) < share).float()


def _places(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Horizontal (1, 1, 1, W) and vertical (1, 1, H, 1) places in 0..1."""
    height, width = x.shape[2:]
    across = (torch.arange(width, device=x.device) + 0.5) / width
    down = (torch.arange(height, device=x.device) + 0.5) / height
    return across.view(1, 1, 1, -1), down.view(1, 1, -1, 1)


def _four(values: torch.Tensor) -> torch.Tensor:
    return values.reshape(len(values), 1, 1, 1)


def _outside(x: torch.Tensor, draw: Draw, strength: torch.Tensor) -> torch.Tensor:
    """A strip of bezel, wall or black bar along one or two sides; up to an eighth for bars."""
    across, down = _places(x)
    shade = _four(draw.uniform(0, 0.5, 1) * draw.sometimes(0.5)[:, 0])
    bars = draw.sometimes(0.15)[:, :, 0]
    width = draw.uniform(0, 0.03, 4) * strength.flatten(1) * draw.sometimes(0.5)[:, :, 0]
    bar = draw.uniform(0, 0.13, 2) * bars * (draw.uniform(0, 1, 2) < 0.5)
    left, right, top, bottom = (width + bar.repeat_interleave(2, dim=1)).unbind(1)
    inside = (across > _four(left)) & (across < _four(1 - right)) & (down > _four(top)) & (down < _four(1 - bottom))
    return torch.where(inside, x, shade)


def _overlay(x: torch.Tensor, draw: Draw) -> torch.Tensor:
    """A subtitle band near the bottom, and a logo in a corner."""
    across, down = _places(x)
    top = _four(draw.uniform(0.72, 0.92, 1))
    height = _four(draw.uniform(0.04, 0.16, 1))
    half = _four(draw.uniform(0.15, 0.5, 1))
    band = (down > top) & (down < top + height) & ((across - 0.5).abs() < half)
    opacity = _four(draw.uniform(0, 1, 1) * draw.sometimes(0.35)[:, 0])
    x = torch.where(band, x * (1 - opacity), x)
    strokes = torch.sin(across * _four(draw.uniform(60, 200, 1))) * torch.sin(across * _four(draw.uniform(20, 70, 1)))
    lines = ((down - top) / height * _four(torch.floor(draw.uniform(1, 3, 1)))) % 1
    text = band & (strokes > 0.1) & (lines > 0.3) & (lines < 0.75) & (opacity > 0)
    x = torch.where(text, torch.ones_like(x) * 0.95, x)
    corner = _four(draw.uniform(0, 1, 1)), _four(draw.uniform(0, 0.3, 1))
    size = _four(draw.uniform(0.05, 0.16, 1) * draw.sometimes(0.2)[:, 0])
    logo = ((across - corner[0]).abs() < size) & ((down - corner[1]).abs() < size / 2)
    return torch.where(logo, _four(draw.uniform(0, 1, 1)), x)


def _tone(x: torch.Tensor, draw: Draw, strength: torch.Tensor) -> torch.Tensor:
    """Gamma, contrast, brightness and clipping of a screen and a camera."""
    gamma = torch.exp(_four(draw.normal(0.3, 1)).clamp(-0.7, 0.7) * strength.clamp(min=0.5))
    x = x.clamp(1e-4, 1) ** gamma
    contrast = torch.exp(_four(draw.normal(0.25, 1)) * strength)
    lift = _four(draw.normal(0.08, 1)) * strength
    return ((x - 0.5) * contrast + 0.5 + lift).clamp(0, 1)


def _light(x: torch.Tensor, draw: Draw, strength: torch.Tensor) -> torch.Tensor:
    """Fall-off over the screen, glare, and flicker bands."""
    across, down = _places(x)
    slope = (
        1
        + (across - 0.5) * _four(draw.normal(0.3, 1)) * strength
        + (down - 0.5) * _four(draw.normal(0.3, 1)) * strength
    )
    x = x * slope.clamp(0.3, 1.7)
    cx, cy = _four(draw.uniform(-0.1, 1.1, 1)), _four(draw.uniform(-0.1, 1.1, 1))
    size = _four(draw.uniform(0.05, 0.35, 1))
    glare = torch.exp(-((across - cx) ** 2 + (down - cy) ** 2) / (2 * size**2))
    x = x + glare * _four(draw.uniform(0, 0.6, 1) * draw.sometimes(0.35)[:, 0]) * strength
    x = x + _lamps(x, draw) * strength.clamp(0.3, 1.3)
    x = x + _window(x, draw) * _four(draw.uniform(0, 0.45, 1) * draw.sometimes(0.2)[:, 0]) * strength.clamp(max=1.5)
    bands = torch.sin(2 * math.pi * (down * _four(draw.uniform(0.5, 4, 1)) + _four(draw.uniform(0, 1, 1))))
    return x * (1 + bands * _four(draw.uniform(0, 0.12, 1) * draw.sometimes(0.3)[:, 0]) * strength)


def _lamps(x: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Up to three lamps mirrored in the glass, each a white core in its halo, round or a streak.

    Many of those real photographs of lit screens show them whose codes are farthest off (looked at, not counted).
    """
    across, down = _places(x)
    light = torch.zeros_like(x)
    for share in (0.3, 0.15, 0.08):
        there = _four(draw.sometimes(share)[:, 0])
        right, below = across - _four(draw.uniform(0, 1, 1)), down - _four(draw.uniform(0, 1, 1))
        angle = _four(draw.uniform(0, math.pi, 1))
        long = torch.exp(_four(draw.uniform(0, 2.2, 1) * draw.sometimes(0.3)[:, 0]))
        along = (right * torch.cos(angle) + below * torch.sin(angle)) / long
        away = along**2 + (below * torch.cos(angle) - right * torch.sin(angle)) ** 2
        size = torch.exp(_four(draw.uniform(math.log(0.008), math.log(0.05), 1)))
        halo = size * _four(draw.uniform(2, 6, 1))
        core = _four(draw.uniform(0.4, 3, 1)) * torch.exp(-away / (2 * size**2))
        around = _four(draw.uniform(0, 0.6, 1)) * torch.exp(-away / (2 * halo**2))
        light = light + there * (core + around)
    return light


def _window(x: torch.Tensor, draw: Draw) -> torch.Tensor:
    """The reflection of a window with its bars, 0..1."""
    across, down = _places(x)
    half = [_four(draw.uniform(0.05, 0.25, 1)) for _ in range(2)]
    off = [
        (place - _four(draw.uniform(0, 1, 1)) + (other - 0.5) * _four(draw.normal(0.1, 1))) / size
        for place, other, size in ((across, down, half[0]), (down, across, half[1]))
    ]
    pane = (off[0].abs() < 1) & (off[1].abs() < 1)
    bars = (off[0].abs() < 0.06) | (off[1].abs() < 0.06)
    return (pane & ~bars).float()


def _in_the_way(x: torch.Tensor, draw: Draw, strength: torch.Tensor) -> torch.Tensor:
    """One head or two before the lower half of the screen, and light of the room over all of it."""
    across, down = _places(x)
    cx, cy = _four(draw.uniform(0, 1, 1)), _four(draw.uniform(0.6, 1.1, 1))
    size = _four(draw.uniform(0.05, 0.2, 1) * draw.sometimes(0.3)[:, 0]) * strength.clamp(max=1.5)
    beside = cx + size * _four(draw.uniform(-3, 3, 1) * draw.sometimes(0.5)[:, 0])
    for middle in (cx, beside):
        wide, high = (across - middle) / size.clamp(min=1e-3), (down - cy) / (1.5 * size.clamp(min=1e-3))
        x = torch.where((wide**2 + high**2 < 1) & (size > 0), _four(draw.uniform(0, 0.15, 1)), x)
    veil = _four(draw.uniform(0, 0.35, 1) * draw.sometimes(0.4)[:, 0]) * strength.clamp(max=2)
    return x * (1 - veil) + veil * _four(draw.uniform(0.1, 0.6, 1))


def _blur(x: torch.Tensor, draw: Draw, strength: torch.Tensor) -> torch.Tensor:
    """Defocus and motion: an elongated Gaussian of a random direction, its own for every picture."""
    radius = 5
    steps = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    angle = _four(draw.uniform(0, math.pi, 1))
    wide = _four(draw.uniform(0.3, 2.2, 1)) * strength.clamp(min=0.2)
    narrow = wide * _four(draw.uniform(0.3, 1, 1))
    along = u * torch.cos(angle) + v * torch.sin(angle)
    beside = v * torch.cos(angle) - u * torch.sin(angle)
    kernels = torch.exp(-0.5 * ((along / wide) ** 2 + (beside / narrow) ** 2))  # (N, 1, 2r + 1, 2r + 1)
    kernels = kernels / kernels.sum(dim=(2, 3), keepdim=True)
    n = len(x)
    padded = functional.pad(x, (radius,) * 4, mode="replicate")
    blurred = functional.conv2d(padded.view(1, n, *padded.shape[2:]), kernels, groups=n)
    return blurred.view_as(x)


def _moire(x: torch.Tensor, draw: Draw, strength: torch.Tensor) -> torch.Tensor:
    """Beat of the screen's grid with the sensor's: one or two plane waves, bent, stronger where it is bright."""
    across, down = _places(x)
    bend = _four(draw.normal(1.5, 1)) * across * down
    fringe = torch.zeros_like(x)
    for _ in range(2):
        u, v = _four(draw.normal(12, 1)), _four(draw.normal(12, 1))
        fringe = fringe + torch.sin(2 * math.pi * (across * u + down * v + bend + _four(draw.uniform(0, 1, 1))))
    return x * (1 + fringe * _four(draw.uniform(0, 0.12, 1) * draw.sometimes(0.5)[:, 0]) * strength)


def _exposure(x: torch.Tensor, draw: Draw, strength: torch.Tensor) -> torch.Tensor:
    """A bright screen in a dark room: what is brighter than the sensor can tell is white."""
    gain = 1 + _four(1.6 * draw.uniform(0, 1, 1) ** 2 * draw.sometimes(0.35)[:, 0]) * strength.clamp(max=1.5)
    return (x * gain).clamp(max=1)


def _noise(x: torch.Tensor, draw: Draw, strength: torch.Tensor) -> torch.Tensor:
    """Read noise and shot noise, which grows as the root of the light."""
    level = _four(draw.uniform(0, 0.06, 1)) * strength
    grain = torch.randn(x.shape, generator=draw.generator, device=x.device)
    return x + grain * level * (0.3 + x.clamp(0, 1).sqrt())


def _recompress(x: torch.Tensor, draw: Draw, strength: torch.Tensor) -> torch.Tensor:
    """8x8 block transform with coarse steps, as JPEG and H.264 do at a low bitrate."""
    n, _, height, width = x.shape
    k = torch.arange(8, device=x.device, dtype=x.dtype)
    basis = torch.cos(math.pi / 8 * (k.view(1, -1) + 0.5) * k.view(-1, 1)) * math.sqrt(2 / 8)
    basis = torch.cat([basis[:1] / math.sqrt(2), basis[1:]])  # (8, 8), orthonormal rows
    blocks = x.view(n, height // 8, 8, width // 8, 8).transpose(2, 3)  # (N, H / 8, W / 8, 8, 8)
    spectrum = basis @ blocks @ basis.T
    coarse = draw.uniform(0.005, 0.08, 1, 1, 1, 1) * strength.unsqueeze(4)
    quantum = coarse * (0.3 + (k.view(-1, 1) + k.view(1, -1)) / 7) + 1e-4
    coded = basis.T @ (torch.round(spectrum / quantum) * quantum) @ basis
    coded = coded.transpose(2, 3).reshape(n, 1, height, width)
    return torch.where(_four(draw.sometimes(0.4)) > 0, coded, x)


def _out_of_view(x: torch.Tensor, draw: Draw, strength: torch.Tensor) -> torch.Tensor:
    """Up to a third of the screen beyond one edge of the camera's picture, where rectification repeats that edge."""
    n, _, height, width = x.shape
    hidden = draw.uniform(0, 0.35, 1) * draw.sometimes(0.12)[:, :, 0] * strength.flatten(1).clamp(max=1.2)
    side = (draw.uniform(0, 4, 1)).floor()
    left, right, top, bottom = (torch.where(side == k, hidden, torch.zeros_like(hidden)) for k in range(4))
    columns = torch.arange(width, device=x.device).expand(n, width)
    rows = torch.arange(height, device=x.device).expand(n, height)
    columns = torch.minimum(torch.maximum(columns, (left * width).long()), ((1 - right) * width).long() - 1)
    rows = torch.minimum(torch.maximum(rows, (top * height).long()), ((1 - bottom) * height).long() - 1)
    return x[torch.arange(n, device=x.device).view(n, 1, 1), 0, rows.unsqueeze(2), columns.unsqueeze(1)].unsqueeze(1)
