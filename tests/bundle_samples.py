"""Encoder bundles for tests, made from the shipped one."""

import hashlib
import json
import shutil
from pathlib import Path

import onnx

from pipeline.bundles import CARD_FILE, MODEL_FILE, shipped_bundle


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


def copy_of_shipped(folder: Path) -> Path:
    """The shipped bundle, to be damaged."""
    shipped = shipped_bundle("encoder").folder
    folder.mkdir(exist_ok=True)
    for name in (MODEL_FILE, CARD_FILE):
        shutil.copy(shipped / name, folder / name)
    return folder
