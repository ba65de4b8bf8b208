"""The evaluation as pictures: curves from its result, and a gallery of what went wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np

from export.report import PHONE, failures
from pipeline.detector import ScreenFinder
from pipeline.frames import RgbImage
from pipeline.media import read_frames
from pipeline.screen import ScreenTracker

mpl.use("Agg")  # no window, before pyplot is imported
import matplotlib.pyplot as plt

GALLERY, COLUMNS = 16, 4
TILE = (320, 214)  # pixels, width and height, of which the text takes the last 34


def draw_all(result: dict[str, Any], folder: Path, identifier: str, detector: ScreenFinder) -> list[Path]:
    """Writes the plots that the result has figures for; returns their paths."""
    drawn = [
        _identification(result, folder),
        _error_trade_off(result, folder),
        _reliability(result, folder, identifier),
    ]
    if result["probes"]["levels"]:
        drawn.append(_probes(result, folder))
    drawn.append(_gallery(failures(result["outcomes"], identifier), folder, detector))
    return [path for path in drawn if path]


def _identification(result: dict[str, Any], folder: Path) -> Path | None:
    """Share identified against seconds of clip, a panel a level, with 95 % intervals."""
    names = list(result["identifiers"])
    conditions = [name for name in result["identifiers"][names[0]]["conditions"] if name.startswith(PHONE)]
    if not conditions:
        return None
    figure, axes = plt.subplots(1, len(conditions), figsize=(5 * len(conditions), 4), sharey=True, squeeze=False)
    for axis, condition in zip(axes[0], conditions, strict=True):
        for name in names:
            lengths = result["identifiers"][name]["conditions"][condition]["lengths"]
            x = [float(length) for length in lengths]
            y = np.array([100 * row["right"] for row in lengths.values()])
            spread = 100 * np.array([row["right_95"] for row in lengths.values()]).T
            axis.errorbar(
                x, y, yerr=[(y - spread[0]).clip(0), (spread[1] - y).clip(0)], label=name, marker="o", capsize=2
            )
        axis.set(title=condition, xlabel="seconds of clip", ylim=(-3, 103))
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("right film and second, %")
    axes[0][-1].legend(fontsize=7)
    return _saved(figure, folder / "identification.png")


def _error_trade_off(result: dict[str, Any], folder: Path) -> Path | None:
    curves = {name: part["error_trade_off"] for name, part in result["identifiers"].items() if part["error_trade_off"]}
    if not curves:
        return None
    figure, axis = plt.subplots(figsize=(5, 4))
    for name, points in curves.items():
        axis.plot([100 * p["false_alarm"] for p in points], [100 * p["miss"] for p in points], label=name)
    axis.set(xlabel="wrong answers, % of all clips", ylabel="known clips missed, %", xscale="symlog")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
    return _saved(figure, folder / "error-trade-off.png")


def _reliability(result: dict[str, Any], folder: Path, identifier: str) -> Path | None:
    """How often answers of each confidence are right, and bits of each margin flip."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    rows = result["identifiers"][identifier]["confidence"]
    left.plot([row["confidence"] for row in rows], [row["right"] for row in rows], marker="o")
    left.plot([0, 1], [0, 1], color="grey", linewidth=0.7)
    left.set(xlabel="confidence", ylabel="share right", title="answers")
    bits = result["probes"]["margins"]
    right.plot([row["promised"] for row in bits], [row["flipped"] for row in bits], marker="o")
    right.plot([0, 0.5], [0, 0.5], color="grey", linewidth=0.7)
    right.set(xlabel="promised by the margin", ylabel="share flipped", title="bits")
    return _saved(figure, folder / "reliability.png")


def draw_reliability(rows: Sequence[dict[str, float]], path: Path) -> Path:
    """How often what a recogniser says is so: rows as `export.recogniser_bundle.reliability` gives them."""
    figure, axis = plt.subplots(figsize=(4.5, 4))
    axis.plot([row["said"] for row in rows], [row["shown"] for row in rows], marker="o")
    axis.plot([0, 1], [0, 1], color="grey", linewidth=0.7)
    axis.set(xlabel="probability that is said", ylabel="share that shows it")
    return _saved(figure, path)


def _probes(result: dict[str, Any], folder: Path) -> Path | None:
    figure, axis = plt.subplots(figsize=(5, 4))
    for number, (level, row) in enumerate(result["probes"]["levels"].items()):
        color = f"C{number}"
        probes = row["hits_by_probes"]
        axis.plot([int(n) for n in probes], [100 * share for share in probes.values()], color=color, label=level)
        for radius, share in row["hits_by_radius"].items():
            axis.plot(row["codes_in_radius"][radius], 100 * share, "x", color=color)
    axis.set(xscale="log", xlabel="look-ups a frame (x: radius 0, 1, 2)", ylabel="frames whose code is found, %")
    axis.grid(alpha=0.3)
    axis.legend()
    return _saved(figure, folder / "probes.png")


def _gallery(missed: Sequence[dict[str, Any]], folder: Path, detector: ScreenFinder) -> Path | None:
    """A frame of each failure with the screen that was found, and what was answered."""
    if not missed:
        return None
    tiles = [_tile(outcome, detector) for outcome in missed[:GALLERY]]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    path = folder / "failures.png"
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    return path


def _tile(outcome: dict[str, Any], detector: ScreenFinder) -> RgbImage:
    tracker, seen, image = ScreenTracker(), None, None
    for frame in read_frames(Path(outcome["clip"]), max_fps=10.0, end_seconds=2.0):
        image = frame.image.copy()
        seen = tracker.add(detector.detect([image])[0], image.shape[:2], frame.pts_seconds)
    last = outcome["guesses"][-1]
    tile = np.zeros((TILE[1], TILE[0], 3), np.uint8)
    if image is not None:
        if seen is not None:
            cv2.polylines(image, [seen.corners.round().astype(np.int32)], True, (0, 255, 0), 2)
        tile[:-34] = cv2.resize(image, (TILE[0], TILE[1] - 34), interpolation=cv2.INTER_AREA)
    answer = f"{last['film']} at {last['at_seconds']:.1f}" if last["film"] else "nothing"
    texts = (
        f"{outcome['condition']}: {outcome['film'][:24]} {outcome['start_seconds']:.1f}",
        f"{'ANSWERED' if last['accepted'] else 'unknown'}: {answer[:32]} ({last['odds']['film']:.0f} nats)",
    )
    for line, text in enumerate(texts):
        cv2.putText(tile, text, (4, TILE[1] - 22 + 14 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.34, (255, 255, 255), 1)
    return tile


def _saved(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
