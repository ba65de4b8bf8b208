"""`vnome inspect`: what VNOME sees in pictures and clips."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.console import print_json
from pipeline.drawing import SeenFrame, save_picture, sheet
from pipeline.encoder import Encoder, batches_of_one_size, default_encoder, whole_picture
from pipeline.errors import EXIT_DONE
from pipeline.media import probe, read_frames

BATCH = 8
MOST_DRAWN = 30  # frames on the picture; more would be too small to read
WHOLE_PICTURE_CONFIDENCE = 0.0  # the screen is taken to fill the picture, it was not found


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
    encoder = default_encoder()
    for source in sources:
        for frame in _seen(source, encoder, fps):
            rows.append(_row(frame))
            if picture and len(drawn) < MOST_DRAWN:
                drawn.append(frame)
            if not json:
                weakest = float(frame.margins.min())
                print(f"{frame.source}  {frame.at_seconds:8.2f} s  0x{frame.code:08x}  least margin {weakest:.2f} nats")
    if picture:
        save_picture(sheet(drawn), picture)
    if json:
        print_json({"frames": rows})
    return EXIT_DONE


def _seen(source: Path, encoder: Encoder, fps: float) -> Iterator[SeenFrame]:
    for batch in batches_of_one_size(read_frames(source, max_fps=fps), BATCH):
        screens = [whole_picture(frame.image) for frame in batch]
        coded = encoder.encode_views(batch, [screens])[0]
        for frame, screen, code, margins in zip(batch, screens, coded.codes, coded.margins, strict=True):
            yield SeenFrame(
                str(source), frame.pts_seconds, frame.image, screen, WHOLE_PICTURE_CONFIDENCE, int(code), margins
            )


def _row(frame: SeenFrame) -> dict[str, Any]:
    return {
        "source": frame.source,
        "at_seconds": round(frame.at_seconds, 3),
        "screen": None if frame.screen is None else frame.screen.round(1).tolist(),
        "screen_confidence": frame.screen_confidence,
        "code": f"0x{frame.code:08x}",
        "margins": [round(float(margin), 3) for margin in frame.margins],
        "labels": [],
    }
