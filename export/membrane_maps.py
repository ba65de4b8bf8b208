"""How likely each pixel of a slice is of a membrane, said by one network or a committee.

Ciresan et al., NIPS 2012, section 2: outputs are calibrated, and averaged over networks and over the rotations and
mirrors of the picture. Networks learn from as many pixels of membranes as of cells; here the share that membranes
really have is put back by Bayes' rule, where the paper fits a cubic.
"""

# N slices, H and W their size in pixels

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch

from export.membrane_training import as_input, turned, with_surroundings
from export.membranes import Grey
from export.networks.dilated import DilatedMpcnn
from export.networks.mpcnn import Mpcnn
from export.scanning import Scanner

WAYS = 8  # rotations by right angles and mirrors
SMOOTH = 3.0  # deviation of the Gaussian in pixels, of 1 to 4 the best on the slices that are trained on
SPECKS = 5  # side of the median filter in pixels; none, 7 and 9 did worse on slices that are trained on

Maps = npt.NDArray[np.float32]


class MembraneScanner:
    """A network ready to scan slices. share: of the pixels that are of a membrane, in what it learned from."""

    def __init__(self, network: Mpcnn, share: float) -> None:
        self._window = network.window[1]
        self._odds = float(np.log(share / (1 - share)))
        example = torch.zeros(1, 1, 2 * self._window, 2 * self._window + 1)
        self._scanner = Scanner(DilatedMpcnn(network.eval()), example, self._window)

    def __call__(self, picture: torch.Tensor) -> torch.Tensor:
        """A slice as `as_input` makes it, (1, H, W) -> likelihood of a membrane, (H, W)."""
        cell, membrane = self._scanner(with_surroundings(picture.unsqueeze(0), self._window))[0]
        return torch.sigmoid(membrane - cell + self._odds)


def membrane_maps(scanners: Sequence[MembraneScanner], pictures: Grey, ways: int = WAYS) -> Maps:
    """uint8 (N, H, W) -> float32 (N, H, W), 0..1: the mean over networks and the first `ways` turns."""
    maps = [
        torch.stack([turned_back(scan(turned(piece, way)), way) for scan in scanners for way in range(ways)]).mean(
            dim=0
        )
        for piece in as_input(pictures)
    ]
    found: Maps = torch.stack(maps).numpy()
    return found


def turned_back(pictures: torch.Tensor, way: int) -> torch.Tensor:
    """Undoes `turned`."""
    back = pictures.rot90(-(way % 4), (-2, -1))
    return back.flip(-1) if way >= 4 else back


def without_specks(maps: Maps) -> Maps:
    """Maps (N, H, W), each pixel the median of 5x5: specks would be cells, and short gaps would join cells."""
    return np.stack([np.asarray(cv2.medianBlur(one, SPECKS), np.float32) for one in maps])


def darkness(pictures: Grey) -> Maps:
    """What is told without learning: how dark smoothed pictures are. uint8 (N, H, W) -> float32 (N, H, W), 0..1."""
    smooth = np.stack([cv2.GaussianBlur(picture, (0, 0), SMOOTH) for picture in pictures])
    return (1 - smooth / 255).astype(np.float32)
