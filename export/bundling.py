"""Bundles: a graph as an ONNX model, and the card that says what it is."""

import hashlib
import json
import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch

from pipeline.bundles import CARD_FILE, CARD_FORMAT, INT8_FILE, MODEL_FILE, Bundle
from pipeline.errors import BundleError
from pipeline.folders import make_folder

OPSET = 18  # GridSample needs 16; ONNX Runtime reads 18 since 1.14, in the browser as well
MODEL_LIMIT_BYTES = 4_000_000  # encoder and detector together: 5 MB


def to_onnx(
    graph: torch.nn.Module,
    inputs: dict[str, torch.Tensor],
    outputs: list[str],
    dynamic: dict[str, dict[int, torch.export.Dim]],
) -> onnx.ModelProto:
    """The graph as an ONNX model. dynamic: the axes of each input that may have any size.

    Raises BundleError when the exporter gives none.
    """
    graph.eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated parts
        program = torch.onnx.export(
            graph,
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=dynamic,
            input_names=list(inputs),
            output_names=outputs,
            verbose=False,
        )
    if program is None:
        raise BundleError("the exporter gave no model; report this with the torch version")
    model: onnx.ModelProto = program.model_proto
    for node in model.graph.node:  # the exporter's stack traces hold this machine's paths
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    return model


def write_bundle(model: onnx.ModelProto, kind: str, card: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Writes `model.onnx` and `card.json`; `card` adds to what is known from the model. Returns the whole card."""
    make_folder(folder)
    onnx.checker.check_model(model, full_check=True)
    path = folder / MODEL_FILE
    path.write_bytes(model.SerializeToString())
    size = path.stat().st_size
    if size > MODEL_LIMIT_BYTES:
        raise BundleError(f"{path}: {size} bytes, over the limit of {MODEL_LIMIT_BYTES}; train a smaller network")
    whole = {
        "format": CARD_FORMAT,
        "kind": kind,
        "licence": "Apache-2.0",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": size,
        "opset": OPSET,
        **card,
    }
    (folder / CARD_FILE).write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return whole


def add_int8(model: onnx.ModelProto, folder: Path) -> dict[str, Any]:
    """Puts the 8-bit variant of its model into a bundle. Returns the whole card."""
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()
    (folder / INT8_FILE).write_bytes(data)
    return add_to_card(folder, {"int8": {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}})


def copy_bundle(bundle: Bundle, folder: Path) -> None:
    """The same bundle in another folder; nothing when it is there already. Raises BundleError when it cannot be."""
    make_folder(folder)
    try:
        names = (MODEL_FILE, CARD_FILE, *([INT8_FILE] if bundle.int8_path else []))
        for name in names:
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
