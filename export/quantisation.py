"""The same model with convolutions of 8-bit numbers, for processors that multiply those faster."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

Feed = dict[str, npt.NDArray[Any]]


def quantised(model: onnx.ModelProto, feeds: Sequence[Feed]) -> onnx.ModelProto:
    """Weights of each map and activations of each layer in 8 bits, by the least and the largest value seen.

    Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
    CVPR 2018, section 2, after training. The first convolution, whose three maps are too few to gain by it, and the
    last, whose outputs are measures, stay as they are. Weights use 7 bits, so that sums of two products fit 16 bits on
    processors without dot products of bytes.
    feeds: inputs of the model, from which the ranges are read.
    """
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder) / "whole.onnx", Path(folder) / "small.onnx"
        onnx.save(model, str(whole))
        quantize_static(
            str(whole),
            str(small),
            _Feeds(feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[convolutions[0], convolutions[-1]],
        )
        made: onnx.ModelProto = onnx.load(str(small))
    return made


class _Feeds(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._left: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._left, None)
