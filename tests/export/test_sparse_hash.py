from dataclasses import replace

import pytest
import torch

from export.losses import LossWeights, sparse_hash_loss
from export.networks.sparse_hash import (
    SparseHashConfig,
    SparseHashNetwork,
    grown,
    local_contrast,
    normalise,
)

SMALL = SparseHashConfig(side=16, channels=(4, 4, 4, 8), features=16)


def test_shape_and_range() -> None:
    output = SparseHashNetwork(SMALL).eval()(torch.rand(3, 1, 16, 16))
    assert output.h.shape == output.v.shape == (3, 32)
    assert output.h.abs().max() < 1


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (1, 1, 16, 32)])
def test_exception_for_another_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="luma must be"):
        SparseHashNetwork(SMALL)(torch.zeros(shape))


def test_exception_for_a_side_that_cannot_be_pooled() -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        SparseHashConfig(side=50)


def test_exception_for_a_window_without_a_middle() -> None:
    with pytest.raises(ValueError, match="must be odd or 0"):
        SparseHashConfig(local_contrast=8)


def test_sizes_of_a_card_from_before_the_local_contrast_have_none() -> None:
    sizes = {"side": 16, "channels": [4, 4, 4, 8], "features": 16}
    assert SparseHashConfig.of_card(sizes) == SparseHashConfig(16, (4, 4, 4, 8), 16, local_contrast=0)
    assert SparseHashConfig.of_card({**sizes, "local_contrast": 5}).local_contrast == 5


def test_relaxed_code_has_the_sign_of_the_net_input_or_is_zero() -> None:
    output = SparseHashNetwork(SMALL).eval()(torch.rand(8, 1, 16, 16))
    agree = (torch.sign(output.h) == torch.sign(output.v)) | (output.h == 0)
    assert agree.all()


def test_gradient_reaches_every_parameter() -> None:
    network = SparseHashNetwork(SMALL).train()
    network(torch.rand(8, 1, 16, 16)).h.square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_brightness_and_contrast_do_not_matter() -> None:
    picture = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(normalise(picture), normalise(picture * 0.5 + 0.3), atol=0.1)
    assert normalise(torch.full((1, 1, 16, 16), 0.7)).abs().max() < 1e-4


def test_local_contrast_is_each_pixel_in_deviations_of_its_window() -> None:
    picture = torch.rand(1, 1, 20, 20, generator=torch.Generator().manual_seed(2))
    shown = local_contrast(picture, 5)
    centred = torch.zeros(5, 5)
    for row in range(5):  # around (7, 9), cell by cell
        for column in range(5):
            y, x = 5 + row, 7 + column
            centred[row, column] = picture[0, 0, y, x] - picture[0, 0, y - 2 : y + 3, x - 2 : x + 3].mean()
    wanted = centred[2, 2] / (centred.square().mean().sqrt() + 0.02)
    assert shown[0, 0, 7, 9].item() == pytest.approx(wanted.item(), abs=1e-4)
    assert local_contrast(torch.full((1, 1, 16, 16), 0.7), 13).abs().max() < 1e-4


def test_local_contrast_keeps_what_burnt_out_pictures_still_show() -> None:
    film = torch.nn.functional.interpolate(torch.rand(20, 1, 12, 12, generator=torch.Generator().manual_seed(4)), 64)
    burnt = 0.8 + 0.2 * film
    burnt[:, :, 40:, 20:44] = 0  # a head before the screen

    def likeness(one: torch.Tensor, other: torch.Tensor) -> float:
        return float(
            torch.nn.functional.cosine_similarity(one[..., :30, :].flatten(1), other[..., :30, :].flatten(1)).mean()
        )

    assert likeness(local_contrast(film, 13), local_contrast(burnt, 13)) > 0.9
    assert (
        likeness(local_contrast(film, 13), local_contrast(burnt, 13))
        > likeness(normalise(film), normalise(burnt)) + 0.2
    )


@pytest.mark.parametrize(
    "larger",
    [replace(SMALL, local_contrast=5), replace(SMALL, local_contrast=5, channels=(4, 6, 8, 12), features=24)],
    ids=["second input", "more units"],
)
def test_a_network_that_has_grown_codes_as_before_and_learns_with_what_is_new(larger: SparseHashConfig) -> None:
    torch.manual_seed(5)
    before = SparseHashNetwork(replace(SMALL, local_contrast=0))
    with torch.no_grad():
        before.train()(torch.rand(32, 1, 16, 16))  # batch statistics that are not those of a new network
    before.eval()
    after = grown(before, larger)
    pictures = torch.rand(4, 1, 16, 16)
    torch.testing.assert_close(after(pictures).v, before(pictures).v, rtol=1e-4, atol=1e-5)
    optimiser = torch.optim.SGD(after.train().parameters(), lr=0.01)
    for _ in range(2):  # the first step opens the way to the new units, the second reaches their weights
        optimiser.zero_grad()
        after(pictures).h.square().sum().backward()
        optimiser.step()
    gradients = {name: values.grad for name, values in after.named_parameters() if values.grad is not None}
    assert gradients["body.stages.0.weight"][:, 1].abs().sum() > 0
    if larger.features > SMALL.features:
        assert gradients["mix.1.weight"][SMALL.features : larger.features].abs().sum() > 0


@pytest.mark.parametrize(
    "other",
    [
        replace(SMALL, side=32),
        replace(SMALL, features=8),
        replace(SMALL, channels=(4, 4, 4, 4)),
        replace(SMALL, local_contrast=5),
    ],
)
def test_exception_for_a_network_that_does_not_fit(other: SparseHashConfig) -> None:
    with pytest.raises(ValueError, match="does not fit into"):
        grown(SparseHashNetwork(SMALL), other)


def test_loss_is_the_formula_on_a_hand_made_batch() -> None:
    # two moments; all bits of moment 0 are +1 and of moment 1 are -1, the camera flips one bit of moment 0
    h = torch.stack([torch.ones(32), -torch.ones(32)])
    camera = h.clone()
    camera[0, 0] = -1
    weights = LossWeights(margin=70, negatives=1.0, sparsity=0.01, hardest=1)
    loss = sparse_hash_loss(h, camera, ~torch.eye(2, dtype=torch.bool), weights)
    # alike: (2 + 0) / 2 = 1. apart, clean against camera: 70 - 64 = 6 (0 to 1) and 70 - 62 = 8 (1 to 0), mean 7;
    # clean against clean: 6. mean of both 6.5. sparsity: 32 + 32 = 64, times 0.01
    assert loss.item() == pytest.approx(1 + 6.5 + 0.64)


def test_loss_leaves_pairs_alone_that_need_not_be_told_apart() -> None:
    h = torch.zeros(2, 32)
    none = torch.zeros(2, 2, dtype=torch.bool)
    assert sparse_hash_loss(h, h, none, LossWeights(margin=70)).item() == 0
