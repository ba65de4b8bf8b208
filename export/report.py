"""What outcomes add up to: shares with intervals, times, error trade-offs, segment precision, and tables of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from export.fitting import platt

if TYPE_CHECKING:
    from export.evaluation import Outcome
    from export.identifiers import Guess

RIGHT_WITHIN_SECONDS = 1.0
PHONE = "phone, "
CONFIDENCE_BINS = np.array([0, 0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99, 0.999, 1.0000001])
Z_95 = 1.96  # standard normal quantile of a 95 % interval


def is_right(outcome: "Outcome", guess: "Guess") -> bool:
    """The right film, and the moment within `RIGHT_WITHIN_SECONDS`; accepted or not."""
    near = abs(guess.at_seconds - outcome.start_seconds) <= RIGHT_WITHIN_SECONDS
    return outcome.known and guess.film == outcome.film and near


def interval(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share: Wilson, "Probable inference", JASA 1927."""
    if trials == 0:
        return 0.0, 1.0
    share, z2 = hits / trials, Z_95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))


def summary(outcomes: list["Outcome"]) -> dict[str, Any]:
    """By identifier and condition."""
    identifiers: dict[str, Any] = {}
    for name in dict.fromkeys(outcome.identifier for outcome in outcomes):
        rows = [outcome for outcome in outcomes if outcome.identifier == name]
        known = [row for row in rows if row.known]
        edits = [row for row in known if not row.condition.startswith(PHONE)]
        identifiers[name] = {
            "conditions": {
                condition: _condition([row for row in known if row.condition == condition])
                for condition in dict.fromkeys(row.condition for row in known)
            },
            "unknown": _unknown([row for row in rows if not row.known]),
            "error_trade_off": _error_trade_off([row for row in rows if row.condition.startswith(PHONE)]),
            "confidence": _reliability(rows),
            "segment_micro_ap_of_edits": segment_micro_ap(edits) if edits else None,
            "median_wall_seconds": float(np.median([row.wall_seconds for row in rows])),
            "decision": _fitted_decision(rows),
        }
    return {"identifiers": identifiers}


def _condition(rows: list["Outcome"]) -> dict[str, Any]:
    lengths = {}
    for place, guess in enumerate(rows[0].guesses):
        answers = [(row, row.guesses[place]) for row in rows]
        right = sum(one.accepted and is_right(row, one) for row, one in answers)
        wrong = sum(one.accepted and not is_right(row, one) for row, one in answers)
        lengths[f"{guess.seconds:g}"] = {
            "clips": len(rows),
            "right": right / len(rows),
            "right_95": interval(right, len(rows)),
            "wrong": wrong / len(rows),
            "unknown": (len(rows) - right - wrong) / len(rows),
            "right_before_the_bound": sum(is_right(row, one) for row, one in answers) / len(rows),
        }
    last = [(row, row.guesses[-1]) for row in rows]
    times = [one.first_seen if one.accepted and is_right(row, one) else np.inf for row, one in last]
    median = float(np.median(times))
    return {"lengths": lengths, "median_seconds_to_identify": median if np.isfinite(median) else None}


def _unknown(rows: list["Outcome"]) -> dict[str, Any]:
    """False alarms among clips of films that are not indexed."""
    if not rows:
        return {}
    alarms = sum(row.guesses[-1].accepted for row in rows)
    hours = sum(row.guesses[-1].seconds for row in rows) / 3600
    return {
        "clips": len(rows),
        "false_alarms": alarms,
        "false_alarms_95": interval(alarms, len(rows)),
        "hours": hours,
        "false_alarms_per_hour": alarms / hours,
    }


def _error_trade_off(rows: list["Outcome"]) -> list[dict[str, float]]:
    """Miss and false-alarm rates of the whole clips of phones, as the bound on the odds moves.

    A wrong answer to a known clip counts as a miss, and above the bound as a false alarm as well.
    """
    answered = [row for row in rows if row.guesses[-1].film is not None]  # nothing can only be called unknown
    scores = [(row.guesses[-1].odds.both, row) for row in answered]
    known = sum(row.known for row in rows)
    points = []
    for bound in sorted({round(score, 2) for score, _ in scores}):
        let_out = [(row, is_right(row, row.guesses[-1])) for score, row in scores if score >= bound]
        hits = sum(right for _, right in let_out)
        points.append(
            {
                "bound": bound,
                "miss": 1 - hits / max(known, 1),
                "false_alarm": sum(not right for _, right in let_out) / max(len(rows), 1),
            }
        )
    return points


def _reliability(rows: list["Outcome"]) -> list[dict[str, float]]:
    """How often answers of each confidence were right, over all lengths."""
    pairs = [(one.confidence, is_right(row, one)) for row in rows for one in row.guesses if one.film is not None]
    if not pairs:
        return []
    confidence, right = np.array(pairs, np.float64).T
    found = []
    for low, high in pairwise(CONFIDENCE_BINS):
        inside = (confidence >= low) & (confidence < high)
        if inside.any():
            found.append(
                {
                    "answers": int(inside.sum()),
                    "confidence": float(confidence[inside].mean()),
                    "right": float(right[inside].mean()),
                }
            )
    return found


