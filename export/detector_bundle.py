"""The screen detector's bundle: calibration, quality on scenes it never saw, export to ONNX, check against torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from export.bundling import add_int8, add_to_card, to_onnx, write_bundle
from export.detector_graph import DetectorGraph
from export.networks.dense import DenseConfig
from export.networks.screen_detector import ScreenDetectorNetwork
from export.quantisation import quantised
from export.scenes import Quad, SceneMaker, SceneSources
from pipeline.bundles import Bundle, load_bundle
from pipeline.detector import DETECTOR, SURE, ScreenDetector, ScreenFinder
from pipeline.errors import BundleError
from pipeline.frames import RgbImage

PARITY_PIXELS = 0.05  # corners in torch and in ONNX Runtime, of a picture of 320 pixels, where a screen is sure
NEAR = 0.1  # of the picture's diagonal: mean error of corners that count as found, for the confidence
SCENES, SCENE_SIZE = 400, (180, 320)
RANGE_PICTURES = 120  # from which the ranges of 8-bit numbers are read


@dataclass(frozen=True)
class Checks:
    """What a detector said of pictures whose truth is known.

    error: float (P,), mean distance of the corners from the truth, of the picture's diagonal; NaN without a screen.
    confidence: (P,). whole: bool (P,), the screen is fully in view.
    """

    error: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float64]
    whole: npt.NDArray[np.bool_]


def detector_model(graph: DetectorGraph) -> onnx.ModelProto:
    """The graph with any batch and picture size."""
    frames = torch.randint(0, 255, (2, 96, 160, 3), dtype=torch.uint8)
    axes = {
        0: torch.export.Dim("batch", min=1, max=4096),
        1: torch.export.Dim("height", min=32, max=4096),
        2: torch.export.Dim("width", min=32, max=4096),
    }
    return to_onnx(graph, {"frames": frames}, ["corners", "confidence"], {"frames": axes})


def check_parity(graph: DetectorGraph, model: onnx.ModelProto, pictures: Sequence[RgbImage]) -> float:
    """Compares torch and ONNX Runtime on pictures of any sizes.

    Returns the largest difference of a corner where a screen is sure, pixels. Raises BundleError when it is too large.
    """
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    largest = 0.0
    for picture in pictures:
        frames = picture[None].repeat(2, axis=0)
        with torch.no_grad():
            corners, confidence = graph.eval()(torch.from_numpy(frames))
        onnx_corners, onnx_confidence = session.run(["corners", "confidence"], {"frames": frames})
        difference = float(np.abs(corners.numpy() - onnx_corners).max()) if confidence[0] > SURE else 0.0
        largest = max(largest, difference)
        if largest > PARITY_PIXELS or float(np.abs(confidence.numpy() - onnx_confidence).max()) > 0.01:
            raise BundleError(f"ONNX Runtime and torch disagree on the detector (corners by {largest:.2g} pixels)")
    return largest


def check(detector: ScreenFinder, pictures: Sequence[RgbImage], truths: Sequence[Quad | None]) -> Checks:
    """Runs a detector on pictures whose screens are known; None: there is none."""
    error, confidence, whole = [], [], []
    for picture, truth, seen in zip(pictures, truths, detector.detect(pictures), strict=True):
        confidence.append(seen.confidence)
        if truth is None:
            error.append(np.nan)
            whole.append(False)
            continue
        size = np.array(picture.shape[1::-1])
        error.append(float(np.linalg.norm(seen.corners - truth, axis=1).mean() / np.hypot(*size)))
        whole.append(bool((truth >= -1).all() and (truth <= size + 1).all()))
    return Checks(np.array(error), np.array(confidence), np.array(whole))


def held_out_scenes(sources: SceneSources, seed: int) -> tuple[list[RgbImage], list[Quad | None]]:
    """Simulated scenes of held-out films and rooms."""
    maker = SceneMaker(SceneSources(sources.films, sources.rooms), np.random.default_rng(seed))
    scenes = [maker.draw(SCENE_SIZE) for _ in range(SCENES)]
    return [scene.image for scene in scenes], [scene.screen for scene in scenes]


def write_detector(
    network: ScreenDetectorNetwork, unseen: SceneSources, card: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Writes the bundle of a trained network, calibrated and measured on `unseen`. Returns the whole card."""
    slope, offset = _calibrate(network, unseen)
    graph = DetectorGraph(network, slope, offset)
    model = detector_model(graph)
    pictures, _ = held_out_scenes(unseen, seed=3)
    known = {
        "inputs": {"frames": "uint8 (N, H, W, 3) RGB of any size, best 320 pixels on the longer side"},
        "outputs": {
            "corners": "float32 (N, 4, 2) x, y in pixels, clockwise from the film's top left; they may lie outside",
            "confidence": "float32 (N), 0..1",
        },
        "parity_largest_corner_difference": check_parity(graph, model, pictures[:20]),
        "calibration": {"slope": slope, "offset": offset},
    }
    write_bundle(model, DETECTOR, {**known, **card}, folder)
    measured = detector_quality(ScreenDetector(load_bundle(folder, DETECTOR), int8=False), unseen)
    write_bundle(model, DETECTOR, {**known, **card, "quality": measured}, folder)
    ranges, _ = held_out_scenes(unseen, seed=4)
    written = add_int8(quantised(model, [{"frames": picture[None]} for picture in ranges[:RANGE_PICTURES]]), folder)
    int8 = ScreenDetector(load_bundle(folder, DETECTOR), int8=True)
    return add_to_card(folder, {"int8": {**written["int8"], "quality": detector_quality(int8, unseen)}})


