"""What a catalogue of so many frames costs: bytes, servers, round trips, postings by chance.

Reckoned from constants that `make bench-capacity` measured and wrote; nothing here is guessed.
"""

import json
import math
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from typing import Any

from pipeline.buckets import PARTITIONS
from pipeline.errors import InputError
from pipeline.matching import CANDIDATES, PROBES
from pipeline.partitions import BUCKET_POSTINGS
from pipeline.postings import COMMON
from pipeline.voting import BIN_SECONDS

FRAMES_A_SECOND = 25.0  # of a film
QUERY_FRAMES = 25
SPREAD_BINS = 3  # in which a vote counts
ROUND_TRIPS = 2  # of a query whose few probes suffice: buckets, then tracks
MOST_FRAMES = 10**15
GIB = 1 << 30


@dataclass(frozen=True)
class Constants:
    """Measured. A second is one of film; bytes as the server counts them.

    chance_hits: (postings of the table, postings that the few probes of a query of an unrelated film hit), measured;
    the larger tables were made as dense as they would be by holding bits of all codes at 0.
    bucket_ms, hit_ms, query_ms: to fetch one bucket of `BUCKET_POSTINGS`, for each posting found, and all else of a
    query, on the machine named.
    """

    postings_a_second: float
    runs_a_second: float
    bytes_a_posting: float
    track_bytes_a_second: float
    motion_bytes_a_second: float
    bytes_a_video: float
    chance_hits: list[list[float]]
    bucket_ms: float
    hit_ms: float
    query_ms: float
    machine: str
    measured_on: str
    films: str

    @staticmethod
    def shipped() -> "Constants":
        """Those that the benchmark wrote into the package."""
        return Constants(**json.loads((files("pipeline.bundled") / "capacity.json").read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Estimate:
    """Of a catalogue. bytes: of all servers together. shards: servers of the given size.

    chance_places: places of the catalogue that get two, three, ... votes of one unrelated query by chance.
    votes_needed: distinct votes with which the true place is among those that are verified.
    """

    frames: int
    seconds: float
    videos: int
    postings: int
    table_bytes: int
    track_bytes: int
    motion_bytes: int
    catalogue_bytes: int
    bytes: int
    bytes_a_frame: float
    shards: int
    round_trips: int
    buckets_a_query: int
    query_ms: float
    chance_hits_a_query: float
    chance_places: dict[int, float]
    votes_needed: int

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def estimate(frames: int, video_frames: int, shard_bytes: int, constants: Constants) -> Estimate:
    """What `frames` frames at 25 a second cost, in videos of `video_frames`, on servers of `shard_bytes` each.

    Raises InputError for numbers that are not of a catalogue.
    """
    if not 1 <= frames <= MOST_FRAMES:
        raise InputError(f"--frames {frames}: give 1 to {MOST_FRAMES:.0e} frames")
    if not 1 <= video_frames <= frames:
        raise InputError(f"--video-frames {video_frames}: give 1 to as many as --frames")
    if shard_bytes < GIB // 8:
        raise InputError(f"--shard-gib: a server of {shard_bytes / GIB:.2f} GiB is too small; give 0.125 or more")
    seconds, videos = frames / FRAMES_A_SECOND, math.ceil(frames / video_frames)
    postings = round(seconds * constants.postings_a_second)
    parts = [
        round(postings * constants.bytes_a_posting),
        round(seconds * constants.track_bytes_a_second),
        round(seconds * constants.motion_bytes_a_second),
        round(videos * constants.bytes_a_video),
    ]
    total = sum(parts)
    places = seconds / BIN_SECONDS
    hits = _hits(constants.chance_hits, postings)
    votes = hits * SPREAD_BINS / places  # expected in one bin, whatever the size of the catalogue
    chance = {count: places * _at_least(count, votes) for count in range(2, 8)}
    needed = next((count for count, expected in chance.items() if expected < CANDIDATES[0] / 2), max(chance) + 1)
    buckets = min(PROBES[0] * QUERY_FRAMES, max(PARTITIONS * 4, postings // BUCKET_POSTINGS))
    return Estimate(
        frames=frames,
        seconds=seconds,
        videos=videos,
        postings=postings,
        table_bytes=parts[0],
        track_bytes=parts[1],
        motion_bytes=parts[2],
        catalogue_bytes=parts[3],
        bytes=total,
        bytes_a_frame=total / frames,
        shards=max(1, math.ceil(total / shard_bytes)),
        round_trips=ROUND_TRIPS,
        buckets_a_query=buckets,
        query_ms=constants.query_ms + buckets * constants.bucket_ms + hits * constants.hit_ms,
        chance_hits_a_query=hits,
        chance_places=chance,
        votes_needed=needed,
    )


def assumptions(constants: Constants) -> list[str]:
    """What an estimate rests on, in words."""
    return [
        f"constants measured on {constants.measured_on}, {constants.machine}, with {constants.films}",
        f"{constants.postings_a_second:.2f} postings and {constants.runs_a_second:.2f} runs a second of film; "
        "other films differ",
        f"{constants.bytes_a_posting:.1f} bytes a posting, keys included; tracks {constants.track_bytes_a_second:.0f}, "
        f"motion {constants.motion_bytes_a_second:.0f} bytes a second; {constants.bytes_a_video:.0f} bytes a video",
        f"a query is {QUERY_FRAMES} frames with {PROBES[0]} probes each; one that finds nothing asks {PROBES[1]} each",
        "chance hits as measured on tables of "
        + ", ".join(f"{postings:.1e}" for postings, _ in constants.chance_hits)
        + " postings, interpolated, and independent of one another; real catalogues repeat themselves",
        f"the table lies on at most {PARTITIONS} servers; its time assumes a network as fast as the machine's own",
    ]


def _hits(measured: list[list[float]], postings: int) -> float:
    """Postings that a query hits by chance: between and beyond what was measured on a double logarithmic scale.

    Never more than stop words allow: so many postings are kept of each code that is looked up.
    """
    points = [(math.log(count), math.log(hits)) for count, hits in measured]
    at = math.log(max(postings, 1))
    left = max([i for i in range(len(points) - 1) if points[i][0] <= at], default=0)
    (x0, y0), (x1, y1) = points[left], points[left + 1]
    slope = 1.0 if at < points[0][0] else (y1 - y0) / (x1 - x0)
    return min(math.exp(y0 + slope * (at - x0)), COMMON * PROBES[0] * QUERY_FRAMES)


def _at_least(count: int, mean: float) -> float:
    """Probability of so many or more events of a Poisson distribution; for small means by the series' first terms."""
    term = math.exp(-mean + count * math.log(mean) - math.lgamma(count + 1)) if mean > 0 else 0.0
    total, k = 0.0, count
    while term > total * 1e-12 and k < count + 200:
        total += term
        k += 1
        term *= mean / k
    return min(total, 1.0)


def constants_text(values: dict[str, Any]) -> str:
    """What is written into the package. Raises ValueError when a constant is missing."""
    wanted = {field.name for field in fields(Constants)}
    if set(values) != wanted:
        raise ValueError(f"constants differ: {sorted(wanted ^ set(values))}")
    return json.dumps(values, indent=1) + "\n"
