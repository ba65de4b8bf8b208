"""The dilated form against the network applied to every patch by itself; in ONNX Runtime: `test_scanning`."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.networks.dilated import DilatedMpcnn, dilated_pool
from export.networks.mpcnn import Mpcnn, MpcnnConfig
from export.networks.sliding_window import SlidingWindow
from tests.mpcnn_samples import gradients, networks, pictures

POOLS_OF_2_AND_3 = "1x29x29-4C4-MP2-6C5-MP3-8N-3N"  # as the column for MNIST


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_pass_answers_every_patch_as_if_it_were_alone(data: st.DataObject) -> None:
    network = data.draw(networks())
    shown = data.draw(pictures(network))
    with torch.no_grad():
        torch.testing.assert_close(DilatedMpcnn(network)(shown), SlidingWindow(network)(shown), atol=1e-5, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_gradient_is_the_sum_of_the_patches(data: st.DataObject) -> None:
    network = data.draw(networks(("tanh", "maxout")))
    shown = data.draw(pictures(network, most=7))
    wanted = torch.ones(())
    whole = gradients(DilatedMpcnn(network), network, wanted, shown)
    for of_whole, of_patches in zip(whole, gradients(SlidingWindow(network), network, wanted, shown), strict=True):
        torch.testing.assert_close(of_whole, of_patches, atol=1e-4, rtol=1e-4)


def test_gradient_of_the_picture() -> None:
    torch.manual_seed(2)
    network = Mpcnn(MpcnnConfig("1x6x6-2C3-MP2-2N-1N")).double()
    shown = torch.randn(1, 1, 8, 9, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(DilatedMpcnn(network), (shown,))


def test_pool_by_hand() -> None:
    x = torch.tensor([[1.0, 9, 2, 3, 4], [5, 0, 6, 0, 0], [7, 0, 0, 8, 1]]).view(1, 1, 3, 5)
    # cells 2 apart, both ways: the larger of 1, 2, 7, 0; of 9, 3, 0, 8; of 2, 4, 0, 1
    assert dilated_pool(x, 2, 2).flatten().tolist() == [7, 9, 4]


def test_weights_are_the_networks_own() -> None:
    network = Mpcnn(MpcnnConfig(POOLS_OF_2_AND_3))
    scan = DilatedMpcnn(network)
    assert {f"network.{name}" for name in network.state_dict()} == set(scan.state_dict())
    shown = torch.rand(1, 1, 29, 29)
    before = scan(shown)
    torch.nn.init.zeros_(next(network.parameters()))
    assert not torch.equal(scan(shown), before)


def test_exception_where_the_window_does_not_fit() -> None:
    with pytest.raises(ValueError, match="pictures must be"):
        DilatedMpcnn(Mpcnn(MpcnnConfig("1x6x6-2N")))(torch.zeros(1, 1, 5, 6))
