"""Export of a trained encoder to ONNX, and the bundle around it."""

import hashlib
import json
import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from export.calibration import Calibration
from export.encoder_graph import EncoderGraph
from export.networks.sparse_hash import SparseHashNetwork
from pipeline.bundles import CARD_FILE, CARD_FORMAT, MODEL_FILE, Bundle
from pipeline.errors import BundleError
from pipeline.folders import make_folder

OPSET = 18  # GridSample needs 16; ONNX Runtime reads 18 since 1.14, in the browser as well
MODEL_LIMIT_BYTES = 3 << 20
PARITY_MARGIN = 2e-3  # nats; a bit whose margin is larger must be the same in torch and in ONNX Runtime


def export_onnx(graph: EncoderGraph, path: Path) -> None:
    """Writes the graph with any batch and picture size; the codes leave as uint32."""
    graph.eval()
    frames = torch.randint(0, 255, (2, 90, 160, 3), dtype=torch.uint8)  # a batch of 2: of 1 would be frozen
    corners = torch.tensor([[[0.0, 0.0], [160.0, 0.0], [160.0, 90.0], [0.0, 90.0]]]).repeat(2, 1, 1)
    batch = torch.export.Dim("batch", min=1, max=4096)
    height, width = torch.export.Dim("height", min=1, max=16384), torch.export.Dim("width", min=1, max=16384)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated parts
        program = torch.onnx.export(
            graph,
            (frames, corners),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes={"frames": {0: batch, 1: height, 2: width}, "corners": {0: batch}},
            input_names=["frames", "corners"],
            output_names=["codes", "margins"],
            verbose=False,
        )
    if program is None:
        raise BundleError("the exporter gave no model; report this with the torch version")
    model = program.model_proto
    _codes_as_uint32(model)
    for node in model.graph.node:  # the exporter's stack traces hold this machine's paths
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _codes_as_uint32(model: onnx.ModelProto) -> None:
    """torch has no sum in uint32, so the graph adds in int64 and this narrows the output."""
    for node in model.graph.node:
        node.output[:] = ["codes_int64" if name == "codes" else name for name in node.output]
        node.input[:] = ["codes_int64" if name == "codes" else name for name in node.input]
    model.graph.node.append(helper.make_node("Cast", ["codes_int64"], ["codes"], to=TensorProto.UINT32))
    for output in model.graph.output:
        if output.name == "codes":
            output.type.tensor_type.elem_type = TensorProto.UINT32


def check_parity(graph: EncoderGraph, path: Path) -> float:
    """Compares torch and ONNX Runtime on two batch sizes and two picture sizes.

    Returns the largest difference of a margin, in nats. Raises BundleError when a sure bit differs.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
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
            raise BundleError(f"{path}: ONNX Runtime and torch disagree (margins by {largest:.2g}); do not ship it")
    return largest


def write_bundle(
    network: SparseHashNetwork, calibration: Calibration, card: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Writes `model.onnx` and `card.json`; `card` adds to what is known from the model. Returns the whole card."""
    make_folder(folder)
    graph = EncoderGraph(network, calibration.slope, calibration.offset)
    path = folder / MODEL_FILE
    export_onnx(graph, path)
    parity = check_parity(graph, path)
    size = path.stat().st_size
    if size > MODEL_LIMIT_BYTES:
        raise BundleError(f"{path}: {size} bytes, over the limit of {MODEL_LIMIT_BYTES}; train a smaller network")
    whole = {
        "format": CARD_FORMAT,
        "kind": "encoder",
        "licence": "Apache-2.0",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": size,
        "opset": OPSET,
        "inputs": {
            "frames": "uint8 (N, H, W, 3) RGB",
            "corners": "float32 (N, 4, 2) x, y in pixels, clockwise from the film's top left; (0, 0) is the outer "
            "edge of the first pixel",
        },
        "outputs": {
            "codes": "uint32 (N)",
            "margins": "float32 (N, 32), log-odds in nats that the bit survives the camera, >= 0",
        },
        "parity_largest_margin_difference": parity,
        **card,
    }
    (folder / CARD_FILE).write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return whole


def copy_bundle(bundle: Bundle, folder: Path) -> None:
    """The same bundle in another folder; nothing when it is there already. Raises BundleError when it cannot be."""
    make_folder(folder)
    try:
        for name in (MODEL_FILE, CARD_FILE):
            if not (folder / name).exists() or not (folder / name).samefile(bundle.folder / name):
                shutil.copyfile(bundle.folder / name, folder / name)
    except OSError as error:
        raise BundleError(f"{folder} cannot be written: {error.strerror}; give another --out") from None


def add_to_card(folder: Path, sections: dict[str, Any]) -> dict[str, Any]:
    """Puts sections into a bundle's card, in place of those of the same name. Returns the whole card."""
    path = folder / CARD_FILE
    card = {**json.loads(path.read_text(encoding="utf-8")), **sections}
    path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card
