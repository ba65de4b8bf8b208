"""The recogniser's bundle: calibration, thresholds, export to ONNX, the check against torch, and its card."""

# N pictures, L labels

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch.nn import functional

from export.bundling import to_onnx, write_bundle
from export.fitting import platt
from export.networks.classifier import ClassifierNetwork
from export.recogniser_data import RecogniserData, picture_targets
from export.recogniser_graph import HEIGHT, WIDTH, LabelCalibration, RecogniserGraph
from export.vocabulary import SHOWN, UNKNOWN, Vocabulary, vocabulary
from pipeline.errors import BundleError
from pipeline.recogniser import RECOGNISER

PRECISION = 0.9  # of what is told of unseen pictures: a label's threshold is the least probability that keeps it
LEAST_THRESHOLD, MOST_THRESHOLD = 0.5, 0.98
PARITY = 1e-3  # largest difference of a probability between torch and ONNX Runtime
TOGETHER = 100  # pictures that are looked at together
RELIABILITY_BINS = 10
CIFAR_STRIDE = 8  # one of so many test pictures of CIFAR-10 is used: they are small and blurred, unlike films

Frames = npt.NDArray[np.uint8]  # (N, 64, 128, 3) RGB
Values = npt.NDArray[np.float32]  # (N, L)
Weights = npt.NDArray[np.float64]  # (N,), how often a picture counts
Marks = npt.NDArray[np.int8]  # (N, L), see `export.vocabulary`


