import pytest
import torch

from export.networks.lwta import Lwta, winners
from tests.export.layers import onnx_output


@pytest.mark.parametrize("block", [2, 3])
@pytest.mark.parametrize("size", [(), (5,), (4, 3)])
def test_shape(block: int, size: tuple[int, ...]) -> None:
    assert Lwta(block)(torch.randn(2, 6, *size)).shape == (2, 6, *size)


def test_exception_for_channels_that_do_not_divide() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        Lwta(4)(torch.zeros(1, 6))


def test_keeps_the_winner_in_its_place_and_the_first_of_equals() -> None:
    x = torch.tensor([[1.0, 2.0, 5.0, 5.0, -3.0, -1.0]])
    assert Lwta(2)(x).tolist() == [[0.0, 2.0, 5.0, 0.0, 0.0, -1.0]]  # a negative winner stays negative


@pytest.mark.parametrize("block", [2, 3, 4])
def test_one_unit_of_each_block_wins_even_among_zeros(block: int) -> None:
    x = torch.randn(7, 12, 3).round()  # many ties
    x[0] = 0
    won = winners(x, block)
    assert won.dtype == torch.bool
    assert torch.equal(
        won.reshape(7, 12 // block, block, 3).sum(dim=2), torch.ones(7, 12 // block, 3, dtype=torch.int64)
    )


@pytest.mark.parametrize("block", [2, 3])
def test_gradient(block: int) -> None:
    x = torch.randn(3, 6, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(Lwta(block), (x,))


def test_gradient_goes_to_the_winner_only() -> None:
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    Lwta(2)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("block", [2, 3])
def test_onnx_parity(block: int) -> None:
    x = torch.randn(2, 6, 4, 4)
    assert torch.equal(onnx_output(Lwta(block), x), Lwta(block)(x))
