"""`vnome search`: videos by title, moments by what they show and by what is said in them."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import complain, print_json, timecode
from pipeline.contact_sheet import CELL_WIDTH, MOST_CELLS, draw_sheet, write_sheet
from pipeline.edl import MIDNIGHT, MOST_EVENTS, Clip, edit_list
from pipeline.errors import EXIT_DONE, EXIT_UNKNOWN, InputError, MediaError
from pipeline.frames import RgbImage
from pipeline.library import Library
from pipeline.media import SourceInfo, probe, read_frames
from pipeline.search import Hit, Search, Wanted
from pipeline.store import open_store
from pipeline.timecodes import Rate, is_timecode, rate_near, rate_of
from pipeline.videos import VideoRecord

USUAL_RATE = Rate(25)  # where nothing is known of the films


class KindOption(StrEnum):
    """What is looked through."""

    TITLE = "title"
    LABEL = "label"
    SUBTITLE = "subtitle"


@dataclass(frozen=True)
class _Film:
    """A video with its file. path, about: None where the file is not at hand."""

    record: VideoRecord
    path: Path | None
    about: SourceInfo | None


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="All of them must be there.")],
    kind: Annotated[KindOption | None, typer.Option(help="Look through these alone.")] = None,
    language: Annotated[str | None, typer.Option(help="Of subtitles.")] = None,
    video: Annotated[str | None, typer.Option(metavar="ID", help="In this video alone.")] = None,
    shortest: Annotated[float, typer.Option(min=0, help="Seconds that a moment lasts at least.")] = 0.0,
    limit: Annotated[int, typer.Option(min=1, help="Results at most.")] = 50,
    sheet: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the moments; needs --films.")] = None,
    films: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the films lie, for --sheet and --edl.")
    ] = None,
    edl: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the moments as an edit decision list (CMX 3600).")
    ] = None,
    fps: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Of --edl: 23.976 to 60; 29.97df drops numbers.  [default: the films']"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Find videos by title, and moments by what they show (labels) and what the subtitles say, best first."""
    if films is not None and not films.is_dir():
        raise InputError(f"--films {films} is not a folder; give the one in which the indexed films lie")
    if sheet is not None and films is None:
        raise InputError("--sheet needs --films, the folder in which the indexed films lie")
    rate, query = rate_of(fps) if fps is not None else None, " ".join(words)
    wanted = Wanted(kind.value if kind else None, language, video, shortest)
    with open_store() as store:
        library = Library(store)
        looked = Search(library)
        found = looked.find(query, wanted)
        near = [] if found else looked.near(query, wanted)
        shown = found[:limit]
        moments = [hit for hit in shown if hit.kind != "title"]
        at_hand = _films(library, moments, films) if sheet or edl else {}
    moments = [hit for hit in moments if hit.video in at_hand] if sheet or edl else moments
    if edl is not None and _some(moments, edl, MOST_EVENTS):
        _write_edl(edl, query, moments, at_hand, rate)
    if sheet is not None and _some(moments, sheet, MOST_CELLS):
        cells = [(_picture(at_hand[hit.video], hit), _place(hit), hit.text) for hit in moments[:MOST_CELLS]]
        write_sheet(sheet, draw_sheet(cells))
    if json:
        print_json({"results": [hit.document() for hit in shown], "total": len(found), "near": near})
    else:
        _print(shown, near)
    return EXIT_DONE if found else EXIT_UNKNOWN


def _print(shown: Sequence[Hit], near: Sequence[str]) -> None:
    for hit in shown:
        score = f"  ({hit.score:.2f})" if hit.score is not None else ""
        times = f"{timecode(hit.at_seconds)} - {timecode(hit.until_seconds)}"
        print(f"{times}  {hit.video}  {hit.kind}  {hit.text}{score}")
    if not shown:
        print(f"nothing found; there are labels {', '.join(near)}" if near else "nothing found")


def _films(library: Library, moments: Sequence[Hit], folder: Path | None) -> dict[str, _Film]:
    """The films of moments by id, without those that were removed meanwhile."""
    records = library.named(hit.video for hit in moments)
    return {video: _film(record, folder) for video, record in records.items()}


def _film(record: VideoRecord, folder: Path | None) -> _Film:
    path = folder / record.source_name if folder is not None else None
    try:
        return _Film(record, path, probe(path)) if path is not None else _Film(record, None, None)
    except MediaError:
        return _Film(record, None, None)


def _some(moments: Sequence[Hit], path: Path, most: int) -> bool:
    """Whether there is anything to write; says what is not written."""
    if not moments:
        complain(f"no moment was found, {path} is not written")
    elif len(moments) > most:
        complain(f"{path} holds the first {most} of {len(moments)} moments")
    return bool(moments)


def _place(hit: Hit) -> str:
    return f"{timecode(hit.at_seconds)}  {hit.video}"


def _write_edl(path: Path, title: str, moments: Sequence[Hit], films: dict[str, _Film], rate: Rate | None) -> None:
    chosen = rate or next(filter(None, (_rate(films[hit.video]) for hit in moments)), None)
    clips = [_clip(hit, films[hit.video]) for hit in moments]
    try:
        path.write_text(edit_list(title, clips, chosen or USUAL_RATE), encoding="utf-8")
    except OSError as error:
        raise InputError(f"--edl {path} cannot be written: {error.strerror}") from None
    if chosen is None:
        usual = f"{USUAL_RATE.fps:g} frames a second"
        complain(f"{path} is for {usual}, since nothing is known of the films; give --films or --fps")


def _rate(film: _Film) -> Rate | None:
    """The rate of a film's time codes; None where it is not known, or none that editing programs have."""
    about = film.about
    return rate_near(about.frame_rate, ";" in (about.timecode or "")) if about and about.frame_rate else None


def _clip(hit: Hit, film: _Film) -> Clip:
    length = (film.about.duration_seconds if film.about else None) or film.record.duration_seconds
    told = film.about.timecode if film.about else None
    begins = told if told is not None and is_timecode(told) else MIDNIGHT
    text = f"{hit.text} ({hit.title})"
    return Clip(film.record.source_name, text, hit.at_seconds, hit.until_seconds, length, begins)


def _picture(film: _Film, hit: Hit) -> RgbImage | None:
    """The middle of a moment; None where the film is not at hand."""
    if film.path is None:
        return None
    frames = read_frames(film.path, start_seconds=(hit.at_seconds + hit.until_seconds) / 2, max_side=CELL_WIDTH)
    try:
        with closing(frames):  # type: ignore[type-var]
            frame = next(frames, None)
    except MediaError:
        return None
    return frame.image if frame else None
