"""The Sparse-Hash loss."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class LossWeights:
    """margin: M, in units of the L1 distance of relaxed codes (2 a bit). negatives: lambda. sparsity: alpha.

    hardest: how many of the nearest wrong moments of a batch each frame is pushed from.
    """

    margin: float = 24.0
    negatives: float = 1.0
    sparsity: float = 0.02
    hardest: int = 8


def sparse_hash_loss(
    h: torch.Tensor, h_camera: torch.Tensor, different: torch.Tensor, weights: LossWeights
) -> torch.Tensor:
    """L = s |h - h'|_1 + lambda (1 - s) max(0, M - |h - h'|_1) + alpha (|h|_1 + |h'|_1), mean over the batch.

    SGAICO 2014 talk, "Sparse-Hash model"; the pairs with s = 0 are each frame and its hardest wrong moments.

    h, h_camera: (N, 32) relaxed codes of the same N moments, clean and through the camera.
    different: bool (N, N), where clean i and camera j show moments that must be told apart.
    Returns a scalar.
    """
    distance = torch.cdist(h, h_camera, p=1)  # (N, N)
    clean_distance = torch.cdist(h, h, p=1)
    alike = distance.diagonal().mean()
    apart = (_hinge(distance, different, weights) + _hinge(clean_distance, different, weights)) / 2
    sparsity = h.abs().sum(dim=1).mean() + h_camera.abs().sum(dim=1).mean()
    return alike + weights.negatives * apart + weights.sparsity * sparsity


def _hinge(distance: torch.Tensor, different: torch.Tensor, weights: LossWeights) -> torch.Tensor:
    shortfall = torch.relu(weights.margin - distance) * different
    hardest = min(weights.hardest, distance.shape[1])
    return shortfall.topk(hardest, dim=1).values.mean()
