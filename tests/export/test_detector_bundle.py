"""The screen detector's bundle: export, parity with torch, calibration and what its card says."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export import detector_bundle
from export.bundling import MODEL_LIMIT_BYTES
from export.detector_bundle import check, check_parity, held_out_scenes, network_of, write_detector
from export.detector_graph import DetectorGraph
from export.scenes import SceneSources
from pipeline.bundles import CARD_FILE, MODEL_FILE, load_bundle, shipped_bundle
from pipeline.detector import DETECTOR, ScreenDetector, ScreenFinder, Sighting
from pipeline.errors import BundleError
from pipeline.frames import RgbImage
from tests.bundle_samples import untrained_detector
from tests.export.test_scenes import blotches, sources

QUAD = np.array([[10, 10], [90, 10], [90, 60], [10, 60]], float)


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 64, 96), (3, 96, 64), (2, 180, 320), (5, 33, 47)])
def test_onnx_parity_for_any_batch_and_picture(small_detector: Path, batch: int, height: int, width: int) -> None:
    frames = np.stack(blotches(batch, (height, width), seed=batch))
    with torch.no_grad():
        corners, confidence = DetectorGraph(untrained_detector(), 4.0, 0.0).eval()(torch.from_numpy(frames))
    session = onnxruntime.InferenceSession(str(small_detector / MODEL_FILE), providers=["CPUExecutionProvider"])
    onnx_corners, onnx_confidence = session.run(["corners", "confidence"], {"frames": frames})
    assert (onnx_corners.dtype, onnx_corners.shape) == (np.float32, (batch, 4, 2))
    assert (onnx_confidence.dtype, onnx_confidence.shape) == (np.float32, (batch,))
    np.testing.assert_allclose(onnx_corners, corners.numpy(), atol=0.05)  # pixels
    np.testing.assert_allclose(onnx_confidence, confidence.numpy(), atol=1e-4)
    assert np.ptp(onnx_corners.mean(axis=(0, 1))) > 0  # it does not say the same of everything


def test_parity_is_told_apart_from_another_model(small_detector: Path) -> None:
    model = onnx.load(str(small_detector / MODEL_FILE))
    pictures = [*blotches(2, (64, 96), seed=1), *blotches(1, (90, 70), seed=2)]
    assert check_parity(DetectorGraph(untrained_detector(), 4.0, 0.0), model, pictures) < 0.05
    other = untrained_detector()
    with torch.no_grad():
        other.head.weight.neg_()
    with pytest.raises(BundleError, match="disagree on the detector"):
        check_parity(DetectorGraph(other, 4.0, 0.0), model, pictures)


class Told(ScreenFinder):
    """Says what it was told to say."""

    def __init__(self, said: list[Sighting]) -> None:
        self.said = said

    def detect(self, images: Sequence[RgbImage]) -> list[Sighting]:
        return self.said[: len(images)]


def test_errors_are_shares_of_the_diagonal() -> None:
    picture = np.zeros((75, 100, 3), np.uint8)  # its diagonal is 125 pixels
    off = QUAD + np.array([[5, 0], [0, 5], [0, 0], [3, 4]])  # 5, 5, 0 and 5 pixels away: 3.75 in the mean
    said = [Sighting(off.astype(np.float32), 0.9), Sighting(off.astype(np.float32), 0.2)]
    outside = QUAD - (40, 0)
    checks = check(Told([*said, said[0]]), [picture] * 3, [QUAD, None, outside])
    assert checks.error[0] == pytest.approx(3.75 / 125, rel=1e-5)
    assert np.isnan(checks.error[1])
    assert checks.confidence.tolist() == [0.9, 0.2, 0.9]
    assert checks.whole.tolist() == [True, False, False]


def test_held_out_scenes_are_always_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_bundle, "SCENES", 6)
    (first, truths), (again, _) = (held_out_scenes(sources(), seed=1) for _ in range(2))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert len(truths) == 6
    other, _ = held_out_scenes(sources(), seed=2)
    assert not np.array_equal(first[0], other[0])


def test_written_bundle_is_calibrated_and_says_how_good_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_bundle, "SCENES", 30)
    card = write_detector(untrained_detector(), sources(), {"name": "small"}, tmp_path / "bundle")
    text = (tmp_path / "bundle" / CARD_FILE).read_text()
    assert json.loads(text, parse_constant=pytest.fail) == card  # neither NaN nor Infinity, which JSON does not know
    bundle = load_bundle(tmp_path / "bundle", DETECTOR)
    assert bundle.card["parity_largest_corner_difference"] < 0.05
    assert bundle.int8_path is not None
    assert bundle.card["int8"]["bytes"] == bundle.int8_path.stat().st_size < bundle.card["bytes"]
    assert bundle.card["int8"]["quality"].keys() == bundle.card["quality"].keys()
    quality = bundle.card["quality"]
    assert quality["simulated"]["scenes"] == 30
    assert quality["rooms_without_a_screen"] == {"photographs": 5, "none": 1.0}
    assert quality["televisions"]["photographs"] == 2
    # a network that never learned is hardly ever near, so that calibration makes it unsure of everything
    assert quality["simulated"]["found"] < 0.1
    assert quality["simulated"]["none_where_none"] == 1.0
    seen = ScreenDetector(bundle).detect(blotches(3, (90, 160), seed=9))
    assert all(sighting.confidence < 0.5 for sighting in seen)


def test_without_televisions_their_figures_are_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_bundle, "SCENES", 20)
    made = sources()
    quality = detector_bundle.detector_quality(
        Told([Sighting(QUAD.astype(np.float32), 0.9)] * 20), SceneSources(made.films, made.rooms)
    )
    open_figures = dict.fromkeys(("median_error", "within_3_percent", "within_10_percent", "found"))
    assert quality["televisions"] == quality["other_screens"] == {"photographs": 0, **open_figures}
    assert quality["simulated"]["found"] == 1.0
    assert quality["rooms_without_a_screen"]["none"] == 0.0


def test_shipped_bundle_keeps_the_contract() -> None:
    bundle = shipped_bundle(DETECTOR)
    assert bundle.card["bytes"] == bundle.model_path.stat().st_size <= MODEL_LIMIT_BYTES
    assert bundle.card["training"]["command"].startswith("vnome train --model detector ")
    quality = bundle.card["quality"]
    assert quality["simulated"]["median_error_fully_in_view"] < 0.03
    assert quality["televisions"]["median_error"] < 0.03
    assert quality["simulated"]["found"] > 0.3
    assert quality["rooms_without_a_screen"]["none"] > 0.8
    (shape,) = (entry.shape for entry in ScreenDetector(bundle)._session.get_inputs())
    assert shape[3] == 3
    assert all(isinstance(size, str) for size in shape[:3])  # any batch and size


def test_shipped_8_bit_variant_is_as_good() -> None:
    card = shipped_bundle(DETECTOR).card
    whole, int8 = card["quality"], card["int8"]["quality"]
    for name in ("mean_error_fully_in_view", "median_error_fully_in_view", "median_error_partly_in_view"):
        assert int8["simulated"][name] < 1.05 * whole["simulated"][name]
    assert int8["televisions"]["within_10_percent"] >= whole["televisions"]["within_10_percent"] - 0.01


def test_training_can_go_on_from_a_bundle() -> None:
    bundle = shipped_bundle(DETECTOR)
    graph = DetectorGraph(network_of(bundle), *(bundle.card["calibration"][name] for name in ("slope", "offset")))
    check_parity(graph.eval(), onnx.load(str(bundle.model_path)), blotches(2, (96, 160), seed=5))


def test_what_holds_no_detector_is_refused(small_detector: Path) -> None:
    with pytest.raises(BundleError, match="no section 'training'"):
        network_of(load_bundle(small_detector, DETECTOR))
