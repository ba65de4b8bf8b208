"""`vnome watch`: identifies a source live."""

from typing import Annotated, Any

import typer

from pipeline.console import in_words, print_json, timecode
from pipeline.encoder import default_encoder
from pipeline.errors import EXIT_DONE, EXIT_UNKNOWN
from pipeline.film_labels import FilmLabels
from pipeline.library import Library
from pipeline.matching import matcher_of
from pipeline.media import probe, read_frames_at_pace
from pipeline.query import QUERY_FPS
from pipeline.recogniser import Labels
from pipeline.reference import CatalogueReference
from pipeline.session import LiveEvent, LiveSession
from pipeline.store import open_store


def watch(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A file, webcam:0, /dev/videoN or rtsp://...", show_default=False)
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> int:
    """Identify live: found, still and lost as the source plays. A file plays at its own pace."""
    probe(source)
    found = False
    with open_store() as store:
        library = Library(store)
        encoder = default_encoder()
        library.check_encoder(encoder.bundle.sha256)
        films = FilmLabels(store)
        session = LiveSession(encoder, matcher_of(CatalogueReference(library), encoder.bundle))
        for event in session.follow(read_frames_at_pace(source, max_fps=QUERY_FPS)):
            record = library.resolve([event.match.number]).get(event.match.number)
            name, title = (record.id, record.title) if record else ("(removed)", "(removed)")
            found = True
            labels = [] if event.event == "lost" else films.at(event.match.number, event.match.film_seconds(event.at))
            if json:
                print_json(_document(event, name, title, labels), flush=True)
            else:
                print(_line(event, title, labels), flush=True)
    return EXIT_DONE if found else EXIT_UNKNOWN


def _document(event: LiveEvent, name: str, title: str, labels: Labels) -> dict[str, Any]:
    return {
        "event": event.event,
        "video": name,
        "title": title,
        "at_seconds": round(event.match.film_seconds(event.at), 2),
        "source_seconds": round(event.at, 2),
        "confidence": round(event.match.confidence, 6),
        "speed": round(event.match.speed, 4),
        "labels": labels,
    }


def _line(event: LiveEvent, title: str, labels: Labels) -> str:
    moment = timecode(event.match.film_seconds(event.at))
    sure = f"(confidence {event.match.confidence:.4f})"
    return f"{event.at:8.1f} s  {event.event:<5}  {title}  at {moment}  {sure}{in_words(labels)}"
