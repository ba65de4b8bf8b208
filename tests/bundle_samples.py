"""Bundles for tests: encoders made from the shipped one, and small detectors."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import torch

from export.bundling import write_bundle
from export.detector_bundle import detector_model
from export.detector_graph import DetectorGraph
from export.networks.dense import DenseConfig
from export.networks.screen_detector import ScreenDetectorNetwork
from pipeline.bundles import CARD_FILE, MODEL_FILE, shipped_bundle
from pipeline.detector import DETECTOR
from pipeline.encoder import ENCODER

SMALL_DETECTOR = DenseConfig(channels=(4, 6, 8), strided=2, pooled=3)


def other_bundle(folder: Path) -> Path:
    """A bundle that codes alike but counts as another encoder."""
    folder.mkdir(exist_ok=True)
    shipped = shipped_bundle("encoder").folder
    model = onnx.load(str(shipped / MODEL_FILE))
    model.doc_string = "another"
    data = model.SerializeToString()
    (folder / MODEL_FILE).write_bytes(data)
    card = json.loads((shipped / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps({**card, "sha256": hashlib.sha256(data).hexdigest()}))
    return folder


def untrained_detector() -> ScreenDetectorNetwork:
    """A small network that never saw a screen, its batch statistics not those of its making."""
    torch.manual_seed(11)
    network = ScreenDetectorNetwork(SMALL_DETECTOR).train()
    with torch.no_grad():
        for _ in range(20):
            network(torch.randint(0, 256, (4, 64, 96, 3), dtype=torch.uint8))
    return network.eval()


def detector_bundle(folder: Path, slope: float = 4.0, offset: float = 0.0) -> Path:
    """A detector that says something of every picture. slope, offset: of its confidence; (0, -20) sees nothing."""
    graph = DetectorGraph(untrained_detector(), slope, offset)
    write_bundle(detector_model(graph), DETECTOR, {"name": "untrained", "inputs": {}, "outputs": {}}, folder)
    return folder


def copy_of_shipped(folder: Path) -> Path:
    """The shipped bundle, to be damaged."""
    shipped = shipped_bundle("encoder").folder
    folder.mkdir(exist_ok=True)
    for name in (MODEL_FILE, CARD_FILE):
        shutil.copy(shipped / name, folder / name)
    return folder


def edit_card(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Changes a bundle's card in place."""
    card = json.loads((folder / CARD_FILE).read_text())
    change(card)
    (folder / CARD_FILE).write_text(json.dumps(card))


def put_model(folder: Path, data: bytes, kind: str = ENCODER) -> None:
    """A bundle of this kind whose model is whatever is given; its card is else the shipped encoder's."""
    (copy_of_shipped(folder) / MODEL_FILE).write_bytes(data)
    edit_card(folder, lambda card: card.update(kind=kind, sha256=hashlib.sha256(data).hexdigest()))
