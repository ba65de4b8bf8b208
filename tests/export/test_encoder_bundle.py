"""The encoder's bundle: export, parity with torch, and the way back from ONNX to a network."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edge.demo import sample_films
from export.bundling import MODEL_LIMIT_BYTES, write_bundle
from export.calibration import Calibration
from export.encoder_bundle import PARITY_MARGIN, check_parity, network_of, write_encoder
from export.encoder_graph import EncoderGraph
from export.networks.sparse_hash import SparseHashConfig, SparseHashNetwork
from pipeline.bundles import CARD_FILE, MODEL_FILE, load_bundle, shipped_bundle
from pipeline.encoder import ENCODER, Encoder, whole_picture
from pipeline.errors import BundleError
from pipeline.media import read_frames
from tests.commands import BIKES

SMALL = SparseHashConfig(side=16, channels=(4, 4, 4, 8), features=16)


def network(config: SparseHashConfig = SMALL) -> SparseHashNetwork:
    """An untrained network whose batch statistics are not those of its making."""
    torch.manual_seed(3)
    made = SparseHashNetwork(config)
    made.train()
    for _ in range(20):
        made(torch.rand(16, 1, config.side, config.side))
    return made.eval()


CALIBRATION = Calibration(torch.linspace(0.5, 4, 32), torch.linspace(-1, 1, 32))


def graph(made: SparseHashNetwork) -> EncoderGraph:
    return EncoderGraph(made, CALIBRATION.slope, CALIBRATION.offset)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the small network, its card naming its size as a training's does."""
    folder = tmp_path_factory.mktemp("encoder")
    sizes = {"side": 16, "channels": [4, 4, 4, 8], "features": 16, "local_contrast": 13}
    write_encoder(network(), CALIBRATION, {"name": "small", "training": {"config": {"network": sizes}}}, folder)
    return folder


@pytest.fixture
def exported(written: Path) -> onnx.ModelProto:
    return onnx.load(str(written / MODEL_FILE))


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 90, 160), (7, 90, 160), (3, 31, 57), (2, 640, 360)])
def test_onnx_parity_for_any_batch_and_picture(exported: onnx.ModelProto, batch: int, height: int, width: int) -> None:
    rng = np.random.default_rng(batch)
    frames = rng.integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
    whole = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    corners = whole + rng.normal(0, 0.1 * height, (batch, 4, 2)).astype(np.float32)
    with torch.no_grad():
        codes, margins = graph(network())(torch.from_numpy(frames), torch.from_numpy(corners))
    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    onnx_codes, onnx_margins = session.run(["codes", "margins"], {"frames": frames, "corners": corners})
    assert (onnx_codes.dtype, onnx_codes.shape) == (np.uint32, (batch,))
    assert (onnx_margins.dtype, onnx_margins.shape) == (np.float32, (batch, 32))
    np.testing.assert_allclose(onnx_margins, margins.numpy(), atol=PARITY_MARGIN)
    differs = (codes.numpy().astype(np.uint32) ^ onnx_codes)[:, None] >> np.arange(32, dtype=np.uint32) & 1
    assert not (differs.astype(bool) & (margins.numpy() > PARITY_MARGIN)).any()


def test_parity_is_told_apart_from_another_model(exported: onnx.ModelProto) -> None:
    assert check_parity(graph(network()), exported) < PARITY_MARGIN
    other = network()
    with torch.no_grad():
        other.head.dictionary.weight.neg_()
    with pytest.raises(BundleError, match="disagree"):
        check_parity(graph(other), exported)


def test_written_bundle_loads_and_codes(written: Path) -> None:
    bundle = load_bundle(written, ENCODER)
    assert bundle.card["name"] == "small"
    assert bundle.card["parity_largest_margin_difference"] < PARITY_MARGIN
    codes, margins = Encoder(bundle).encode_batch(
        np.zeros((2, 20, 20, 3), np.uint8), np.array([[[0, 0], [20, 0], [20, 20], [0, 20]]] * 2, np.float32)
    )
    assert codes[0] == codes[1]
    assert (margins >= 0).all()


def test_network_of_a_bundle_is_the_one_that_was_exported(written: Path) -> None:
    again, first = network_of(load_bundle(written, ENCODER)), network()
    assert not again.training
    pictures = torch.rand(20, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(again(pictures).v, first(pictures).v, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(again(pictures).h, first(pictures).h, atol=1e-4, rtol=1e-4)


def test_network_of_the_shipped_bundle_codes_alike() -> None:
    bundle = shipped_bundle(ENCODER)
    frames = [frame.image for frame in read_frames(sample_films()[BIKES], max_fps=4)]
    corners = np.stack([whole_picture(image) for image in frames])
    codes, margins = Encoder(bundle).encode_batch(np.stack(frames), corners)
    graph_of_it = EncoderGraph(network_of(bundle), torch.ones(32), torch.zeros(32)).eval()
    with torch.no_grad():
        again, _ = graph_of_it(torch.from_numpy(np.stack(frames)), torch.from_numpy(corners))
    differs = (again.numpy().astype(np.uint32) ^ codes)[:, None] >> np.arange(32, dtype=np.uint32) & 1
    assert len(set(codes.tolist())) > 5
    assert not (differs.astype(bool) & (margins > 0.01)).any()  # only bits without any certainty may differ


def test_another_model_is_no_sparse_hash_network(
    written: Path, exported: onnx.ModelProto, small_detector: Path, tmp_path: Path
) -> None:
    card = json.loads((written / CARD_FILE).read_text())
    known = {"inputs": {}, "outputs": {}, "name": "other", "training": card["training"]}
    write_bundle(onnx.load(str(small_detector / MODEL_FILE)), ENCODER, known, tmp_path / "detector")
    larger = {**known, "training": {"config": {"network": {"side": 32, "channels": [4, 4, 4, 8], "features": 16}}}}
    write_bundle(exported, ENCODER, larger, tmp_path / "larger")
    write_bundle(exported, ENCODER, {**known, "training": {"config": {}}}, tmp_path / "nameless")
    for name in ("detector", "larger", "nameless"):
        with pytest.raises(BundleError, match=f"{name}: no Sparse-Hash network can be read") as raised:
            network_of(load_bundle(tmp_path / name, ENCODER))
        assert str(raised.value).count("bundle") == 1


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
