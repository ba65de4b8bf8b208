"""Max-pooling fragments against the network applied to every patch by itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.networks.fragments import FragmentedMpcnn, interleave, shifted_pools
from export.networks.mpcnn import Mpcnn, MpcnnConfig
from export.networks.sliding_window import SlidingWindow
from tests.mpcnn_samples import gradients, networks, pictures


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_pass_answers_every_patch_as_if_it_were_alone(data: st.DataObject) -> None:
    network = data.draw(networks())
    shown = data.draw(pictures(network))
    with torch.no_grad():
        torch.testing.assert_close(FragmentedMpcnn(network)(shown), SlidingWindow(network)(shown), atol=1e-5, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_gradient_is_the_sum_of_the_patches(data: st.DataObject) -> None:
    network = data.draw(networks(("tanh", "maxout")))
    shown = data.draw(pictures(network, most=7))
    wanted = torch.ones(())
    whole = gradients(FragmentedMpcnn(network), network, wanted, shown)
    for of_whole, of_patches in zip(whole, gradients(SlidingWindow(network), network, wanted, shown), strict=True):
        torch.testing.assert_close(of_whole, of_patches, atol=1e-4, rtol=1e-4)


def test_gradient_of_the_picture() -> None:
    torch.manual_seed(2)
    network = Mpcnn(MpcnnConfig("1x6x6-2C3-MP2-2N-1N")).double()
    shown = torch.randn(1, 1, 8, 9, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(FragmentedMpcnn(network), (shown,))


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


def test_exception_where_the_window_does_not_fit() -> None:
    with pytest.raises(ValueError, match="pictures must be"):
        FragmentedMpcnn(Mpcnn(MpcnnConfig("1x6x6-2N")))(torch.zeros(1, 1, 5, 6))
