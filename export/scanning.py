"""A network that scans whole pictures, in ONNX Runtime: on a CPU three times as fast as the same in torch."""

# N pictures, C maps, H and W their size in pixels, O outputs, h and w size of what is answered

import numpy as np
import onnxruntime
import torch
from torch import nn

from export.bundling import to_onnx

MOST_SIDE = 1 << 14  # pixels


class Scanner:
    """Pictures (N, C, H, W) float32 -> what `scan` answers, (N, O, h, w), for the one N and any size.

    scan: a network without dropout or in testing. example: pictures that it takes. least: their least side, pixels.
    Raises BundleError when the network cannot be exported.
    """

    def __init__(self, scan: nn.Module, example: torch.Tensor, least: int) -> None:
        height, width = (torch.export.Dim(name, min=least, max=MOST_SIDE) for name in ("height", "width"))
        model = to_onnx(scan, {"pictures": example.contiguous()}, ["answers"], {"pictures": {2: height, 3: width}})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        (answers,) = self._session.run(None, {"pictures": np.ascontiguousarray(pictures.numpy())})
        return torch.from_numpy(answers)
