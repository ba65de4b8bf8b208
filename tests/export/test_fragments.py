"""What fragments are made of and put together by; against single patches: `test_one_pass`."""

import pytest
import torch

from export.networks.fragments import interleave, shifted_pools


def test_pools_at_every_shift_by_hand() -> None:
    x = torch.arange(12.0).view(1, 1, 3, 4)  # rows 0..3, 4..7, 8..11
    found = [pool.flatten().tolist() for pool in shifted_pools(x, 2)]
    # 1 row of 2 squares; shifted right the second holds the last column and what is beyond
    assert found == [[5, 7], [6, 7], [9, 11], [10, 11]]


@pytest.mark.parametrize("sizes", [[], [2], [3], [2, 3], [3, 2], [2, 2, 2]])
def test_fragments_are_put_in_order(sizes: list[int]) -> None:
    step = 1
    fragments = torch.arange(2.0 * 24 * 48).view(1, 2, 24, 48)
    whole = fragments.clone()
    for size in sizes:  # taken apart by shifts, as poolings do, the first pooling first
        parts = [fragments[:, :, down::size, right::size] for down in range(size) for right in range(size)]
        fragments = torch.cat(parts)
        step *= size
    assert fragments.shape == (step**2, 2, 24 // step, 48 // step)
    assert torch.equal(interleave(fragments, sizes), whole)
