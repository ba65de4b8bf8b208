"""`vnome inspect`: what VNOME sees in pictures and clips."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipeline.console import in_words, print_json
from pipeline.detector import SURE, ScreenDetector, default_detector
from pipeline.drawing import SeenFrame, save_picture, sheet
from pipeline.encoder import Encoder, batches_of_one_size, default_encoder, whole_picture
from pipeline.errors import EXIT_DONE
from pipeline.media import probe, read_frames
from pipeline.recogniser import Recogniser, default_recogniser

BATCH = 8
MOST_DRAWN = 30  # frames on the picture; more would be too small to read


def inspect(
    sources: Annotated[
        list[Path], typer.Argument(metavar="IMAGE|CLIP...", help="Pictures or clips.", show_default=False)
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    picture: Annotated[Path | None, typer.Option(metavar="OUT.png", help="Draw it on the frames.")] = None,
    fps: Annotated[float, typer.Option(min=0.01, help="Frames of a clip to look at, a second.")] = 1.0,
) -> int:
    """Show what VNOME sees: screen corners, code, margins and labels of each frame."""
    for source in sources:
        probe(source)
    rows: list[dict[str, Any]] = []
    drawn: list[SeenFrame] = []
    encoder, detector, recogniser = default_encoder(), default_detector(), default_recogniser()
    for source in sources:
        for frame in _seen(source, encoder, detector, recogniser, fps):
            rows.append(_row(frame))
            if picture and len(drawn) < MOST_DRAWN:
                drawn.append(frame)
            if not json:
                print(_line(frame))
    if picture:
        save_picture(sheet(drawn), picture)
    if json:
        print_json({"frames": rows})
    return EXIT_DONE


def _seen(
    source: Path, encoder: Encoder, detector: ScreenDetector, recogniser: Recogniser | None, fps: float
) -> Iterator[SeenFrame]:
    """Each frame by itself: its screen where one is surely seen, code and labels of the screen or the whole picture."""
    about = probe(source)
    for batch in batches_of_one_size(read_frames(source, max_fps=fps), BATCH):
        found = detector.detect([frame.image for frame in batch])
        screens = [seen.corners if seen.confidence > SURE else None for seen in found]
        places = [
            whole_picture(frame.image) if screen is None else screen
            for frame, screen in zip(batch, screens, strict=True)
        ]
        coded = encoder.encode_views(batch, [places])[0]
        labels = recogniser.recognise([frame.image for frame in batch], places) if recogniser else [[] for _ in batch]
        stored = max(about.width, about.height, *batch[0].image.shape[:2])  # frames are read at a smaller size
        scale = stored / max(batch[0].image.shape[:2])
        for i, (frame, screen, seen) in enumerate(zip(batch, screens, found, strict=True)):
            yield SeenFrame(
                source=str(source),
                at_seconds=frame.pts_seconds,
                image=frame.image,
                screen=screen,
                screen_confidence=seen.confidence,
                code=int(coded.codes[i]),
                margins=coded.margins[i],
                labels=labels[i],
                scale=scale,
            )


def _line(frame: SeenFrame) -> str:
    where = "no screen found, the whole picture is coded"
    if frame.screen is not None:
        where = "screen at " + " ".join(f"{x:.0f},{y:.0f}" for x, y in (frame.screen * frame.scale).tolist())
    return (
        f"{frame.source}  {frame.at_seconds:8.2f} s  0x{frame.code:08x}  {where}  "
        f"(confidence {frame.screen_confidence:.2f}){in_words(frame.labels)}"
    )


def _row(frame: SeenFrame) -> dict[str, Any]:
    return {
        "source": frame.source,
        "at_seconds": round(frame.at_seconds, 3),
        "screen": None if frame.screen is None else (frame.screen.astype(np.float64) * frame.scale).round(1).tolist(),
        "screen_confidence": round(frame.screen_confidence, 4),
        "code": f"0x{frame.code:08x}",
        "margins": [round(float(margin), 3) for margin in frame.margins],
        "labels": [[label, round(share, 4)] for label, share in frame.labels],
    }
