"""`vnome match`: identifies a recorded clip."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import in_words, print_json, timecode
from pipeline.encoder import default_encoder
from pipeline.errors import EXIT_DONE, EXIT_UNKNOWN
from pipeline.library import Library
from pipeline.match_document import match_document
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
        document = match_document(answer, library)
    found = next(iter(document["matches"]), None)
    if json:
        print_json(document)
    elif found:
        print(
            f"{found['title']}  at {timecode(found['at_seconds'])}  (video {found['video']}, "
            f"confidence {found['confidence']:.4f}, {found['query_seconds']:.1f} s of clip needed)"
            f"{in_words(found['labels'])}"
        )
    else:
        print(f"unknown: nothing in the catalogue shows this clip ({answer.seconds:.1f} s seen)")
    return EXIT_DONE if found else EXIT_UNKNOWN
