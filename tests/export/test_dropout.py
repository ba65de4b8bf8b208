import pytest
import torch

from export.networks.dropout import BinomialDropout
from tests.export.layers import onnx_output


@pytest.mark.parametrize("whole_maps", [False, True])
@pytest.mark.parametrize("size", [(6,), (6, 4, 3)])
def test_shape(whole_maps: bool, size: tuple[int, ...]) -> None:
    assert BinomialDropout(0.5, whole_maps=whole_maps)(torch.randn(2, *size)).shape == (2, *size)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_exception_for_a_share_that_is_none(share: float) -> None:
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\)"):
        BinomialDropout(share)


def test_training_drops_a_share_and_leaves_the_rest_as_it_is() -> None:
    torch.manual_seed(0)
    dropped = BinomialDropout(0.3).train()(torch.full((100, 100), 7.0))
    assert set(dropped.unique().tolist()) == {0.0, 7.0}
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)  # 0.005 is one deviation


def test_testing_scales_so_that_the_mean_is_that_of_training() -> None:
    torch.manual_seed(0)
    x, layer = torch.rand(50), BinomialDropout(0.5)
    mean = torch.stack([layer.train()(x) for _ in range(4000)]).mean(dim=0)
    assert torch.allclose(layer.eval()(x), mean, atol=0.05)
    assert torch.equal(layer(x), x * 0.5)


def test_whole_maps_go_or_stay() -> None:
    torch.manual_seed(0)
    maps = BinomialDropout(0.5, whole_maps=True).train()(torch.ones(20, 10, 4, 4)).flatten(2).mean(dim=2)
    assert set(maps.unique().tolist()) == {0.0, 1.0}


def test_gradient_is_the_mask() -> None:
    torch.manual_seed(0)
    x = torch.ones(200, requires_grad=True)
    y = BinomialDropout(0.5).train()(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


def test_onnx_parity() -> None:
    x = torch.randn(2, 6)
    assert torch.equal(onnx_output(BinomialDropout(0.4).eval(), x), BinomialDropout(0.4).eval()(x))
