"""Small max-pooling CNNs, and pictures for them to scan, drawn at random by hypothesis."""

import torch
from hypothesis import strategies as st

from export.networks.mpcnn import ACTIVATIONS, Mpcnn, MpcnnConfig


@st.composite
def networks(draw: st.DrawFn, activations: tuple[str, ...] = tuple(ACTIVATIONS)) -> Mpcnn:
    """Up to four layers of kernels 1 to 4 and poolings 2 and 3 in any order, then one to three full ones; for use."""
    side = draw(st.integers(1, 3))  # of the last maps; from there back to the window
    parts: list[str] = []
    for _ in range(draw(st.integers(0, 4))):
        if side <= 12 and draw(st.booleans()):
            size = draw(st.sampled_from([2, 3]))
            parts.insert(0, f"MP{size}")
            side *= size
        else:
            kernel = draw(st.integers(1, 4))
            parts.insert(0, f"{draw(st.sampled_from([2, 4]))}C{kernel}")
            side += kernel - 1
    full = draw(st.sampled_from(["4N-3N", "2N", "6N-2N-1N"]))
    notation = "-".join([f"{draw(st.integers(1, 2))}x{side}x{side}", *parts, full])
    torch.manual_seed(draw(st.integers(0, 99)))
    return Mpcnn(MpcnnConfig(notation, draw(st.sampled_from(activations)), dropout=0.25)).eval()


@st.composite
def pictures(draw: st.DrawFn, network: Mpcnn, most: int = 13) -> torch.Tensor:
    """float32 (N, C, H, W) in which the window fits, with room for up to `most` shifts, both ways on their own."""
    maps, side, _ = network.window
    height, width = side + draw(st.integers(0, most)), side + draw(st.integers(0, most))
    generator = torch.Generator().manual_seed(height * 100 + width)
    return torch.rand(draw(st.integers(1, 2)), maps, height, width, generator=generator) * 2 - 1


def gradients(scan: torch.nn.Module, network: Mpcnn, loss_of: torch.Tensor, shown: torch.Tensor) -> list[torch.Tensor]:
    """Gradient of the squared distance between the answers for `shown` and `loss_of`, for each weight."""
    loss = (scan(shown) - loss_of).square().sum()
    return list(torch.autograd.grad(loss, list(network.parameters())))
