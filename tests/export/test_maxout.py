import pytest
import torch

from export.networks.maxout import Maxout
from tests.export.layers import onnx_output


@pytest.mark.parametrize("pieces", [2, 3])
@pytest.mark.parametrize("size", [(), (5,), (4, 3)])
def test_shape(pieces: int, size: tuple[int, ...]) -> None:
    assert Maxout(pieces)(torch.randn(2, 6, *size)).shape == (2, 6 // pieces, *size)


def test_exception_for_channels_that_do_not_divide() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        Maxout(4)(torch.zeros(1, 6))


def test_takes_the_largest_piece() -> None:
    x = torch.tensor([[1.0, -2.0, 0.5, 3.0]])  # units 0 and 1: pieces (1, 0.5) and (-2, 3)
    assert Maxout(2)(x).tolist() == [[1.0, 3.0]]


@pytest.mark.parametrize("pieces", [2, 3])
def test_gradient(pieces: int) -> None:
    x = torch.randn(3, 6, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(Maxout(pieces), (x,))


def test_the_first_of_equal_pieces_wins_the_gradient() -> None:
    x = torch.ones(1, 6, requires_grad=True)
    Maxout(3)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1, 1, 0, 0, 0, 0]]


@pytest.mark.parametrize("pieces", [2, 3])
def test_the_same_with_and_without_a_gradient(pieces: int) -> None:
    x = torch.randn(2, 6, 4, 4)
    assert torch.equal(Maxout(pieces)(x.clone().requires_grad_()), Maxout(pieces)(x))


@pytest.mark.parametrize("pieces", [2, 3])
def test_onnx_parity(pieces: int) -> None:
    x = torch.randn(2, 6, 4, 4)
    assert torch.equal(onnx_output(Maxout(pieces), x), Maxout(pieces)(x))