def write_recogniser(
    network: ClassifierNetwork, unseen: RecogniserData, card: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Writes the bundle of a trained network, calibrated and measured on `unseen`. Returns the whole card.

    Half of the pictures calibrate, see `_halves`, and the others are what the card reports.
    """
    words = vocabulary()
    frames, targets = unseen_frames(unseen)
    calibrates, weight = _halves(unseen.films.film, len(frames))
    count = len(words.labels)
    plain = RecogniserGraph(network, words, LabelCalibration(torch.ones(count), torch.zeros(count)))
    logits = _in_parts(plain.logits, frames[calibrates])
    graph = RecogniserGraph(network, words, calibrate(logits, targets[calibrates], weight)).eval()
    chance = _in_parts(graph, frames)
    told = chance[calibrates]
    thresholds = {name: threshold(told[:, k], targets[calibrates, k], weight) for k, name in enumerate(words.labels)}
    model = recogniser_model(graph)
    known = {
        "inputs": {"frames": f"uint8 (N, {HEIGHT}, {WIDTH}, 3) RGB, the film's picture"},
        "outputs": {"probabilities": f"float32 (N, {count}), of each label on its own"},
        "labels": list(words.labels),
        "parents": words.parents,
        "size": [HEIGHT, WIDTH],
        "thresholds": thresholds,
        "parity_largest_probability_difference": check_parity(graph, model, frames[:: max(1, len(frames) // 16)]),
        "quality": quality(chance[~calibrates], targets[~calibrates], thresholds, words),
    }
    return write_bundle(model, RECOGNISER, {**known, **card}, folder)


def _halves(film: npt.NDArray[np.int64], count: int) -> tuple[npt.NDArray[np.bool_], Weights]:
    """Which of the N pictures calibrate, bool (N,), and how often each of these counts.

    Every second picture of the sets, and of the frames, which come last, those of every second film. Pictures and
    frames weigh as much in all: films are what is labelled, but only pictures show every label.
    film: (frames,), the film of each frame.
    """
    pictures = count - len(film)
    calibrates = np.concatenate([np.arange(pictures) % 2 == 0, film % 2 == 0])
    weight = np.concatenate([np.ones(pictures), np.full(len(film), pictures / len(film))])
    return calibrates, weight[calibrates]


def recogniser_model(graph: RecogniserGraph) -> onnx.ModelProto:
    """The graph for any number of pictures."""
    frames = torch.randint(0, 255, (2, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=4096)
    return to_onnx(graph, {"frames": frames}, ["probabilities"], {"frames": {0: batch}})


def check_parity(graph: RecogniserGraph, model: onnx.ModelProto, frames: Frames) -> float:
    """Largest difference of a probability between torch and ONNX Runtime. Raises BundleError above `PARITY`."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (said,) = session.run(["probabilities"], {"frames": frames})
    largest = float(np.abs(_in_parts(graph, frames) - said).max())
    if largest > PARITY:
        raise BundleError(f"ONNX Runtime and torch disagree on the recogniser (by {largest:.2g}); do not ship it")
    return largest


def unseen_frames(data: RecogniserData) -> tuple[Frames, Marks]:
    """Test pictures and held-out frames as the graph takes them, and what they show.

    A square picture is widened to the shape of a film by mirroring it at its sides, as if it were in the middle.
    """
    cifar = data.cifar.take(np.arange(0, len(data.cifar), CIFAR_STRIDE))
    square = [_widened(data.tiny.pictures), _widened(cifar.pictures)]
    frames = np.concatenate([*square, _sized(torch.from_numpy(data.films.frames).float())])
    targets = np.concatenate([
        picture_targets(data.tiny)[data.tiny.classes],
        picture_targets(cifar)[cifar.classes],
        data.films.targets[data.films.film],
    ])  # fmt: skip
    return frames, targets


def calibrate(logits: Values, targets: Marks, weight: Weights) -> LabelCalibration:
    """Slope and offset of each label, by `export.fitting.platt`; a label that is never shown keeps 1 and 0."""
    fits = []
    for k in range(logits.shape[1]):
        known = targets[:, k] != UNKNOWN
        shown = targets[known, k] == SHOWN
        log_odds = logits[known, k].astype(np.float64)
        fits.append(platt(log_odds, shown, weight[known]) if shown.any() else (1.0, 0.0))
    slope, offset = np.array(fits, np.float32).T
    return LabelCalibration(torch.from_numpy(slope.copy()), torch.from_numpy(offset.copy()))


def threshold(chance: npt.NDArray[np.float32], targets: npt.NDArray[np.int8], weight: Weights) -> float:
    """The least probability from which on `PRECISION` of the pictures show the label, within bounds."""
    known = targets != UNKNOWN
    order = np.argsort(-chance[known], kind="stable")
    shown = (targets[known] == SHOWN)[order]
    often = weight[known][order]
    good = np.cumsum(shown * often) / np.cumsum(often) >= PRECISION
    least = float(chance[known][order][good.nonzero()[0].max()]) if good.any() else 1.0
    return round(min(max(least, LEAST_THRESHOLD), MOST_THRESHOLD), 3)


def quality(chance: Values, targets: Marks, thresholds: dict[str, float], words: Vocabulary) -> dict[str, Any]:
    """What the card says: precision and recall of what is told, by label, and how far probabilities can be trusted."""
    of_labels = {}
    for k, name in enumerate(words.labels):
        known = targets[:, k] != UNKNOWN
        shown, told = targets[known, k] == SHOWN, chance[known, k] >= thresholds[name]
        right = int((shown & told).sum())
        of_labels[name] = {
            "shown": int(shown.sum()),
            "told": int(told.sum()),
            "precision": round(right / int(told.sum()), 3) if told.any() else None,
            "recall": round(right / int(shown.sum()), 3) if shown.any() else None,
        }
    known = targets != UNKNOWN
    return {
        "on": f"{len(chance)} test pictures and frames of held-out films that neither trained nor calibrated it",
        "labels": of_labels,
        "reliability": reliability(chance[known], targets[known] == SHOWN),
    }


def reliability(chance: npt.NDArray[np.float32], shown: npt.NDArray[np.bool_]) -> list[dict[str, float]]:
    """In bins of probability: the mean of what was said, and the share that was so."""
    place = np.minimum((chance * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    return [
        {
            "said": round(float(chance[place == b].mean()), 4),
            "shown": round(float(shown[place == b].mean()), 4),
            "pictures": int((place == b).sum()),
        }
        for b in range(RELIABILITY_BINS)
        if (place == b).any()
    ]


def _in_parts(graph: Any, frames: Frames) -> Values:
    with torch.no_grad():
        parts = [graph(torch.from_numpy(frames[at : at + TOGETHER])) for at in range(0, len(frames), TOGETHER)]
    return np.asarray(torch.cat(parts).numpy(), np.float32)


def _widened(pictures: npt.NDArray[np.uint8]) -> Frames:
    """Square pictures (N, 3, S, S) in the middle of the shape of a film."""
    side = pictures.shape[2]
    edge = round(side * (16 / 9 - 1) / 2)
    return _sized(functional.pad(torch.from_numpy(pictures).float(), (edge, edge, 0, 0), mode="reflect"))


def _sized(pictures: torch.Tensor) -> Frames:
    mode = "area" if pictures.shape[2] >= HEIGHT else "bilinear"
    sized = functional.interpolate(pictures, (HEIGHT, WIDTH), mode=mode)
    return np.asarray(sized.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy(), np.uint8)
