"""Frames changed so little that nobody sees it, so that a code or a label comes out otherwise.

Goodfellow, Shlens, Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015, section 4 (fast gradient sign
method, one step); Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018, section
2.1 (projected gradient descent, several steps from a random start). The attacker knows the network.
"""

# N frames, H and W their size in pixels, B = 32 bits

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from export.networks.rectify import Rectifier, luma
from export.networks.sparse_hash import SparseHashNetwork

REACH = 2.5  # steps together go so many times as far as the change may be large (Madry et al., section 5)
TOGETHER = 8  # frames that are changed together

Frames = npt.NDArray[np.uint8]  # (N, H, W, 3) RGB
Harm = Callable[[torch.Tensor], torch.Tensor]  # float frames (N, H, W, 3) in 0..255 -> what the attacker wants large


@dataclass(frozen=True)
class Attack:
    """grey_levels: largest change of a value, of 255. steps: of gradient ascent; 1 is the fast gradient sign method.

    0 steps change every value by as much at random, which is what an attack must be compared with.
    """

    grey_levels: float
    steps: int

    def change(self, frames: Frames, harm: Harm, seed: int = 0) -> Frames:
        """The frames changed and rounded to grey levels again; no value by more than `grey_levels`."""
        given = torch.from_numpy(frames).float()
        rng = torch.Generator().manual_seed(seed)
        if self.steps == 0:
            signs = torch.rand(given.shape, generator=rng).sub(0.5).sign()
            return self._rounded(given, signs * self.grey_levels)
        off = torch.zeros_like(given)
        if self.steps > 1:
            off = (torch.rand(given.shape, generator=rng) * 2 - 1) * self.grey_levels
        step = self.grey_levels * (REACH / self.steps if self.steps > 1 else 1.0)
        for _ in range(self.steps):
            changed = (given + off).clamp(0, 255).requires_grad_()
            (slope,) = torch.autograd.grad(harm(changed).sum(), changed)
            off = (off + step * slope.sign()).clamp(-self.grey_levels, self.grey_levels)
        return self._rounded(given, off)

    def _rounded(self, given: torch.Tensor, off: torch.Tensor) -> Frames:
        whole = off.abs().floor() * off.sign()  # towards 0, so that the change stays within what was promised
        return np.asarray((given + whole).clamp(0, 255).to(torch.uint8).numpy(), np.uint8)


def change_codes(attack: Attack, network: SparseHashNetwork, frames: Frames, seed: int = 0) -> Frames:
    """Frames of a film, the whole picture a screen, changed so that as many bits of their codes flip as can be."""
    parts = []
    rectifier = Rectifier(network.config.side, 2)
    for at in range(0, len(frames), TOGETHER):
        part = frames[at : at + TOGETHER]
        corners = _whole(part)
        with torch.no_grad():
            bits = network(rectifier(luma(torch.from_numpy(part)), corners)).v.sign()  # (N, B)

        def harm(changed: torch.Tensor, bits: torch.Tensor = bits, corners: torch.Tensor = corners) -> torch.Tensor:
            v = network(rectifier(luma(changed), corners)).v
            harmed: torch.Tensor = -(v * bits).clamp(min=-1).sum(dim=1)  # a bit that has flipped is done with
            return harmed

        parts.append(attack.change(part, harm, seed + at))
    return np.concatenate(parts)


def change_labels(attack: Attack, logits: Harm, frames: Frames, told: npt.NDArray[np.int64], seed: int = 0) -> Frames:
    """Pictures changed so that a label is told no more. told: (N,), which of the labels. logits: (N, ...) -> (N, L)."""
    parts = []
    for at in range(0, len(frames), TOGETHER):
        chosen = torch.from_numpy(told[at : at + TOGETHER])

        def harm(changed: torch.Tensor, chosen: torch.Tensor = chosen) -> torch.Tensor:
            return -logits(changed).gather(1, chosen.unsqueeze(1)).squeeze(1)

        parts.append(attack.change(frames[at : at + TOGETHER], harm, seed + at))
    return np.concatenate(parts)


def _whole(frames: Frames) -> torch.Tensor:
    height, width = frames.shape[1:3]
    corners = torch.tensor([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
    return corners.expand(len(frames), 4, 2)
