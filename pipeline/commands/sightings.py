"""`vnome sightings`: what was seen where and when."""

import csv
import re
import sys
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from pipeline.console import in_words, print_json, timecode
from pipeline.errors import EXIT_DONE, InputError
from pipeline.film_labels import FilmLabels
from pipeline.library import Library
from pipeline.recogniser import Labels
from pipeline.sightings import Sighting, Sightings, labels_of
from pipeline.store import open_store

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
COLUMNS = ("video", "title", "camera", "start", "end", "film_start", "film_end", "confidence", "open", "id", "labels")


def sightings(
    video: Annotated[str | None, typer.Argument(metavar="[VIDEO]", help="Id of one video.", show_default=False)] = None,
    camera: Annotated[str | None, typer.Option(metavar="ID", help="On this camera only.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="2026-11-26T20:15 (local time), or 30m, 2h, 1d ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="As --since.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The newest so many.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> int:
    """List what was seen: which video, on which camera, from when to when, and which part of it."""
    if json and as_csv:
        raise InputError("--json and --csv are two forms; give one")
    start, end = (_epoch(text, name) for text, name in ((since, "--since"), (until, "--until")))
    with open_store() as store:
        seen, library = Sightings(store), Library(store)
        if video is not None and not seen.known(video):
            library.get(video)  # its error names near ids
        found = seen.find(video, camera, start, end, limit)
        labels = labels_of(found, library, FilmLabels(store))
    if json:
        rows = [{**sighting.document(), "labels": shown} for sighting, shown in zip(found, labels, strict=True)]
        print_json({"sightings": rows})
    elif as_csv:
        _print_csv(found, labels)
    else:
        for sighting, shown in zip(found, labels, strict=True):
            print(_line(sighting) + in_words(shown))
    return EXIT_DONE


def _print_csv(found: list[Sighting], labels: list[Labels]) -> None:
    table = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    table.writeheader()
    for sighting, shown in zip(found, labels, strict=True):
        more = {name: _utc(getattr(sighting, name)) for name in ("start", "end")}
        more["labels"] = "; ".join(label for label, _ in shown)
        table.writerow({**sighting.document(), **more})


def _line(sighting: Sighting) -> str:
    """For people: local time, how long, where, what."""
    start = datetime.fromtimestamp(sighting.start).strftime("%Y-%m-%d %H:%M:%S")
    long = "on now" if sighting.open else f"{sighting.end - sighting.start:.0f} s"
    part = f"{timecode(sighting.film_start)} - {timecode(sighting.film_end)}"
    return f"{start}  {long:>7}  {sighting.camera}  {sighting.title}  {part}  (confidence {sighting.confidence:.4f})"


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _epoch(text: str | None, option: str) -> float | None:
    """Raises InputError for what is no time."""
    if text is None:
        return None
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return time.time() - float(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        raise InputError(f"{option} {text!r} is no time; give 2026-11-26T20:15, or 30m, 2h, 1d for ago") from None
