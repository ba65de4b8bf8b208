"""`vnome match`: identifies a recorded clip."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.channels import aired_at
from pipeline.console import print_json, timecode
from pipeline.encoder import default_encoder
from pipeline.errors import EXIT_DONE, EXIT_UNKNOWN
from pipeline.library import Library
from pipeline.matching import matcher_of
from pipeline.media import probe, read_frames
from pipeline.prefetch import read_ahead
from pipeline.query import QUERY_FPS
from pipeline.reference import CatalogueReference
from pipeline.session import identify_clip
from pipeline.store import open_store

READ_AHEAD_FRAMES = 16


def match(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="Phone footage or a plain copy.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Identify a recorded clip: which video, and at which moment."""
    probe(clip)  # a wrong path is told before the server is started
    with open_store() as store:
        library = Library(store)
        encoder = default_encoder()
        library.check_encoder(encoder.bundle.sha256)
        matcher = matcher_of(CatalogueReference(library), encoder.bundle)
        frames = read_ahead(read_frames(clip, max_fps=QUERY_FPS), READ_AHEAD_FRAMES)
        answer = identify_clip(frames, encoder, matcher)
        found = answer.match
        record = library.resolve([found.number])[found.number] if found else None
    if json:
        row = (
            found
            and record
            and {
                "video": record.id,
                "title": record.title,
                "at_seconds": round(found.at_seconds, 2),
                "query_seconds": round(answer.query_seconds, 2),
                "confidence": round(found.confidence, 6),
                "speed": round(found.speed, 4),
            }
        )
        if row and found and record and record.is_live:
            row["aired_at"] = aired_at(record, found.at_seconds)
        print_json({"matches": [row] if row else [], "frames": answer.frames, "seconds": round(answer.seconds, 3)})
    elif found and record:
        print(
            f"{record.title}  at {timecode(found.at_seconds)}  "
            f"(video {record.id}, confidence {found.confidence:.4f}, {answer.query_seconds:.1f} s of clip needed)"
        )
    else:
        print(f"unknown: nothing in the catalogue shows this clip ({answer.seconds:.1f} s seen)")
    return EXIT_DONE if found else EXIT_UNKNOWN
