"""From look-up hits to candidate places: distinct codes vote for (video, offset), rare codes more."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.codes import CodeArray, FrameCodes
from pipeline.postings import Hits
from pipeline.probing import probe_codes

BIN_SECONDS = 0.5  # offsets are counted in bins this wide, each vote also in the next two: see `count_votes`
LEAST_SHARE = 0.15  # of the most votes; a place with fewer is not worth its verification
CODE_CAP = 400  # hits of one code that vote; a commoner code is a stop word and brings only its first ones


@dataclass(frozen=True)
class Candidate:
    """A place that got votes.

    number: of the video. middle_seconds: the film's moment at the middle of the query. votes: summed rarity.
    """

    number: int
    middle_seconds: float
    votes: float


@dataclass(frozen=True)
class Probes:
    """The distinct codes to look up for a query, and which run of equal query codes asks for each.

    codes: uint32 (P,). run: int64 (P,). seconds: float64 (P,), the asking frame's time.
    """

    codes: CodeArray
    run: npt.NDArray[np.int64] = field(repr=False)
    seconds: npt.NDArray[np.float64] = field(repr=False)


def probes_of(query: FrameCodes, probes_a_frame: int, most: int) -> Probes:
    """Probes of every frame, at most `most` in all; neighbours with the same code are one run, asked by its surest."""
    change = np.concatenate([[True], query.codes[1:] != query.codes[:-1]])
    run_of = np.cumsum(change) - 1
    surest = np.lexsort((-query.margins.sum(axis=1), run_of))
    first = surest[np.searchsorted(run_of[surest], np.arange(run_of[-1] + 1))]
    probes_a_frame = max(1, min(probes_a_frame, most // len(first)))
    codes = probe_codes(query.codes[first], query.margins[first], probes_a_frame)  # (runs, probes)
    runs = np.repeat(np.arange(len(first)), probes_a_frame)
    return Probes(codes.ravel(), runs, np.repeat(query.pts_seconds[first], probes_a_frame))


def count_votes(probes: Probes, hits: Hits, middle_seconds: float, postings: int, most: int) -> list[Candidate]:
    """The places with most votes, best first, at most `most`.

    A run of query codes votes once for a place, however many of its probes hit there. A posting stands for up to
    a second of film (a run of equal codes), so that a vote counts in its own bin and the two after it.

    middle_seconds: time of the query's middle. postings: in the whole index, for the rarity.
    """
    if len(hits.probe) == 0:
        return []
    weight, kept = _rarity(probes, hits, postings)
    number = hits.video_numbers[kept].astype(np.int64)
    offset = hits.start_ms[kept] / 1000 - probes.seconds[hits.probe[kept]] + middle_seconds
    bins = np.floor(offset / BIN_SECONDS).astype(np.int64)
    run = probes.run[hits.probe[kept]]
    spread = np.concatenate([np.stack([number, bins + step, run]) for step in range(3)], axis=1)  # (3, 3 K)
    places, votes = _sum_best(spread, np.tile(weight[kept], 3))
    best = np.argsort(-votes, kind="stable")[:most]
    best = best[votes[best] >= LEAST_SHARE * votes[best[0]]]
    return [Candidate(int(places[0, i]), (places[1, i] + 0.5) * BIN_SECONDS, float(votes[i])) for i in best]


def _rarity(probes: Probes, hits: Hits, postings: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Weight of each hit, log(postings / hits of its code), and which hits vote."""
    _, code_of_probe = np.unique(probes.codes, return_inverse=True)
    code = code_of_probe[hits.probe]
    asked = np.bincount(code_of_probe)  # the same code asked several times gives its hits several times
    frequency = np.bincount(code, minlength=len(asked)) / np.maximum(asked, 1)
    weight = np.log(max(postings, 2) / np.maximum(frequency, 1)).clip(0.05)
    order = np.argsort(hits.probe, kind="stable")
    first = np.searchsorted(hits.probe[order], hits.probe[order])
    kept = np.zeros(len(order), dtype=bool)
    kept[order] = np.arange(len(order)) - first < CODE_CAP
    return weight[code], kept


def _sum_best(
    keys: npt.NDArray[np.int64], weight: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """keys (3, K): video, bin, run. The best weight of each (video, bin, run), summed over runs."""
    order = np.lexsort((-weight, keys[2], keys[1], keys[0]))
    keys, weight = keys[:, order], weight[order]
    new_run = np.any(keys[:, 1:] != keys[:, :-1], axis=0)
    first = np.concatenate([[True], new_run])
    keys, weight = keys[:, first], weight[first]
    new_place = np.concatenate([[True], np.any(keys[:2, 1:] != keys[:2, :-1], axis=0)])
    starts = np.flatnonzero(new_place)
    return keys[:2, starts], np.add.reduceat(weight, starts)