def detector_quality(detector: ScreenFinder, unseen: SceneSources) -> dict[str, Any]:
    """What the card says: errors on simulated and real screens, and how often an empty room is seen as empty."""
    pictures, truths = held_out_scenes(unseen, seed=2)
    simulated = check(detector, pictures, truths)
    rooms = np.array([seen.confidence for seen in detector.detect(unseen.rooms)])
    there = ~np.isnan(simulated.error)
    return {
        "on": "films, photographs and television recordings that training never saw",
        "simulated": {
            "scenes": len(pictures),
            "fully_in_view": int(simulated.whole.sum()),
            "mean_error_fully_in_view": float(simulated.error[simulated.whole].mean()),
            "median_error_fully_in_view": float(np.median(simulated.error[simulated.whole])),
            "median_error_partly_in_view": float(np.median(simulated.error[there & ~simulated.whole])),
            "found": float((simulated.confidence[there] > SURE).mean()),
            "none_where_none": float((simulated.confidence[~there] <= SURE).mean()),
        },
        "televisions": _on_photographs(detector, unseen.televisions, unseen.corners),
        "other_screens": _on_photographs(detector, unseen.photos, unseen.photo_corners),
        "rooms_without_a_screen": {"photographs": len(rooms), "none": float((rooms <= SURE).mean())},
        "unit": "errors: mean distance of the four corners from the truth, of the picture's diagonal",
    }


def _on_photographs(detector: ScreenFinder, pictures: Sequence[RgbImage], truths: Sequence[Quad]) -> dict[str, Any]:
    """Errors on real screens; None each where there are none."""
    real = check(detector, pictures, truths)
    some = len(real.error) > 0
    return {
        "photographs": len(real.error),
        "median_error": float(np.median(real.error)) if some else None,
        "within_3_percent": float((real.error < 0.03).mean()) if some else None,
        "within_10_percent": float((real.error < 0.1).mean()) if some else None,
        "found": float((real.confidence > SURE).mean()) if some else None,
    }


def network_of(bundle: Bundle) -> ScreenDetectorNetwork:
    """The trained network inside a detector bundle, so that training can go on from it.

    Raises BundleError when the model does not hold a screen detector of the size that its card names.
    """
    sizes = bundle.section("training").get("config", {}).get("network", {})
    model = onnx.load(str(bundle.model_path))
    values = {entry.name: torch.from_numpy(numpy_helper.to_array(entry).copy()) for entry in model.graph.initializer}
    try:
        network = ScreenDetectorNetwork(DenseConfig(**{**sizes, "channels": tuple(sizes["channels"])}))
        state = network.state_dict()
        trained = [name for name in state if not name.endswith("num_batches_tracked")]  # training counts anew
        network.load_state_dict({**state, **{name: values[f"network.{name}"] for name in trained}})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BundleError(f"bundle {bundle.folder}: no screen detector can be read from it ({error})") from None
    return network.eval()


def _calibrate(network: ScreenDetectorNetwork, unseen: SceneSources) -> tuple[float, float]:
    """Logistic regression of "the corners are near" on the overlap, on simulated scenes and empty rooms."""
    graph = DetectorGraph(network, 1.0, 0.0).eval()
    pictures, truths = held_out_scenes(unseen, seed=1)
    real, quads = [*unseen.televisions, *unseen.photos], [*unseen.corners, *unseen.photo_corners]
    pictures += [_small(picture) for picture in (*unseen.rooms, *real)]
    truths += [None] * len(unseen.rooms)
    truths += [quad * SCENE_SIZE[1] / max(photo.shape[:2]) for photo, quad in zip(real, quads, strict=True)]
    overlap, near = [], []
    for picture, truth in zip(pictures, truths, strict=True):
        with torch.no_grad():
            corners, confidence = graph(torch.from_numpy(picture[None]))
        overlap.append(float(torch.logit(confidence[0].double())))
        away = np.inf if truth is None else float(np.linalg.norm(corners[0].numpy() - truth, axis=1).mean())
        near.append(away < NEAR * np.hypot(*picture.shape[:2]))
    x = torch.tensor(overlap, dtype=torch.double)
    y = torch.tensor(near, dtype=torch.double)
    line = torch.tensor([5.0, -2.0], dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(line[0] * x + line[1], y)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return float(line[0].detach()), float(line[1].detach())


def _small(picture: RgbImage) -> RgbImage:
    """At most as large as a scene, as `pipeline.detector` gives pictures to the graph."""
    scale = SCENE_SIZE[1] / max(picture.shape[:2])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
