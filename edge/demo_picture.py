"""The picture that proves a demo: what the phone saw, what was made of it, what it matched, and when."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from pipeline.drawing import outline_screen
from pipeline.errors import InputError
from pipeline.frames import RgbImage

RECTIFIED = (480, 270)  # pixels, width and height


@dataclass(frozen=True)
class DemoScene:
    """What to draw. screen: corners float32 (4, 2) in the phone's picture. matched: the film's frame, or None.

    traces: by film, (seconds of phone video, confidence).
    """

    phone: RgbImage = field(repr=False)
    screen: npt.NDArray[np.float32]
    matched: RgbImage | None = field(repr=False)
    title: str
    traces: dict[str, list[tuple[float, float]]]


def draw_demo(scene: DemoScene, path: Path) -> None:
    """Writes the picture as PNG. Raises InputError when the path cannot be written."""
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(12, 7), layout="constrained")
        axes = figure.subplots(2, 2)
        _show(axes[0, 0], outline_screen(scene.phone, scene.screen), "what the phone sees, the screen outlined")
        _show(axes[0, 1], _rectified(scene.phone, scene.screen), "the screen, rectified")
        blank = np.zeros((RECTIFIED[1], RECTIFIED[0], 3), np.uint8)
        caption = "the film at the moment found" if scene.matched is not None else "nothing was found"
        _show(axes[1, 0], scene.matched if scene.matched is not None else blank, caption)
        plot = axes[1, 1]
        for name, trace in scene.traces.items():
            plot.plot([at for at, _ in trace], [value for _, value in trace], marker="o", label=name)
        plot.set(xlabel="seconds of phone video", ylabel="confidence of the best guess", ylim=(-0.03, 1.03))
        plot.legend(loc="center right")
        plot.grid(alpha=0.3)
        figure.suptitle(scene.title)
        try:
            figure.savefig(path, dpi=110)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def _show(axes: "matplotlib.axes.Axes", image: RgbImage, caption: str) -> None:
    axes.imshow(image)
    axes.set_title(caption)
    axes.set_axis_off()


def _rectified(image: RgbImage, corners: npt.NDArray[np.float32]) -> RgbImage:
    width, height = RECTIFIED
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    transform = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    return np.asarray(cv2.warpPerspective(image, transform, RECTIFIED), np.uint8)
