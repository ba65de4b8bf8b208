"""Whole pictures in one pass, as fragments and in the dilated form, against every patch by itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from export.networks.dilated import DilatedMpcnn
from export.networks.fragments import FragmentedMpcnn
from export.networks.mpcnn import Mpcnn, MpcnnConfig
from export.networks.sliding_window import SlidingWindow
from tests.mpcnn_samples import gradients, networks, pictures

Form = type[DilatedMpcnn] | type[FragmentedMpcnn]
FORMS: list[Form] = [DilatedMpcnn, FragmentedMpcnn]
POOLS_OF_2_AND_3 = "1x29x29-4C4-MP2-6C5-MP3-8N-3N"  # as the column for MNIST

pytestmark = pytest.mark.parametrize("form", FORMS)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_pass_answers_every_patch_as_if_it_were_alone(form: Form, data: st.DataObject) -> None:
    network = data.draw(networks())
    shown = data.draw(pictures(network))
    with torch.no_grad():
        torch.testing.assert_close(form(network)(shown), SlidingWindow(network)(shown), atol=1e-5, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_gradient_is_the_sum_of_the_patches(form: Form, data: st.DataObject) -> None:
    network = data.draw(networks(("tanh", "maxout")))
    shown = data.draw(pictures(network, most=7))
    wanted = torch.ones(())
    whole = gradients(form(network), network, wanted, shown)
    for of_whole, of_patches in zip(whole, gradients(SlidingWindow(network), network, wanted, shown), strict=True):
        torch.testing.assert_close(of_whole, of_patches, atol=1e-4, rtol=1e-4)


def test_gradient_of_the_picture(form: Form) -> None:
    torch.manual_seed(2)
    network = Mpcnn(MpcnnConfig("1x6x6-2C3-MP2-2N-1N")).double()
    shown = torch.randn(1, 1, 8, 9, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(form(network), (shown,))


def test_weights_are_the_networks_own(form: Form) -> None:
    network = Mpcnn(MpcnnConfig(POOLS_OF_2_AND_3))
    scan: nn.Module = form(network)
    assert {f"network.{name}" for name in network.state_dict()} == set(scan.state_dict())
    shown = torch.rand(1, 1, 29, 29)
    before = scan(shown)
    torch.nn.init.zeros_(next(network.parameters()))
    assert not torch.equal(scan(shown), before)


def test_exception_where_the_window_does_not_fit(form: Form) -> None:
    with pytest.raises(ValueError, match="pictures must be"):
        form(Mpcnn(MpcnnConfig("1x6x6-2N")))(torch.zeros(1, 1, 5, 6))
