"""The classifier's network: shapes, competition, gradients, ONNX, and what it refuses."""

import pytest
import torch

from export.networks.classifier import COMPETITIONS, ClassifierConfig, ClassifierNetwork
from tests.export.layers import onnx_output


def network(competition: str = "maxout", side: int = 0, features: int = 0) -> ClassifierNetwork:
    torch.manual_seed(0)
    config = ClassifierConfig(3, ((4,), (6, 6)), 5, competition, side=side, features=features)
    made = ClassifierNetwork(config).train()
    with torch.no_grad():
        for _ in range(10):  # batch statistics that are not those of its making
            made(torch.rand(8, 3, side or 16, side or 16))
    return made.eval()


@pytest.mark.parametrize("competition", COMPETITIONS)
@pytest.mark.parametrize(("side", "features"), [(0, 0), (16, 0), (16, 8), (0, 8)])
def test_shapes(competition: str, side: int, features: int) -> None:
    made = network(competition, side, features)
    said = made.classify(torch.rand(2, 3, 16, 16))
    assert said.outputs.shape == (2, 5)
    assert torch.equal(
        made(torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))).isnan(),
        torch.zeros(2, 5, dtype=torch.bool),
    )
    units = {"maxout": 2 * features, "lwta": features, "relu": features}[competition]
    assert said.net_inputs.shape == (2, units or (6 * 16 if side else 6))


def test_any_size_without_a_side_and_only_that_one_with_it() -> None:
    assert network()(torch.rand(1, 3, 24, 40)).shape == (1, 5)
    with pytest.raises(ValueError, match=r"\(N, 3, 16, 16\)"):
        network(side=16)(torch.rand(1, 3, 24, 24))
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        network()(torch.rand(1, 1, 24, 24))


def test_configurations_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="competition"):
        ClassifierConfig(3, ((4,),), 5, "sigmoid")
    with pytest.raises(ValueError, match="at least 8"):
        ClassifierConfig(3, ((4,), (4,), (4,)), 5, side=7)


def test_brightness_and_contrast_do_not_matter() -> None:
    pictures = torch.rand(4, 3, 16, 16) * 0.5
    assert torch.allclose(network()(pictures), network()(pictures * 1.6 + 0.1), atol=0.1)


def test_gradients_reach_every_weight() -> None:
    made = network(features=8).train()
    made(torch.rand(8, 3, 16, 16)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in made.parameters())


@pytest.mark.parametrize("competition", COMPETITIONS)
def test_onnx_parity(competition: str) -> None:
    pictures = torch.rand(2, 3, 16, 16)
    made = network(competition, features=8)
    assert torch.allclose(onnx_output(made, pictures), made(pictures), atol=1e-5)


def test_its_configuration_comes_back_from_a_checkpoint() -> None:
    stored = {
        "maps": 3, "stages": [[4], [6, 6]], "outputs": 5, "competition": "lwta", "side": 0, "features": 8,
        "dropout": 0.5,
    }  # fmt: skip
    assert ClassifierConfig.of(stored) == ClassifierConfig(3, ((4,), (6, 6)), 5, "lwta", features=8)
