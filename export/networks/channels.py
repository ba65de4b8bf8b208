"""What the competing units share: their channels come in groups of one size."""

import torch


def check_multiple(x: torch.Tensor, size: int) -> None:
    """Raises ValueError unless the channels of x, (N, C, ...), are a multiple of size."""
    if x.shape[1] % size:
        raise ValueError(f"channels must be a multiple of {size}, got {x.shape = }")
