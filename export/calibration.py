"""Calibration on films that training never saw: margins that are log-odds, and the quality of the codes."""

# P moments, B bits

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from export.camera import Camera
from export.data import Moments
from export.networks.rectify import Rectifier
from export.networks.sparse_hash import SparseHashNetwork
from pipeline.codes import CODE_BITS, pack_bits
from pipeline.probing import probe_codes

CALIBRATION_STRENGTH = 0.9  # of the camera: a careless recording
BATCH = 250
STRANGERS = 1_000_000  # pairs of moments that are drawn to see how far unrelated codes are apart


@dataclass(frozen=True)
class Calibration:
    """slope, offset: float (B,): margin = offset + slope * |net input| is the log-odds that the bit survives."""

    slope: torch.Tensor
    offset: torch.Tensor


@dataclass(frozen=True)
class PairCodes:
    """Net inputs of the same moments: clean (P, B), and through the camera (P, B)."""

    clean: npt.NDArray[np.float32]
    camera: npt.NDArray[np.float32]


def net_inputs(network: SparseHashNetwork, moments: Moments, strength: float, seed: int) -> PairCodes:
    """Codes every moment clean and through a camera of this strength."""
    generator = torch.Generator().manual_seed(seed)
    camera, rectifier = Camera(network.config.side, strength), Rectifier(network.config.side, 2)
    clean, shown = [], []
    network.eval()
    with torch.no_grad():
        for start in range(0, len(moments), BATCH):
            pictures = torch.from_numpy(moments.thumbs[start : start + BATCH]).float().unsqueeze(1) / 255
            height, width = pictures.shape[2:]
            corners = torch.tensor([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
            clean.append(network(rectifier(pictures, corners.expand(len(pictures), 4, 2))).v)
            shown.append(network(camera.photograph(pictures, generator)).v)
    return PairCodes(torch.cat(clean).numpy(), torch.cat(shown).numpy())


def calibrate_margins(pairs: PairCodes) -> Calibration:
    """Logistic regression a bit: does the bit survive, given how far its net input is from 0."""
    survived = torch.from_numpy((pairs.clean > 0) == (pairs.camera > 0)).double()
    distance = torch.from_numpy(np.abs(pairs.camera)).double()
    slope = torch.full((survived.shape[1],), 3.0, dtype=torch.double, requires_grad=True)
    offset = torch.zeros_like(slope, requires_grad=True)
    optimizer = torch.optim.LBFGS([slope, offset], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        odds = slope * distance + offset
        loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, survived)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return Calibration(slope.detach().float(), offset.detach().float())


def pack(v: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Net inputs (P, B) -> codes uint32 (P,), as the graph packs them."""
    return pack_bits(v > 0)


def code_quality(
    pairs: PairCodes, films: npt.NDArray[np.int64], probes: tuple[int, ...] = (1, 16, 64, 512)
) -> dict[str, Any]:
    """What the card says of the codes: balance, density, flips, and hits against probes beside Hamming radii.

    films: int64 (P,), the film of each moment. Effective bits are Daugman's degrees of freedom of the distances
    between moments of different films, p (1 - p) / s^2 ("The importance of being random", Pattern Recognition 2003).
    """
    clean, camera = pack(pairs.clean), pack(pairs.camera)
    ones = (pairs.clean > 0).mean(axis=0)
    entropy = -(ones * np.log2(ones + 1e-12) + (1 - ones) * np.log2(1 - ones + 1e-12))
    flips = np.bitwise_count(clean ^ camera)
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, len(clean), (2, STRANGERS))
    strangers = np.bitwise_count(clean[one] ^ clean[other])[films[one] != films[other]] / CODE_BITS
    spread = float(strangers.var()) if len(strangers) else 0.0
    hits = {
        f"hits_{n}_probes": float((probe_codes(camera, np.abs(pairs.camera), n) == clean[:, None]).any(axis=1).mean())
        for n in probes
    }
    radii = {f"hits_radius_{r}": float((flips <= r).mean()) for r in (0, 1, 2)}
    return {
        "bit_entropy": entropy.round(3).tolist(),
        "bit_entropy_mean": float(entropy.mean()),
        "bit_entropy_least": float(entropy.min()),
        "effective_bits": float(strangers.mean() * (1 - strangers.mean())) / spread if spread else None,
        "distinct_codes": len(np.unique(clean)) / len(clean),
        "ones_mean": float(ones.mean()),
        "flips_mean": float(flips.mean()),
        **hits,
        **radii,
    }
