"""`vnome capacity`: what a catalogue of a given size costs."""

from typing import Annotated

import typer

from pipeline.capacity import GIB, Constants, Estimate, assumptions, estimate
from pipeline.console import print_json
from pipeline.errors import EXIT_DONE


def capacity(
    frames: Annotated[int, typer.Option(metavar="N", help="Frames of all films, at 25 a second.", show_default=False)],
    video_frames: Annotated[int, typer.Option(help="Frames of one video.")] = 50_000,
    shard_gib: Annotated[float, typer.Option(help="Memory of a server that data may fill, GiB.")] = 16.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Reckon bytes, servers, round trips and postings by chance of a catalogue, from measured constants."""
    constants = Constants.shipped()
    found = estimate(frames, min(video_frames, frames), round(shard_gib * GIB), constants)
    if json:
        print_json({**found.document(), "assumptions": assumptions(constants)})
    else:
        _print(found, shard_gib)
        print("\nassumptions:")
        for text in assumptions(constants):
            print(f"  {text}")
    return EXIT_DONE


def _print(found: Estimate, shard_gib: float) -> None:
    rows = [
        ("film", f"{found.seconds / 3600:,.1f} hours in {found.videos:,} videos"),
        ("postings", f"{found.postings:,}"),
        ("look-up table", _size(found.table_bytes)),
        ("tracks", _size(found.track_bytes)),
        ("motion", _size(found.motion_bytes)),
        ("catalogue", _size(found.catalogue_bytes)),
        ("together", f"{_size(found.bytes)}, {found.bytes_a_frame:.2f} bytes a frame"),
        ("servers", f"{found.shards:,} of {shard_gib:g} GiB"),
        ("a query", f"{found.round_trips} round trips, {found.buckets_a_query} buckets, {found.query_ms:.1f} ms"),
        ("by chance", f"{found.chance_hits_a_query:,.1f} postings a query"),
        ("", ", ".join(f"{places:.2g} places with {votes} votes" for votes, places in found.chance_places.items())),
        ("needed", f"{found.votes_needed} distinct votes for the true place to be verified"),
    ]
    for name, text in rows:
        print(f"{name:<15}{text}")


def _size(count: int) -> str:
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:,.1f} {unit}" if unit != "bytes" else f"{count} bytes"