def segment_micro_ap(rows: Sequence["Outcome"]) -> float:
    """Segment-level micro-AP as in the VSC 2022 matching track (Pizzi et al., arXiv 2306.09489, section 3.3).

    Precision and recall are the geometric means, over the query's and the reference's time, of the overlap of what is
    predicted and what is true; predictions are taken by falling score, accepted or not. Every clip has one true
    segment, and at most one predicted.
    """
    segments = [(row, row.guesses[-1]) for row in rows]
    total = np.array([[one.seconds, one.seconds * row.speed] for row, one in segments]).sum(axis=0)
    predicted = sorted((pair for pair in segments if pair[1].film), key=lambda pair: -pair[1].odds.both)
    inside, length = np.zeros(2), np.zeros(2)
    average, recall = 0.0, 0.0
    for row, one in predicted:
        start, stop = one.at_seconds, one.at_seconds + one.seconds * one.speed
        length += (one.seconds, stop - start)
        truth = row.start_seconds, row.start_seconds + one.seconds * row.speed
        overlap = max(0.0, min(stop, truth[1]) - max(start, truth[0])) if one.film == row.film else 0.0
        if overlap > 0:
            inside += (one.seconds, overlap)
        now = float(np.sqrt(np.prod(inside / total)))
        average += float(np.sqrt(np.prod(inside / length))) * (now - recall)
        recall = now
    return average


def _fitted_decision(rows: list["Outcome"]) -> dict[str, list[float]]:
    """Calibrations of the odds: of the film over all clips, of the moment over those whose film is right."""
    answers = [(row, one) for row in rows for one in row.guesses if one.film is not None]
    film_right = [row.known and one.film == row.film for row, one in answers]
    placed = [(row, one) for (row, one), right in zip(answers, film_right, strict=True) if right]
    if not placed or all(film_right):
        return {}
    return {
        "film": list(platt(np.array([one.odds.film for _, one in answers]), np.array(film_right))),
        "moment": list(
            platt(np.array([one.odds.moment for _, one in placed]), np.array([is_right(*pair) for pair in placed]))
        ),
    }


def table(result: dict[str, Any]) -> str:
    """The result as text for people."""
    lines: list[str] = []
    names = list(result["identifiers"])
    for condition, rows in _by_condition(result).items():
        lines.append(f"{condition}: right / wrong, % of clips, by seconds of clip")
        lengths = list(rows[names[0]]["lengths"])
        lines.append(" " * 22 + "".join(f"{length + ' s':>14}" for length in lengths) + "   median time")
        for name in names:
            cells = [
                f"{100 * row['right']:5.1f} /{100 * row['wrong']:5.1f}"
                for row in (rows[name]["lengths"][length] for length in lengths)
            ]
            median = rows[name]["median_seconds_to_identify"]
            time = f"{median:.1f} s" if median is not None else "-"
            lines.append(f"  {name:<20}" + "".join(f"{cell:>14}" for cell in cells) + f"{time:>14}")
    for name in names:
        part = result["identifiers"][name]
        alarms = part["unknown"]
        if alarms:
            low, high = alarms["false_alarms_95"]
            lines.append(
                f"{name}: {alarms['false_alarms']} of {alarms['clips']} unknown clips accepted "
                f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %), {alarms['false_alarms_per_hour']:.1f} an hour"
            )
        if part["segment_micro_ap_of_edits"] is not None:
            lines.append(f"{name}: segment-level micro-AP of the edits {part['segment_micro_ap_of_edits']:.3f}")
    for level, row in result["probes"]["levels"].items():
        probes = ", ".join(f"{n}: {100 * row['hits_by_probes'][n]:.0f}" for n in ("1", "16", "64", "529", "1024"))
        radii = ", ".join(f"{r}: {100 * share:.0f}" for r, share in row["hits_by_radius"].items())
        lines.append(f"phone, {level}: % of frames whose code is found by probes ({probes}), by radius ({radii})")
    pace = ", ".join(f"{name} {times:.1f}" for name, times in result["indexing_times_real_time"].items() if times > 0)
    lines.append(f"indexed at, times real time: {pace}")
    return "\n".join(lines)


def _by_condition(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, part in result["identifiers"].items():
        for condition, row in part["conditions"].items():
            found[condition][name] = row
    return found


def failures(outcomes: Iterable[dict[str, Any]], identifier: str) -> list[dict[str, Any]]:
    """The outcomes (as in the result) of phone clips that were not right at their full length."""
    missed = []
    for outcome in outcomes:
        last = outcome["guesses"][-1]
        near = abs(last["at_seconds"] - outcome["start_seconds"]) <= RIGHT_WITHIN_SECONDS
        right = last["accepted"] and last["film"] == outcome["film"] and near
        wanted = outcome["identifier"] == identifier and outcome["condition"].startswith(PHONE)
        if wanted and (not right if outcome["known"] else last["accepted"]):
            missed.append(outcome)
    return missed
