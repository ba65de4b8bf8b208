"""`make bench-index`: real films hidden among invented ones, at growing sizes: time, bytes, what is found.

make bench-index ARGS="--films FOLDER --unknown FOLDER --sizes 1000000,10000000,100000000"

At each size the table holds so many postings of invented films with real code statistics (`tests.benchmarks.crowd`)
and the real films. Queries are 5-second clips of the real films, edited and coded for real, 25 frames each, and clips
of films that are not there. Side by side on the same codes: FAISS's binary indexes, and a scan. An invented film's
track follows from its number; for it a real block is read from the server, and the time to invent it is not counted.

--as-dense-as FRAMES adds a row: the largest table again with some bits of all codes held at 0, so that a code has as
many postings as in a table of so many frames, and a look-up finds as many by chance.
"""

import argparse
import json
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.demo import sample_films
from export.data import films_in
from export.edits import EDITS, write_clip
from pipeline import keys
from pipeline.buckets import PARTITIONS, mix, partitions_of
from pipeline.codes import CodeArray, FrameCodes
from pipeline.encoder import default_encoder, whole_picture
from pipeline.evidence import EvidenceModel
from pipeline.indexing import code_film
from pipeline.library import Library
from pipeline.lut import RedisLut
from pipeline.matching import Matcher, matcher_of
from pipeline.media import probe, read_frames
from pipeline.partitions import Contents
from pipeline.postings import Hits, Postings
from pipeline.probing import probe_codes
from pipeline.reference import CatalogueReference
from pipeline.store import Store, open_store
from pipeline.tracks import BLOCK_MS, Track
from pipeline.videos import VideoFields
from tests.benchmarks.crowd import FILM_POSTINGS, FIRST_NUMBER, Crowd
from tests.benchmarks.plots import index_plot
from tests.benchmarks.servers import memory_server
from tests.mixing import unmix

SIZES = "1000000,10000000,100000000"
SECONDS, FPS = 5.0, 5.0  # of a query
ALL_BITS = 0xFFFFFFFF
FRAMES_A_SECOND, POSTINGS_A_SECOND = 25.0, 2.0  # of a film
CHANGES = ("copy", "half size, a third of the bitrate", "crop to 90 %", "greyscale", "gamma 1.4", "subtitle band")
NEAR_SECONDS = 1.5  # a posting of the film so close to the frame's moment is its hit
CLIENTS, CLIENT_SECONDS = 8, 6.0
REPEATS = 3  # of every query


@dataclass(frozen=True)
class Clip:
    """codes: of its frames. film: its number, 0 for one that is not there. start_seconds: where in the film."""

    codes: FrameCodes
    film: int
    start_seconds: float


