"""`vnome index`: adds films to the catalogue."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.console import complain, print_json, progress_bar
from pipeline.encoder import Encoder, default_encoder
from pipeline.errors import EXIT_DONE, InputError
from pipeline.indexing import code_film, fingerprint, label_film
from pipeline.labels import Labeller, LabelStore
from pipeline.library import Library
from pipeline.media import probe
from pipeline.recogniser import default_recogniser
from pipeline.store import open_store
from pipeline.subtitles import check_language, read_cues
from pipeline.videos import VideoFields


def index(
    films: Annotated[list[Path], typer.Argument(metavar="FILM...", help="Film files.", show_default=False)],
    video_id: Annotated[
        str | None, typer.Option("--id", help="Video id, for one film.  [default: the file's name without ending]")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title, for one film.  [default: the video id]")] = None,
    subtitles: Annotated[
        list[str] | None,
        typer.Option(metavar="LANG=FILE", help="Subtitles (WebVTT or SRT), for one film; may be repeated."),
    ] = None,
    relabel: Annotated[
        bool, typer.Option("--relabel", help="Label anew also what is unchanged, with the model of VNOME_RECOGNISER.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Add videos to the catalogue. What is there already and unchanged is left alone."""
    if len(films) > 1 and (video_id or title or subtitles):
        raise InputError("--id, --title and --subtitles are for one film; index the films one by one")
    texts = _read_subtitles(subtitles or [])
    failures: list[str] = []
    readable = [film for film in films if _is_readable(film, failures)]
    if relabel and default_recogniser() is None:
        raise InputError("--relabel needs a model; set VNOME_RECOGNISER to the folder of its bundle")
    done = _index_films(readable, video_id, title, texts, json, failures, relabel) if readable else []
    if json:
        print_json({"videos": done, "errors": failures})
    return InputError.exit_code if failures else EXIT_DONE


def _index_films(
    films: list[Path],
    video_id: str | None,
    title: str | None,
    subtitles: dict[str, str],
    json: bool,
    failures: list[str],
    relabel: bool,
) -> list[dict[str, Any]]:
    """Indexes one film after the other; one that fails does not keep the others from it."""
    encoder = default_encoder()
    done: list[dict[str, Any]] = []
    with open_store() as store:
        library = Library(store)
        library.recover()
        for film in films:
            name = video_id or film.stem
            try:
                result = _index_film(library, encoder, film, name, title or name, subtitles, relabel)
            except InputError as error:
                _note(error, failures)
                continue
            done.append(result)
            if not json:
                print(f"{result['outcome']:<10} {name}  {result['seconds']:.1f} s, {result['codes']} codes", flush=True)
    return done


def _is_readable(film: Path, failures: list[str]) -> bool:
    """Whether a film can be opened; a wrong path is told before the server is started."""
    try:
        probe(film)
    except InputError as error:
        _note(error, failures)
        return False
    return True


def _note(error: InputError, failures: list[str]) -> None:
    failures.append(str(error))
    complain(str(error))


def _index_film(
    library: Library, encoder: Encoder, film: Path, name: str, title: str, subtitles: dict[str, str], relabel: bool
) -> dict[str, Any]:
    fields = VideoFields(
        id=name,
        title=title,
        source_name=film.name,
        fingerprint=fingerprint(film),
        encoder=encoder.bundle.sha256,
    )
    known, recogniser = library.unchanged(fields, subtitles), default_recogniser()
    labels = LabelStore(library.store)
    if known is not None:
        if recogniser is not None and (relabel or not labels.of(known.number)):
            with progress_bar(f"label {name}", known.duration_seconds) as bar:
                labels.put(known.number, label_film(film, recogniser, bar.to))
        return _row(name, title, "unchanged", known.duration_seconds, known.runs)
    with progress_bar(f"index {name}", probe(film).duration_seconds) as bar:
        labeller = Labeller(recogniser) if recogniser is not None else None
        coded = code_film(film, encoder, bar.to, labeller)
    outcome = library.add(fields, coded.track, coded.duration_seconds, coded.frames, subtitles, coded.motion)
    if labeller is not None:
        labels.put(library.get(name).number, labeller.stretches(coded.duration_seconds))
    return _row(name, title, outcome, coded.duration_seconds, len(coded.track.codes))


def _row(name: str, title: str, outcome: str, seconds: float, codes: int) -> dict[str, Any]:
    return {"video": name, "title": title, "outcome": outcome, "seconds": round(seconds, 3), "codes": codes}


def _read_subtitles(options: list[str]) -> dict[str, str]:
    """LANG=FILE options -> text by language. Raises InputError for a bad option or file."""
    texts: dict[str, str] = {}
    for option in options:
        language, found, name = option.partition("=")
        if not (found and language and name):
            raise InputError(f"--subtitles {option!r} is not LANG=FILE, as in it=film.it.vtt")
        try:
            text = Path(name).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise InputError(f"subtitles {name} cannot be read: {reason}") from None
        read_cues(text, f"subtitles {name}")
        texts[check_language(language)] = text
    return texts
