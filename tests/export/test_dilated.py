"""What the dilated form is made of; against single patches: `test_one_pass`; in ONNX Runtime: `test_scanning`."""

import torch

from export.networks.dilated import dilated_pool


def test_pool_by_hand() -> None:
    x = torch.tensor([[1.0, 9, 2, 3, 4], [5, 0, 6, 0, 0], [7, 0, 0, 8, 1]]).view(1, 1, 3, 5)
    # cells 2 apart, both ways: the larger of 1, 2, 7, 0; of 9, 3, 0, 8; of 2, 4, 0, 1
    assert dilated_pool(x, 2, 2).flatten().tolist() == [7, 9, 4]