class CrowdedReference(CatalogueReference):
    """The catalogue, with the tracks of invented films. aside: seconds spent inventing, not to be counted.

    crowd: None leaves the real block in the place of an invented one, where only time counts. mask: bits of codes that
    are looked up.
    """

    def __init__(self, library: Library, crowd: Crowd | None, stand_in: int, mask: int = ALL_BITS) -> None:
        super().__init__(library)
        self._crowd, self._stand_in, self._mask = crowd, stand_in, np.uint32(mask)
        self.aside = 0.0
        self.found = 0

    def lookup(self, codes: CodeArray) -> Hits:
        """Postings of the codes, but for the bits that are held at 0."""
        hits = super().lookup(codes & self._mask)
        self.found += len(hits.probe)
        return hits

    def tracks(self, windows: Sequence[tuple[int, float, float]]) -> list[Track]:
        """Real reads for all; what was read for an invented film is then exchanged for its own."""
        minute = BLOCK_MS / 1000
        asked = [
            window
            if window[0] < FIRST_NUMBER
            else (self._stand_in, window[1] % minute / 2, window[1] % minute / 2 + 10)
            for window in windows
        ]
        found = super().tracks(asked)
        started = time.perf_counter()
        for i, (number, start, stop) in enumerate(windows):
            if number >= FIRST_NUMBER and self._crowd is not None:
                found[i] = self._crowd.track(number).slice(int(start * 1000), int(stop * 1000))
        self.aside += time.perf_counter() - started
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, help="to hide; default: the sample films")
    parser.add_argument("--unknown", type=Path, help="not in the index; default: none")
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--clips", type=int, default=120, help="of the films, and as many of the unknown ones")
    parser.add_argument("--as-dense-as", type=int, metavar="FRAMES")
    parser.add_argument("--no-faiss", action="store_true")
    parser.add_argument("--out", type=Path, help="folder for plots")
    options = parser.parse_args()
    films = films_in(options.films) if options.films else sample_films()
    unknown = films_in(options.unknown) if options.unknown else []
    encoder = default_encoder()
    crowd = Crowd(EvidenceModel.of_bundle(encoder.bundle).background)
    rows: list[dict[str, Any]] = []
    with memory_server() as url, open_store(url) as store:
        library = Library(store)
        numbers = [hide(library, film) for film in films]
        clips = [
            *make_clips(films, numbers, options.clips, 1),
            *make_clips(unknown, [0] * len(unknown), options.clips, 2),
        ]
        longest = max(library.videos(), key=lambda record: record.duration_seconds)
        hidden = Contents(
            *(np.concatenate(part) for part in zip(*(table_of(library, n) for n in numbers), strict=True))
        )
        before = dataset_bytes(store)
        for size in map(int, options.sizes.split(",")):
            contents = crowd.contents(size // FILM_POSTINGS)
            took = load(library, contents, hidden)
            bytes_each = (dataset_bytes(store) - before) / len(contents.mixed)
            reference = CrowdedReference(library, crowd, longest.number)
            row: dict[str, Any] = {
                "postings": len(contents.mixed),
                "bytes_a_posting": bytes_each,
                "loaded_a_second": size / took,
            }
            row |= timed(matcher_of(reference, encoder.bundle), reference, clips)
            row |= {"queries_a_second_8_clients": crowded_clients(url, longest.number, clips)}
            row |= {"codes": lookups(library.lut, clips, library, None if options.no_faiss else (contents, hidden))}
            rows.append(row)
            show(row)
        if options.as_dense_as:
            bits = round(np.log2(options.as_dense_as / FRAMES_A_SECOND * POSTINGS_A_SECOND / rows[-1]["postings"]))
            dense = dense_row(library, contents, hidden, crowd, longest.number, clips, int(bits))
            print(f"with {bits} bits held at 0, as dense as {options.as_dense_as:.1e} frames:")
            show(dense)
            rows.append(dense)
    if options.out:
        index_plot([row for row in rows if row["codes"]], options.out / "index.png")
    machine = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    print(json.dumps({"films": len(films), "clips": len(clips), "rows": rows, "machine": machine}))


def hide(library: Library, film: Path) -> int:
    """Indexes a real film and returns its number."""
    coded = code_film(film, default_encoder(), lambda _: None)
    fields = VideoFields(film.stem, film.stem, film.name, film.stem, default_encoder().bundle.sha256)
    library.add(fields, coded.track, coded.duration_seconds, coded.frames, {}, None)
    return library.get(film.stem).number


def table_of(library: Library, number: int) -> tuple[CodeArray, CodeArray, CodeArray]:
    postings = Postings.of_track(number, library.whole_track(number)[0])
    return mix(postings.codes), np.full(len(postings), number, np.uint32), postings.ticks


def make_clips(films: list[Path], numbers: list[int], count: int, seed: int) -> list[Clip]:
    """Edited clips, written, read and coded."""
    lengths = np.array([probe(film).duration_seconds or 0.0 for film in films])
    usable = np.flatnonzero(lengths > SECONDS * 1.1)
    if not len(usable):
        return []
    rng = np.random.default_rng(seed)
    clips, encoder = [], default_encoder()
    path = Path(f"/tmp/vnome-bench-{os.getpid()}.mp4")  # noqa: S108
    for turn in range(count):
        place = int(rng.choice(usable, p=lengths[usable] / lengths[usable].sum()))
        start = float(rng.uniform(0, lengths[place] - SECONDS))
        frames = list(read_frames(films[place], start_seconds=start, end_seconds=start + SECONDS, max_side=640))
        bits = films[place].stat().st_size * 8 / lengths[place]
        write_clip(frames, EDITS[CHANGES[turn % len(CHANGES)]], path, bits)
        shown = list(read_frames(path, max_fps=FPS))
        codes = encoder.encode_views(shown, [[whole_picture(frame.image) for frame in shown]])[0]
        clips.append(Clip(codes, numbers[place], frames[0].pts_seconds))
    path.unlink(missing_ok=True)
    return clips


def load(library: Library, contents: Contents, hidden: Contents) -> float:
    """Exchanges the whole table, as `vnome rebuild` does; returns seconds."""
    partitions = np.concatenate([partitions_of(contents.mixed), partitions_of(hidden.mixed)]).astype(np.uint8)
    order = np.argsort(partitions, kind="stable")
    bounds = np.searchsorted(partitions[order], np.arange(PARTITIONS + 1))
    together = Contents(
        np.concatenate([contents.mixed, hidden.mixed]),
        np.concatenate([contents.numbers, hidden.numbers]),
        np.concatenate([contents.ticks, hidden.ticks]),
    )
    started = time.perf_counter()
    states = library.lut.partitions.states()
    for partition in range(PARTITIONS):
        mine = order[bounds[partition] : bounds[partition + 1]]
        part = Contents(together.mixed[mine], together.numbers[mine], together.ticks[mine])
        library.lut.partitions.replace(partition, part, states[partition])
    took = time.perf_counter() - started
    library.store.client.set(keys.POSTINGS, len(together.mixed))
    return took


def dataset_bytes(store: Store) -> int:
    return int(store.client.info("memory")["used_memory_dataset"])


def dense_row(
    library: Library, contents: Contents, hidden: Contents, crowd: Crowd, stand_in: int, clips: list[Clip], bits: int
) -> dict[str, Any]:
    """The table again with the first bits of all codes held at 0."""
    mask = ALL_BITS & ~((1 << bits) - 1)

    def coarse(part: Contents) -> Contents:
        return Contents(mix(unmix(part.mixed) & np.uint32(mask)), part.numbers, part.ticks)

    took = load(library, coarse(contents), coarse(hidden))
    kept = sum(state.postings for state in library.lut.partitions.states())
    reference = CrowdedReference(library, crowd, stand_in, mask)
    row: dict[str, Any] = {"postings": len(contents.mixed), "bytes_a_posting": 0.0, "bits_held": bits}
    row |= {"loaded_a_second": len(contents.mixed) / took, "kept_as_not_common": kept / len(contents.mixed)}
    return row | timed(matcher_of(reference, default_encoder().bundle), reference, clips) | {"codes": {}}


def timed(matcher: Matcher, reference: CrowdedReference, clips: list[Clip]) -> dict[str, Any]:
    """Latency of decisions on one view of 25 frames, with few probes and in full, and what full ones come to."""
    matcher.best_guess([clips[0].codes], [])
    took, full, seen = [], [], {"right": 0, "wrong": 0, "known": 0, "false_alarms": 0, "unknown": 0}
    reference.found = 0
    for clip in clips * REPEATS:
        reference.aside, started = 0.0, time.perf_counter()
        matcher.match([clip.codes], [])
        took.append(time.perf_counter() - started - reference.aside)
    found = reference.found / len(took)
    for clip in clips:
        reference.aside, started = 0.0, time.perf_counter()
        match = matcher.match([clip.codes])
        full.append(time.perf_counter() - started - reference.aside)
        if not clip.film:
            seen["unknown"] += 1
            seen["false_alarms"] += match is not None
            continue
        right = match is not None and match.number == clip.film and abs(match.at_seconds - clip.start_seconds) < 1
        seen["known"] += 1
        seen["right"] += right
        seen["wrong"] += match is not None and not right
    return {"decision_ms": spread(took), "full_decision_ms": spread(full), "hits_a_query": found, **seen}


def crowded_clients(url: str, stand_in: int, clips: list[Clip]) -> float:
    """Decisions a second of 8 processes at once."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(CLIENTS) as pool:
        counts = pool.starmap(client, [(url, stand_in, clips, seed) for seed in range(CLIENTS)])
    return sum(counts) / CLIENT_SECONDS


def client(url: str, stand_in: int, clips: list[Clip], seed: int) -> int:
    encoder = default_encoder()
    with open_store(url) as store:
        matcher = matcher_of(CrowdedReference(Library(store), None, stand_in), encoder.bundle)
        rng, done = np.random.default_rng(seed), 0
        matcher.match([clips[0].codes], [])
        end = time.perf_counter() + CLIENT_SECONDS
        while time.perf_counter() < end:
            matcher.match([clips[int(rng.integers(len(clips)))].codes], [])
            done += 1
    return done


Ask = Callable[[CodeArray], tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.uint32]]]


def lookups(
    lut: RedisLut, clips: list[Clip], library: Library, of_faiss: tuple[Contents, Contents] | None
) -> dict[str, dict[str, Any]]:
    """Looking up the codes of 25 frames: time, and the share of frames that hit a posting of their moment."""
    known = [clip for clip in clips if clip.film]
    ways: dict[str, Callable[[Clip], tuple[float, float]]] = {}
    for probes in (16, 64, 512):
        ways[f"VNOME, {probes} probes a frame, through Redis"] = lambda clip, probes=probes: ours(lut, clip, probes)  # type: ignore[misc]
    rows = {name: measured(way, known) for name, way in ways.items()}
    if of_faiss is not None:
        from tests.benchmarks.faiss_peers import peers

        for name, ask in peers(*of_faiss):
            rows[name] = measured(lambda clip, ask=ask: theirs(ask, clip), known)  # type: ignore[misc]
    return rows


def measured(way: Callable[[Clip], tuple[float, float]], clips: list[Clip]) -> dict[str, Any]:
    way(clips[0])
    results = [way(clip) for clip in clips]
    return {"ms": spread([seconds for seconds, _ in results]), "hits": float(np.mean([hits for _, hits in results]))}


def ours(lut: RedisLut, clip: Clip, probes: int) -> tuple[float, float]:
    started = time.perf_counter()
    codes = probe_codes(clip.codes.codes, clip.codes.margins, probes)
    hits: Hits = lut.lookup(codes.ravel())
    took = time.perf_counter() - started
    return took, hit_share(clip, hits.probe // probes, hits.video_numbers, hits.start_ms / 1000)


def theirs(ask: Ask, clip: Clip) -> tuple[float, float]:
    started = time.perf_counter()
    frames, numbers, ticks = ask(clip.codes.codes)
    took = time.perf_counter() - started
    return took, hit_share(clip, frames, numbers, ticks / 8)


def hit_share(
    clip: Clip, frames: npt.NDArray[np.int64], numbers: npt.NDArray[np.uint32], seconds: npt.NDArray[np.floating]
) -> float:
    moments = clip.start_seconds + clip.codes.pts_seconds[frames]
    near = (numbers == clip.film) & (np.abs(seconds - moments) < NEAR_SECONDS)
    return len(np.unique(frames[near])) / len(clip.codes)


def spread(seconds: list[float]) -> dict[str, float]:
    return {"p50": float(np.median(seconds)) * 1e3, "p99": float(np.quantile(seconds, 0.99)) * 1e3}


def show(row: dict[str, Any]) -> None:
    ms, full, clients = row["decision_ms"], row["full_decision_ms"], row.get("queries_a_second_8_clients", 0.0)
    print(f"{row['postings']:,} postings of {row['bytes_a_posting']:.1f} bytes, {row['loaded_a_second']:,.0f} a second")
    print(f"    a decision p50 {ms['p50']:.1f} p99 {ms['p99']:.1f} ms, {clients:.0f} a second with {CLIENTS} clients")
    print(f"    in full p50 {full['p50']:.1f} p99 {full['p99']:.1f} ms; {row['hits_a_query']:.1f} postings a query")
    print(f"    right {row['right']} wrong {row['wrong']} of {row['known']}", end=", ")
    print(f"false alarms {row['false_alarms']} of {row['unknown']}", flush=True)
    for name, codes in row["codes"].items():
        times = f"{codes['ms']['p50']:>10.2f} ms p50 {codes['ms']['p99']:>10.2f} p99"
        print(f"    {name:<46}{times} {codes['hits']:>7.1%} of frames hit")


if __name__ == "__main__":
    main()
