"""`vnome search`: videos by title, moments by what they show and by what is said in them."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import print_json, timecode
from pipeline.contact_sheet import draw_sheet, write_sheet
from pipeline.edl import Clip, edit_list
from pipeline.errors import EXIT_DONE, EXIT_UNKNOWN, InputError, MediaError
from pipeline.frames import RgbImage
from pipeline.library import Library
from pipeline.media import read_frames
from pipeline.search import Hit, Search, Wanted
from pipeline.store import open_store


class KindOption(StrEnum):
    """What is looked through."""

    TITLE = "title"
    LABEL = "label"
    SUBTITLE = "subtitle"


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="All of them must be there.")],
    kind: Annotated[KindOption | None, typer.Option(help="Look through these alone.")] = None,
    language: Annotated[str | None, typer.Option(help="Of subtitles.")] = None,
    video: Annotated[str | None, typer.Option(metavar="ID", help="In this video alone.")] = None,
    shortest: Annotated[float, typer.Option(min=0, help="Seconds that a moment lasts at least.")] = 0.0,
    limit: Annotated[int, typer.Option(min=1, help="Results at most.")] = 50,
    sheet: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the moments; needs --films.")] = None,
    films: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the films lie, for --sheet.")] = None,
    edl: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the moments as an edit decision list.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Find videos by title, and moments by what they show (labels) and what the subtitles say, best first."""
    if sheet is not None and (films is None or not films.is_dir()):
        raise InputError("--sheet needs --films, the folder in which the indexed films lie")
    with open_store() as store:
        library = Library(store)
        wanted = Wanted(kind.value if kind else None, language, video, shortest)
        found = Search(library).find(" ".join(words), wanted)
        files = {record.id: record.source_name for record in library.videos()} if sheet or edl else {}
    shown = found[:limit]
    moments = [hit for hit in shown if hit.kind != "title"]
    if edl is not None:
        _write_edl(edl, " ".join(words), moments, files)
    if sheet is not None and films is not None and moments:
        cells = [(_picture(films / files[hit.video], hit), _place(hit), hit.text) for hit in moments]
        write_sheet(sheet, draw_sheet(cells))
    if json:
        print_json({"results": [hit.document() for hit in shown], "total": len(found)})
    else:
        for hit in shown:
            score = f"  ({hit.score:.2f})" if hit.score is not None else ""
            times = f"{timecode(hit.at_seconds)} - {timecode(hit.until_seconds)}"
            print(f"{times}  {hit.video}  {hit.kind}  {hit.text}{score}")
        if not found:
            print("nothing found")
    return EXIT_DONE if found else EXIT_UNKNOWN


def _place(hit: Hit) -> str:
    return f"{timecode(hit.at_seconds)}  {hit.video}"


def _write_edl(path: Path, title: str, moments: Sequence[Hit], files: dict[str, str]) -> None:
    clips = [Clip(files[hit.video], f"{hit.text} ({hit.title})", hit.at_seconds, hit.until_seconds) for hit in moments]
    try:
        path.write_text(edit_list(title, clips), encoding="utf-8")
    except OSError as error:
        raise InputError(f"--edl {path} cannot be written: {error.strerror}") from None


def _picture(film: Path, hit: Hit) -> RgbImage | None:
    """The middle of a moment; None where the film is not at hand."""
    try:
        frame = next(read_frames(film, start_seconds=(hit.at_seconds + hit.until_seconds) / 2), None)
    except MediaError:
        return None
    return frame.image if frame else None
