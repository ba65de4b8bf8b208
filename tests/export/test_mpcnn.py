import math

import pytest
import torch
from torch import nn

from export.networks.dropout import BinomialDropout
from export.networks.mpcnn import (
    ACTIVATIONS,
    MNIST,
    N3,
    N4,
    TRAFFIC_SIGNS,
    Convolution,
    Full,
    Mpcnn,
    MpcnnConfig,
    Pooling,
    parse,
)

SMALL = "2x10x10-4C3-MP2-6C2-4N-3N"  # sides 10, 8, 4, 3


def test_notation_is_read_layer_by_layer() -> None:
    plan = parse(MNIST)
    assert (plan.maps, plan.side, plan.step) == (1, 29, 6)
    assert plan.layers == (Convolution(20, 4), Pooling(2), Convolution(40, 5), Pooling(3), Full(150), Full(10))


@pytest.mark.parametrize(
    ("notation", "parameters"),
    [
        (MNIST, 76_040),  # 20 (16 + 1) + 40 (20 25 + 1) + 150 (40 9 + 1) + 10 (150 + 1)
        (TRAFFIC_SIGNS, 1_543_443),
        (N4, 219_290),
        (N3, 335_978),  # 48 (16 + 1) + 48 (48 16 + 1) + 48 (48 25 + 1) + 200 (48 25 + 1) + 2 (200 + 1)
    ],
)
def test_parameters_of_the_papers_networks(notation: str, parameters: int) -> None:
    assert sum(weights.numel() for weights in Mpcnn(MpcnnConfig(notation)).parameters()) == parameters


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ("", "square window"),
        ("1x29x28-10N", "square window"),
        ("29x29-10N", "square window"),
        ("1x0x0-10N", "square window"),
        ("1x29x29", "must end"),
        ("1x29x29-20C4-MP2", "must end"),
        ("1x29x29-10N-20C4", "must end"),
        ("1x29x29-20C-10N", "'20C' in .* is none of"),
        ("1x29x29--10N", "'' in .* is none of"),
        ("1x29x29-MP0-10N", "'MP0' in .* is none of"),
        ("1x29x29-20D4-10N", "'20D4' in .* is none of"),
        ("1x29x29-20C30-10N", "kernel 30 on a map of side 29"),
        ("1x29x29-20C4-MP3-10N", "pooling 3 on a map of side 26"),
    ],
)
def test_exception_for_a_notation_that_makes_no_network(notation: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MpcnnConfig(notation)


def test_exception_for_an_activation() -> None:
    with pytest.raises(ValueError, match="one of tanh, relu, maxout, lwta, got 'sine'"):
        MpcnnConfig(MNIST, "sine")
    with pytest.raises(ValueError, match="even numbers"):
        MpcnnConfig("1x4x4-3C1-2N", "lwta")
    MpcnnConfig("1x4x4-4C1-3N", "lwta")  # the outputs do not compete


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_shape(activation: str) -> None:
    network = Mpcnn(MpcnnConfig(SMALL, activation, dropout=0.5))
    assert network(torch.randn(5, 2, 10, 10)).shape == (5, 3)
    with pytest.raises(ValueError, match=r"must be \(N, 2, 10, 10\)"):
        network(torch.randn(5, 2, 10, 11))


def test_values_by_hand() -> None:
    network = Mpcnn(MpcnnConfig("1x3x3-1C2-MP2-1N", "tanh"))
    for weights, value in zip(network.parameters(), (0.25, 0.5, 2.0, 1.0), strict=True):
        nn.init.constant_(weights, value)
    # sums of the four 2x2 squares: 12, 16, 24, 28; of the largest: 28 / 4 + 0.5 = 7.5
    patch = torch.arange(1.0, 10).view(1, 1, 3, 3)
    assert network(patch).item() == pytest.approx(2 * 1.7159 * math.tanh(0.6666 * 7.5) + 1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_values_keep_their_size_on_the_way(activation: str) -> None:
    torch.manual_seed(3)
    network = Mpcnn(MpcnnConfig(N4, activation))
    with torch.no_grad():
        last = network.stages(torch.randn(4, 1, 95, 95))
    size = float(last.square().mean().sqrt())
    assert 0.5 < size < 4  # after four stages


def test_dropout_comes_before_each_full_layer_only() -> None:
    network = Mpcnn(MpcnnConfig(SMALL, dropout=0.5))
    assert not any(isinstance(layer, BinomialDropout) for layer in network.stages)
    kinds = [type(layer).__name__ for layer in network.full]
    assert kinds == ["BinomialDropout", "Linear", "ScaledTanh", "BinomialDropout", "Linear"]
    patches = torch.randn(2, 2, 10, 10)
    assert not torch.equal(network(patches), network(patches))
    network.eval()
    assert torch.equal(network(patches), network(patches))


@pytest.mark.parametrize("activation", ["tanh", "maxout", "lwta"])
def test_gradient(activation: str) -> None:
    torch.manual_seed(1)
    network = Mpcnn(MpcnnConfig("1x5x5-2C2-MP2-2N-1N", activation)).double()
    patches = torch.randn(3, 1, 5, 5, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(network, (patches,))
