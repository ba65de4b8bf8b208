"""What is asked of every layer: the same values in ONNX Runtime."""

import onnxruntime
import torch
from torch import nn

from export.bundling import to_onnx


def onnx_output(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the exported layer gives for x in ONNX Runtime, with any batch size allowed."""
    model = to_onnx(layer, {"x": x}, ["y"], {"x": {0: torch.export.Dim("batch", min=1, max=4096)}})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"x": x.numpy()})
    return torch.from_numpy(output)
