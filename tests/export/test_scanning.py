"""Scanning in ONNX Runtime against torch."""

import pytest
import torch

from export.networks.dilated import DilatedMpcnn
from export.networks.mpcnn import Mpcnn, MpcnnConfig
from export.scanning import Scanner

POOLS_OF_2_AND_3 = "1x29x29-4C4-MP2-6C5-MP3-8N-3N"  # as the column for MNIST


@pytest.mark.parametrize("activation", ["tanh", "lwta"])
def test_parity_at_two_sizes(activation: str) -> None:
    torch.manual_seed(4)
    scan = DilatedMpcnn(Mpcnn(MpcnnConfig(POOLS_OF_2_AND_3, activation, dropout=0.5))).eval()
    scanner = Scanner(scan, torch.rand(1, 1, 40, 50), 29)
    for size in ((29, 29), (61, 44)):
        shown = torch.rand(1, 1, *size)
        with torch.no_grad():
            torch.testing.assert_close(scanner(shown), scan(shown), atol=1e-5, rtol=1e-5)
