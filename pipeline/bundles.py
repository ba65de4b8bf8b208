"""Model bundles: a folder with `model.onnx` and `card.json`, and perhaps the same model in 8-bit numbers."""

import hashlib
import json
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from pipeline.errors import BundleError

MODEL_FILE = "model.onnx"
INT8_FILE = "model.int8.onnx"
CARD_FILE = "card.json"
CARD_FORMAT = 1  # of card.json; a bundle of another format is refused
REQUIRED_KEYS = ("format", "kind", "name", "sha256", "inputs", "outputs", "licence")


@dataclass(frozen=True)
class Bundle:
    """A model and what is known of it.

    folder: where it lies. card: the parsed `card.json`. sha256: of `model.onnx`, checked when loaded.
    """

    folder: Path
    card: dict[str, Any] = field(repr=False)
    sha256: str

    @property
    def model_path(self) -> Path:
        return self.folder / MODEL_FILE

    @property
    def int8_path(self) -> Path | None:
        """Of the same model in 8-bit numbers, for processors that multiply them faster; None when there is none.

        Raises BundleError when it is not the one that the card names.
        """
        part = self.card.get("int8")
        if not isinstance(part, dict):
            return None
        path = self.folder / INT8_FILE
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != part.get("sha256"):
            raise BundleError(f"bundle {self.folder}: {INT8_FILE} is not the one of its card; copy the bundle again")
        return path

    def section(self, name: str) -> dict[str, Any]:
        """A named part of the card. Raises BundleError when the card lacks it."""
        part = self.card.get(name)
        if not isinstance(part, dict):
            raise BundleError(f"bundle {self.folder}: card.json has no section {name!r}; export the bundle again")
        return part


def load_bundle(folder: Path, kind: str) -> Bundle:
    """Reads and checks a bundle.

    Raises BundleError when it is missing or damaged, when the card belongs to another model, or is not of `kind`.
    """
    for name in (MODEL_FILE, CARD_FILE):
        if not (folder / name).is_file():
            raise BundleError(f"bundle {folder}: {name} is missing; give a folder made by vnome export")
    try:
        card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BundleError(f"bundle {folder}: card.json cannot be read ({error}); export the bundle again") from None
    missing = [key for key in REQUIRED_KEYS if not isinstance(card, dict) or key not in card]
    if missing:
        raise BundleError(f"bundle {folder}: card.json lacks {', '.join(missing)}; export the bundle again")
    if card["format"] != CARD_FORMAT:
        raise BundleError(f"bundle {folder}: card format {card['format']!r}, this version reads {CARD_FORMAT}")
    if card["kind"] != kind:
        raise BundleError(f"bundle {folder}: it is a {card['kind']!r} bundle, not {kind!r}; give another folder")
    digest = hashlib.sha256((folder / MODEL_FILE).read_bytes()).hexdigest()
    if digest != card["sha256"]:
        raise BundleError(f"bundle {folder}: model.onnx does not have the sha256 of its card; copy the bundle again")
    return Bundle(folder, card, digest)


def shipped_bundle(kind: str) -> Bundle:
    """The bundle of this kind that comes with VNOME. Raises BundleError when the installation is damaged."""
    return load_bundle(Path(str(resources.files("pipeline.bundled") / kind)), kind)
