"""`make bench-capacity`: measures the constants of `vnome capacity`; with --write it writes them into the package.

make bench-capacity ARGS="--films FOLDER --unknown FOLDER --write"
"""

import argparse
import json
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edge.demo import sample_films
from export.data import films_in
from pipeline import keys
from pipeline.buckets import mix
from pipeline.capacity import FRAMES_A_SECOND, constants_text
from pipeline.encoder import default_encoder
from pipeline.evidence import EvidenceModel
from pipeline.indexing import code_film, fingerprint
from pipeline.library import Library
from pipeline.matching import PROBES, matcher_of
from pipeline.partitions import Contents
from pipeline.postings import Postings
from pipeline.probing import probe_codes
from pipeline.store import Store, open_store
from pipeline.videos import VideoFields
from tests.benchmarks.bench_index import ALL_BITS, Clip, CrowdedReference, hide, load, make_clips, timed
from tests.benchmarks.crowd import FILM_POSTINGS, Crowd
from tests.benchmarks.servers import memory_server
from tests.mixing import unmix

CONSTANTS = Path(__file__).parents[2] / "pipeline" / "bundled" / "capacity.json"
CROWD_FILMS = 1_400  # ten million postings
HELD_BITS = (7, 12)  # then as dense as a billion and as forty billion
NOTHING = Contents(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.uint32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, nargs="+", help="folders to index; default: the sample films")
    parser.add_argument("--bytes-only", action="store_true", help="what these films cost, and nothing else")
    parser.add_argument("--unknown", type=Path, help="whose clips are not in the index; default: the same films")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    films = [film for folder in options.films for film in films_in(folder)] if options.films else sample_films()
    unknown = films_in(options.unknown) if options.unknown else films
    of_all, table = of_films(films)
    print(f"{of_all['films']}: {table}")
    if options.bytes_only:
        return
    values = {**of_all, **of_table(films, unknown)}
    values["machine"] = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    values["measured_on"] = datetime.now(UTC).date().isoformat()
    for name, value in values.items():
        print(f"{name:<24}{value:.4g}" if isinstance(value, float) else f"{name:<24}{value}")
    if options.write:
        CONSTANTS.write_text(constants_text(values), encoding="utf-8")
    print(json.dumps(values))


def of_films(films: list[Path]) -> tuple[dict[str, Any], str]:
    """What films cost beside the table, as the server reports the size of each key; and all of it, in words."""
    with memory_server() as url, open_store(url) as store:
        library, encoder = Library(store), default_encoder()
        for film in films:
            coded = code_film(film, encoder, lambda _: None)
            fields = VideoFields(film.stem, film.stem, film.name, fingerprint(film), encoder.bundle.sha256)
            library.add(fields, coded.track, coded.duration_seconds, coded.frames, {}, coded.motion)
        records = library.videos()
        seconds = sum(record.duration_seconds for record in records)
        bytes_of = {
            "table": key_bytes(store, keys.LUT),
            "tracks": key_bytes(store, keys.TRACKS),
            "motion": key_bytes(store, keys.MOTIONS),
            "catalogue": key_bytes(store, keys.CATALOGUE.replace("{", "\\{") + "*"),
        }
        of_frame = {name: count / seconds / FRAMES_A_SECOND for name, count in bytes_of.items()}
        parts = ", ".join(f"{name} {count:.2f}" for name, count in of_frame.items())
        text = f"{sum(of_frame.values()):.2f} bytes a source frame, all in all ({parts})"
        return {
            "postings_a_second": sum(record.postings for record in records) / seconds,
            "runs_a_second": sum(record.runs for record in records) / seconds,
            "track_bytes_a_second": bytes_of["tracks"] / seconds,
            "motion_bytes_a_second": bytes_of["motion"] / seconds,
            "bytes_a_video": bytes_of["catalogue"] / len(records),
            "films": f"{len(films)} films of {seconds / 60:.0f} minutes",
        }, text


def key_bytes(store: Store, pattern: str) -> int:
    names = list(store.client.scan_iter(match=pattern, count=1000))
    return sum(store.many([("MEMORY", "USAGE", name, "SAMPLES", 0) for name in names]))


def of_table(films: list[Path], unknown: list[Path]) -> dict[str, Any]:
    """What the table costs with ten million postings in it, and how often codes meet by chance."""
    encoder = default_encoder()
    crowd = Crowd(EvidenceModel.of_bundle(encoder.bundle).background)
    with memory_server() as url, open_store(url) as store:
        library = Library(store)
        number = hide(library, films[0])
        clips = make_clips(unknown, [0] * len(unknown), 60, seed=3)
        before = store.client.info("memory")["used_memory_dataset"]
        contents = crowd.contents(CROWD_FILMS)
        for start in range(CROWD_FILMS):
            mine = slice(start * FILM_POSTINGS, (start + 1) * FILM_POSTINGS)
            track = crowd.track(int(contents.numbers[mine.start]))
            library.lut.add(Postings.of_track(int(contents.numbers[mine.start]), track))
        postings = sum(state.postings for state in library.lut.partitions.states())
        after = store.client.info("memory")["used_memory_dataset"]
        store.client.set(keys.POSTINGS, postings)
        reference = CrowdedReference(library, crowd, number)
        whole = timed(matcher_of(reference, encoder.bundle), reference, clips)["decision_ms"]["p50"]
        fetch_ms, hits = lookups(library, clips)
        chance = [[float(postings), hits]]
        for bits in HELD_BITS:
            mask = ALL_BITS & ~((1 << bits) - 1)
            coarse = mix(unmix(contents.mixed) & np.uint32(mask))
            load(library, Contents(coarse, contents.numbers, contents.ticks), NOTHING)
            chance.append([float(postings << bits), lookups(library, clips, mask)[1]])
        dense = CrowdedReference(library, crowd, number, mask)
        slower = timed(matcher_of(dense, encoder.bundle), dense, clips)["decision_ms"]["p50"] - whole
        return {
            "bytes_a_posting": (after - before) / postings,
            "chance_hits": chance,
            "bucket_ms": fetch_ms / (PROBES[0] * 25),
            "query_ms": whole - fetch_ms,
            "hit_ms": max(slower, 0.0) / (chance[-1][1] - hits),
        }


def lookups(library: Library, clips: list[Clip], mask: int = ALL_BITS) -> tuple[float, float]:
    """Median ms of the look-ups of 25 frames, and the mean number of postings they hit. mask: of the codes."""
    took, hits = [], []
    for clip in clips:
        codes = probe_codes(clip.codes.codes, clip.codes.margins, PROBES[0])
        started = time.perf_counter()
        found = library.lut.lookup(codes.ravel() & np.uint32(mask))
        took.append((time.perf_counter() - started) * 1e3 * 25 / len(clip.codes))
        hits.append(len(found.probe) * 25 / len(clip.codes))
    return float(np.median(took)), float(np.mean(hits))


if __name__ == "__main__":
    main()
