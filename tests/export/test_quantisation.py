"""Convolutions in 8-bit numbers: which ones, and that they say what the others say."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.bundling import to_onnx
from export.quantisation import quantised
from tests.export.test_scenes import blotches


class Three(torch.nn.Module):
    """Three convolutions of bytes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        sizes = [(3, 16), (16, 16), (16, 4)]
        self.layers = torch.nn.ModuleList(torch.nn.Conv2d(a, b, 3, padding=1) for a, b in sizes)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = frames.permute(0, 3, 1, 2).float() / 255
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


@pytest.fixture(scope="module")
def whole() -> onnx.ModelProto:
    frames = torch.randint(0, 255, (2, 64, 96, 3), dtype=torch.uint8)
    return to_onnx(Three(), {"frames": frames}, ["maps"], {"frames": {}})


def feeds(seed: int) -> list[dict[str, np.ndarray]]:
    return [{"frames": np.stack(blotches(2, (64, 96), seed=seed + k))} for k in range(6)]


def test_the_middle_one_alone_is_in_bytes(whole: onnx.ModelProto) -> None:
    small = quantised(whole, feeds(0))
    weights = {entry.name: entry for entry in small.graph.initializer}
    bytes_of = [
        entry for entry in weights.values() if entry.data_type == onnx.TensorProto.INT8 and len(entry.dims) == 4
    ]
    assert [list(entry.dims) for entry in bytes_of] == [[16, 16, 3, 3]]
    assert np.abs(onnx.numpy_helper.to_array(bytes_of[0]).astype(int)).max() <= 64  # 7 bits


def test_unseen_pictures_give_nearly_the_same(whole: onnx.ModelProto) -> None:
    one, two = (
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        for model in (whole, quantised(whole, feeds(0)))
    )
    for feed in feeds(40):
        (wanted,), (given,) = one.run(None, feed), two.run(None, feed)
        assert 0 < np.abs(wanted - given).max() < 0.05 * wanted.max()
