"""Bundles of any kind: a graph as ONNX, and its card."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from export import bundling
from export.bundling import OPSET, add_to_card, copy_bundle, to_onnx, write_bundle
from pipeline.bundles import CARD_FILE, MODEL_FILE, load_bundle
from pipeline.errors import BundleError, InputError

KIND = "halver"


class Halver(nn.Module):
    """Numbers (N, 3) -> their halves."""

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers / 2


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    axes = {"numbers": {0: torch.export.Dim("batch", min=1, max=64)}}
    return to_onnx(Halver(), {"numbers": torch.ones(2, 3)}, ["halves"], axes)


@pytest.fixture
def folder(model: onnx.ModelProto, tmp_path: Path) -> Path:
    write_bundle(model, KIND, {"name": "small", "inputs": {}, "outputs": {}}, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_graph_takes_any_size_of_a_dynamic_axis(model: onnx.ModelProto) -> None:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for count in (1, 2, 9):
        numbers = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
        (halves,) = session.run(["halves"], {"numbers": numbers})
        assert np.array_equal(halves, numbers / 2)


def test_exported_model_names_no_path_of_this_machine(model: onnx.ModelProto) -> None:
    data = model.SerializeToString()
    assert b"/site-packages/" not in data
    assert b".py" not in data
    assert model.opset_import[0].version == OPSET


def test_written_bundle_loads_and_its_card_is_whole(folder: Path) -> None:
    bundle = load_bundle(folder, KIND)
    data = bundle.model_path.read_bytes()
    assert bundle.sha256 == bundle.card["sha256"] == hashlib.sha256(data).hexdigest()
    assert bundle.card["bytes"] == len(data)
    assert bundle.card["name"] == "small"


def test_sections_are_added_and_replaced(folder: Path) -> None:
    add_to_card(folder, {"decision": {"accept": 0.1}})
    card = add_to_card(folder, {"decision": {"accept": 0.9}, "evidence": {}})
    assert card["decision"] == {"accept": 0.9}
    assert json.loads((folder / CARD_FILE).read_text()) == card
    assert load_bundle(folder, KIND).section("evidence") == {}  # the model is still its card's


def test_copy_is_the_same_bundle_and_a_copy_onto_itself_does_nothing(folder: Path, tmp_path: Path) -> None:
    bundle = load_bundle(folder, KIND)
    copy_bundle(bundle, tmp_path / "deep" / "copy")
    assert load_bundle(tmp_path / "deep" / "copy", KIND).card == bundle.card
    copy_bundle(bundle, folder)
    assert load_bundle(folder, KIND).sha256 == bundle.sha256


def test_folder_that_cannot_be_made_is_one_line(model: onnx.ModelProto, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made a folder"):
        write_bundle(model, KIND, {}, tmp_path / "file" / "bundle")


def test_model_over_the_limit_is_refused(
    model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundling, "MODEL_LIMIT_BYTES", 50)
    with pytest.raises(BundleError, match="over the limit of 50"):
        write_bundle(model, KIND, {}, tmp_path / "bundle")
    assert not (tmp_path / "bundle" / CARD_FILE).exists()
    assert (tmp_path / "bundle" / MODEL_FILE).stat().st_size > 50
