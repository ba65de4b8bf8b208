"""What is asked of every layer: the same values in ONNX Runtime."""

import inspect

import onnxruntime
import torch
from torch import nn

from export.bundling import to_onnx


def onnx_output(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the exported layer gives for x in ONNX Runtime, with any batch size allowed."""
    (name,) = inspect.signature(layer.forward).parameters
    model = to_onnx(layer, {name: x}, ["y"], {name: {0: torch.export.Dim("batch", min=1, max=4096)}})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {name: x.numpy()})
    return torch.from_numpy(output)
