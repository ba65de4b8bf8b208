"""The encoder's bundle: export to ONNX, the check against torch, and its card."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from export.bundling import to_onnx, write_bundle
from export.calibration import Calibration
from export.encoder_graph import EncoderGraph
from export.networks.sparse_hash import SparseHashConfig, SparseHashNetwork
from pipeline.bundles import Bundle
from pipeline.encoder import ENCODER
from pipeline.errors import BundleError

BATCH_NORM_EPSILON = 1e-5  # of torch
PARITY_MARGIN = 2e-3  # nats; a bit whose margin is larger must be the same in torch and in ONNX Runtime


def encoder_model(graph: EncoderGraph) -> onnx.ModelProto:
    """The graph with any batch and picture size; the codes leave as uint32."""
    frames = torch.randint(0, 255, (2, 90, 160, 3), dtype=torch.uint8)  # a batch of 2: of 1 would be frozen
    corners = torch.tensor([[[0.0, 0.0], [160.0, 0.0], [160.0, 90.0], [0.0, 90.0]]]).repeat(2, 1, 1)
    batch = torch.export.Dim("batch", min=1, max=4096)
    height, width = torch.export.Dim("height", min=1, max=16384), torch.export.Dim("width", min=1, max=16384)
    axes = {"frames": {0: batch, 1: height, 2: width}, "corners": {0: batch}}
    model = to_onnx(graph, {"frames": frames, "corners": corners}, ["codes", "margins"], axes)
    _codes_as_uint32(model)
    return model


def _codes_as_uint32(model: onnx.ModelProto) -> None:
    """torch has no sum in uint32, so the graph adds in int64 and this narrows the output."""
    for node in model.graph.node:
        node.output[:] = ["codes_int64" if name == "codes" else name for name in node.output]
        node.input[:] = ["codes_int64" if name == "codes" else name for name in node.input]
    model.graph.node.append(helper.make_node("Cast", ["codes_int64"], ["codes"], to=TensorProto.UINT32))
    for output in model.graph.output:
        if output.name == "codes":
            output.type.tensor_type.elem_type = TensorProto.UINT32


def check_parity(graph: EncoderGraph, model: onnx.ModelProto) -> float:
    """Compares torch and ONNX Runtime on two batch sizes and two picture sizes.

    Returns the largest difference of a margin, in nats. Raises BundleError when a sure bit differs.
    """
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    largest = 0.0
    for batch, height, width in ((1, 120, 213), (5, 240, 320)):
        small = rng.integers(0, 256, (batch, 9, 16, 3))
        frames = np.repeat(np.repeat(small, height // 9 + 1, 1), width // 16 + 1, 2)[:, :height, :width].astype(
            np.uint8
        )
        whole = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        corners = whole + rng.normal(0, 0.05 * height, (batch, 4, 2)).astype(np.float32)
        with torch.no_grad():
            codes, margins = graph.eval()(torch.from_numpy(frames), torch.from_numpy(corners))
        onnx_codes, onnx_margins = session.run(["codes", "margins"], {"frames": frames, "corners": corners})
        largest = max(largest, float(np.abs(margins.numpy() - onnx_margins).max()))
        differs = (codes.numpy().astype(np.uint32) ^ onnx_codes)[:, None] >> np.arange(32, dtype=np.uint32) & 1
        if (differs.astype(bool) & (margins.numpy() > PARITY_MARGIN)).any() or largest > 0.05:
            raise BundleError(
                f"ONNX Runtime and torch disagree on the encoder (margins by {largest:.2g}); do not ship it"
            )
    return largest


def write_encoder(
    network: SparseHashNetwork, calibration: Calibration, card: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Writes the bundle of a trained network; `card` adds to what is known from the model. Returns the whole card."""
    graph = EncoderGraph(network, calibration.slope, calibration.offset)
    model = encoder_model(graph)
    known = {
        "inputs": {
            "frames": "uint8 (N, H, W, 3) RGB",
            "corners": "float32 (N, 4, 2) x, y in pixels, clockwise from the film's top left; (0, 0) is the outer "
            "edge of the first pixel",
        },
        "outputs": {
            "codes": "uint32 (N)",
            "margins": "float32 (N, 32), log-odds in nats that the bit survives the camera, >= 0",
        },
        "parity_largest_margin_difference": check_parity(graph, model),
    }
    return write_bundle(model, ENCODER, {**known, **card}, folder)


def network_of(bundle: Bundle) -> SparseHashNetwork:
    """The trained network inside an encoder bundle, so that training can go on from it.

    Raises BundleError when the model does not hold a Sparse-Hash network of the size that its card names.
    """
    sizes = bundle.section("training").get("config", {}).get("network", {})
    model = onnx.load(str(bundle.model_path))
    values = {entry.name: torch.from_numpy(numpy_helper.to_array(entry).copy()) for entry in model.graph.initializer}
    try:
        network = SparseHashNetwork(SparseHashConfig.of_card(sizes))
        state = network.state_dict()
        for name in state:
            # equal vectors are stored once, which only those are that training left as they were made
            if f"network.{name}" in values or state[name].dim() > 1:
                state[name] = values[f"network.{name}"]
        # the exporter folds the balance of the bits into the dictionary, and keeps the thresholds' positive part
        state["head.balance.running_mean"] = -values["network.head.dictionary.weight_bias"]
        state["head.balance.running_var"] = torch.ones_like(state["head.balance.running_var"]) - BATCH_NORM_EPSILON
        state["head.threshold"] = _thresholds(model, values)
        network.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError, StopIteration) as error:
        raise BundleError(f"bundle {bundle.folder}: no Sparse-Hash network can be read from it ({error})") from None
    return network.eval()


def _thresholds(model: onnx.ModelProto, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the first shrinkage takes off the net input: |v| - threshold."""
    absolute = next(node.output[0] for node in model.graph.node if node.op_type == "Abs" and _is_wide(node, model))
    shrink = next(node for node in model.graph.node if node.op_type == "Sub" and node.input[0] == absolute)
    return values[shrink.input[1]]


def _is_wide(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    """Whether an operator works on the net input, which comes out of a Gemm."""
    made = {output: other.op_type for other in model.graph.node for output in other.output}
    return made.get(node.input[0]) == "Gemm"
