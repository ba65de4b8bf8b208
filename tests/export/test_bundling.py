import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.bundling import MODEL_LIMIT_BYTES, check_parity, export_onnx, write_bundle
from export.calibration import Calibration
from export.encoder_graph import EncoderGraph
from export.networks.sparse_hash import SparseHashConfig, SparseHashNetwork
from pipeline.bundles import load_bundle, shipped_bundle
from pipeline.encoder import ENCODER, Encoder
from pipeline.errors import BundleError

SMALL = SparseHashConfig(side=16, channels=(4, 4, 4, 8), features=16)
SURE = 2e-3  # nats: a bit with a larger margin is the same in torch and ONNX Runtime


def network(config: SparseHashConfig = SMALL) -> SparseHashNetwork:
    """An untrained network whose batch statistics are not those of its making."""
    torch.manual_seed(3)
    made = SparseHashNetwork(config)
    made.train()
    for _ in range(20):
        made(torch.rand(16, 1, config.side, config.side))
    return made.eval()


def graph(made: SparseHashNetwork) -> EncoderGraph:
    return EncoderGraph(made, torch.linspace(0.5, 4, 32), torch.linspace(-1, 1, 32))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    export_onnx(graph(network()), path)
    return path


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 90, 160), (7, 90, 160), (3, 31, 57), (2, 640, 360)])
def test_onnx_parity_for_any_batch_and_picture(exported: Path, batch: int, height: int, width: int) -> None:
    rng = np.random.default_rng(batch)
    frames = rng.integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
    whole = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    corners = whole + rng.normal(0, 0.1 * height, (batch, 4, 2)).astype(np.float32)
    with torch.no_grad():
        codes, margins = graph(network())(torch.from_numpy(frames), torch.from_numpy(corners))
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    onnx_codes, onnx_margins = session.run(["codes", "margins"], {"frames": frames, "corners": corners})
    assert (onnx_codes.dtype, onnx_codes.shape) == (np.uint32, (batch,))
    assert (onnx_margins.dtype, onnx_margins.shape) == (np.float32, (batch, 32))
    np.testing.assert_allclose(onnx_margins, margins.numpy(), atol=SURE)
    differs = (codes.numpy().astype(np.uint32) ^ onnx_codes)[:, None] >> np.arange(32, dtype=np.uint32) & 1
    assert not (differs.astype(bool) & (margins.numpy() > SURE)).any()


def test_parity_is_told_apart_from_another_model(exported: Path) -> None:
    assert check_parity(graph(network()), exported) < SURE
    other = network()
    with torch.no_grad():
        other.head.dictionary.weight.neg_()
    with pytest.raises(BundleError, match="disagree"):
        check_parity(graph(other), exported)


def test_exported_model_names_no_path_of_this_machine(exported: Path) -> None:
    data = exported.read_bytes()
    assert b"/site-packages/" not in data
    assert b".py" not in data
    assert onnx.load(str(exported)).opset_import[0].version == 18


def test_written_bundle_loads_and_codes(tmp_path: Path) -> None:
    calibration = Calibration(torch.ones(32), torch.zeros(32))
    card = write_bundle(network(), calibration, {"name": "small"}, tmp_path / "b")
    assert json.loads((tmp_path / "b" / "card.json").read_text()) == card
    bundle = load_bundle(tmp_path / "b", ENCODER)
    assert bundle.sha256 == hashlib.sha256(bundle.model_path.read_bytes()).hexdigest()
    codes, margins = Encoder(bundle).encode_batch(
        np.zeros((2, 20, 20, 3), np.uint8), np.array([[[0, 0], [20, 0], [20, 20], [0, 20]]] * 2, np.float32)
    )
    assert codes[0] == codes[1]
    assert (margins >= 0).all()


def test_shipped_bundle_keeps_the_contract() -> None:
    bundle = shipped_bundle(ENCODER)
    assert bundle.model_path.stat().st_size <= MODEL_LIMIT_BYTES
    assert bundle.card["bytes"] == bundle.model_path.stat().st_size
    assert bundle.card["training"]["command"].startswith("vnome train ")
    assert bundle.card["quality"]["on"].startswith("36 films that training never saw")
    quality = bundle.card["quality"]["camera_1.0"]
    assert quality["hits_1_probes"] == quality["hits_radius_0"] < quality["hits_16_probes"] < quality["hits_64_probes"]
    shapes = {entry.name: entry.shape for entry in Encoder(bundle)._session.get_inputs()}
    assert shapes["frames"][3] == 3
    assert all(isinstance(size, str) for size in (*shapes["frames"][:3], shapes["corners"][0]))  # any batch and size
