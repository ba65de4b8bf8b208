import onnxruntime
import pytest
import torch
from torch import nn

from export.networks.competition import Lwta, Maxout

LAYERS = [Maxout(2), Maxout(3), Lwta(2), Lwta(3)]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.parametrize("size", [(), (5,), (4, 3)])
def test_shape(layer: nn.Module, size: tuple[int, ...]) -> None:
    x = torch.randn(2, 6, *size)
    channels = 6 // layer.pieces if isinstance(layer, Maxout) else 6
    assert layer(x).shape == (2, channels, *size)


@pytest.mark.parametrize("layer", [Maxout(4), Lwta(4)], ids=repr)
def test_exception_for_channels_that_do_not_divide(layer: nn.Module) -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        layer(torch.zeros(1, 6))


def test_maxout_takes_the_largest_piece() -> None:
    x = torch.tensor([[1.0, -2.0, 0.5, 3.0]])  # units 0 and 1: pieces (1, 0.5) and (-2, 3)
    assert Maxout(2)(x).tolist() == [[1.0, 3.0]]


def test_lwta_keeps_the_winner_in_its_place_and_the_first_of_equals() -> None:
    x = torch.tensor([[1.0, 2.0, 5.0, 5.0, -3.0, -1.0]])
    assert Lwta(2)(x).tolist() == [[0.0, 2.0, 5.0, 0.0, 0.0, -1.0]]  # a negative winner stays negative


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_gradient(layer: nn.Module) -> None:
    x = torch.randn(3, 6, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


def test_lwta_gives_gradient_to_the_winner_only() -> None:
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    Lwta(2)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.filterwarnings("ignore")
def test_onnx_parity(layer: nn.Module, tmp_path: object) -> None:
    x = torch.randn(2, 6, 4, 4)
    program = torch.onnx.export(layer, (x,), dynamo=True, opset_version=18, input_names=["x"], verbose=False)
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"x": x.numpy()})
    assert torch.equal(torch.from_numpy(output), layer(x))
