"""The dense max-pooling CNN against the same net applied to every patch by itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from export.networks.dense import DenseConfig, DenseMaxPoolingCnn
from tests.dense_patches import before, patch_by_patch

CONFIGS = [
    DenseConfig(channels=(2, 3, 4), strided=1, pooled=2),
    DenseConfig(channels=(2, 3, 4), strided=0, pooled=2),
    DenseConfig(channels=(2, 3, 4), strided=2, pooled=2),  # nothing is dilated but the last convolution
    DenseConfig(channels=(2, 2, 3, 4), strided=1, pooled=3),
]


def network(config: DenseConfig) -> DenseMaxPoolingCnn:
    """Ready for use, with batch statistics and scales drawn at random."""
    torch.manual_seed(7)
    made = DenseMaxPoolingCnn(config).eval()
    for layer in made.stages:
        if isinstance(layer, nn.BatchNorm2d):
            for values in (layer.weight, layer.bias, layer.running_mean):
                assert values is not None
                nn.init.uniform_(values, -1, 1)
            assert layer.running_var is not None
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return made


def cells_inside(config: DenseConfig, side: int) -> range:
    """Cells whose patch is wholly inside a picture with `side` pixels."""
    stride, back = config.stride, before(config)
    return range(-(-back // stride), (side - config.field + back) // stride + 1)


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_one_pass_answers_every_patch_as_if_it_were_alone(config: DenseConfig, data: st.DataObject) -> None:
    sides = st.integers(config.field + config.stride - 1, config.field + 23)  # room for at least one patch
    height, width = data.draw(sides), data.draw(sides)
    made = network(config)
    picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height * 100 + width)) * 2 - 1
    rows, columns = cells_inside(config, height), cells_inside(config, width)
    assert len(rows) * len(columns) > 0
    back, stride, field = before(config), config.stride, config.field
    corners = [(stride * i - back, stride * j - back) for i in rows for j in columns]
    patches = torch.cat([picture[:, :, y : y + field, x : x + field] for y, x in corners])
    with torch.no_grad():
        alone = patch_by_patch(made, patches)
        features = made(picture)
    assert features.shape == (1, config.channels[-1], height // stride, width // stride)
    dense = features[0, :, rows.start : rows.stop, columns.start : columns.stop].flatten(1).T
    torch.testing.assert_close(dense, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_field_is_exact(config: DenseConfig) -> None:
    made, field, stride = network(config), config.field, config.stride
    cell = cells_inside(config, 2 * field)[2]
    first = stride * cell - before(config)
    last = first + field - 1
    picture = torch.rand(1, 3, 2 * field, 2 * field)

    def answer(changed: int | None, axis: int, value: float = 0.0) -> torch.Tensor:
        """What the cell says when one row (axis 2) or column (axis 3) of the picture is painted over."""
        shown = picture.clone()
        if changed is not None:
            shown.select(axis, changed).fill_(value)
        with torch.no_grad():
            features: torch.Tensor = made(shown)
        return features[0, :, cell, cell]

    plain = answer(None, 2)
    for axis in (2, 3):
        for outside in (first - 1, last + 1):
            assert torch.equal(answer(outside, axis, 50.0), plain)
        for inside in (first, last):
            assert any(not torch.equal(answer(inside, axis, value), plain) for value in (50.0, -50.0))


def test_patch_of_the_default_size() -> None:
    # convolutions reach 2 (1 + 2 + 4 + 8 + 16 + 32 + 32) = 190 pixels on, poolings 1 + 2 + 4 + 8 + 16 = 31
    assert DenseConfig().field == 222
    assert DenseConfig().stride == 4
