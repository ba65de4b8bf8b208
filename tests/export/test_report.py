"""What outcomes add up to."""

from dataclasses import asdict, replace
from math import inf

import numpy as np
import pytest

from export.evaluation import Outcome
from export.identifiers import NO_ODDS, Guess
from export.report import failures, interval, is_right, segment_micro_ap, summary, table
from pipeline.matching import Odds

LONG = 50.0  # nats; of a moment without rivals


def guess(film: str | None = "a", at: float = 10.0, odds: float = 20.0, accepted: bool = True) -> Guess:
    """An answer to 5 seconds of clip that held from 2 seconds on."""
    return Guess(5.0, film, at, 1.0, Odds(odds, LONG), 0.9, accepted, 2.0)


NOTHING = Guess(5.0, None, 0.0, 1.0, NO_ODDS, 0.0, False, 0.0)


def outcome(answer: Guess, condition: str = "copy", known: bool = True, film: str = "a") -> Outcome:
    """The clip begins at second 10 of its film."""
    return Outcome("ours", condition, film, 10.0, 1.0, known, "clip.mp4", [answer], 0.1)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(8, 10, 0.490, 0.943), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (0, 0, 0.0, 1.0), (50, 100, 0.404, 0.596)],
)
def test_intervals_are_wilsons(hits: int, trials: int, low: float, high: float) -> None:
    assert interval(hits, trials) == pytest.approx((low, high), abs=5e-4)


def test_right_is_the_film_and_the_moment_within_a_second() -> None:
    assert is_right(outcome(guess()), guess())
    assert is_right(outcome(guess()), guess(at=11.0))  # the bound itself is right
    assert is_right(outcome(guess()), guess(at=9.0))
    assert not is_right(outcome(guess()), guess(at=11.01))
    assert not is_right(outcome(guess()), guess(film="b"))
    assert not is_right(outcome(guess()), NOTHING)
    assert not is_right(outcome(guess(), known=False), guess())
    assert is_right(outcome(guess()), guess(accepted=False))


def test_conditions_count_right_wrong_and_unknown() -> None:
    answers = [guess(), guess(film="b"), guess(accepted=False), NOTHING]
    rows = [outcome(answer, "phone, easy") for answer in answers]
    rows += [outcome(answer, "phone, easy", known=False) for answer in (NOTHING, guess())]
    ours = summary(rows)["identifiers"]["ours"]
    five = ours["conditions"]["phone, easy"]["lengths"]["5"]
    assert (five["clips"], five["right"], five["wrong"], five["unknown"]) == (4, 0.25, 0.25, 0.5)
    assert five["right_before_the_bound"] == 0.5  # one right answer was not let out
    assert five["right_95"] == interval(1, 4)
    assert ours["conditions"]["phone, easy"]["median_seconds_to_identify"] is None  # half was never identified
    assert (ours["unknown"]["clips"], ours["unknown"]["false_alarms"]) == (2, 1)
    assert ours["unknown"]["false_alarms_per_hour"] == pytest.approx(1 / (10 / 3600))


def test_median_time_counts_what_was_not_identified_as_never() -> None:
    rows = [outcome(guess()), outcome(replace(guess(), first_seen=4.0)), outcome(NOTHING)]
    ours = summary(rows)["identifiers"]["ours"]
    assert ours["conditions"]["copy"]["median_seconds_to_identify"] == 4.0  # of 2, 4 and never


def trade_off(rows: list[Outcome]) -> list[tuple[float, float, float]]:
    points = summary(rows)["identifiers"]["ours"]["error_trade_off"]
    return [(point["bound"], point["miss"], point["false_alarm"]) for point in points]


def test_error_trade_off_in_numbers() -> None:
    rows = [outcome(guess(odds=odds), "phone, hard") for odds in (4.0, 8.0)]
    rows += [outcome(guess(film="b", odds=6.0), "phone, hard"), outcome(NOTHING, "phone, hard")]
    rows += [outcome(guess(odds=2.0), "phone, hard", known=False)]
    # four known clips and one unknown: two right answers at 4 and 8, a wrong one at 6, a false alarm at 2
    assert trade_off(rows) == [(2.0, 0.5, 0.4), (4.0, 0.5, 0.2), (6.0, 0.75, 0.2), (8.0, 0.75, 0.0)]


def test_error_trade_off_is_monotone() -> None:
    rng = np.random.default_rng(0)
    rows = [
        outcome(
            guess(film=str(rng.choice(["a", "b"])), odds=float(rng.normal(5, 10))), "phone, hard", rng.random() < 0.7
        )
        for _ in range(200)
    ]
    bounds, miss, alarms = np.array(trade_off(rows)).T
    assert (np.diff(bounds) > 0).all()
    assert (np.diff(miss) >= 0).all()
    assert (np.diff(alarms) <= 0).all()


def test_segments_that_are_all_right_have_full_precision() -> None:
    assert segment_micro_ap([outcome(guess()), outcome(guess(odds=3.0))]) == pytest.approx(1)


def test_segment_precision_in_numbers() -> None:
    right, wrong = outcome(guess(odds=9.0)), outcome(guess(film="b", odds=5.0))
    assert segment_micro_ap([right, wrong]) == pytest.approx(0.5)  # recall ends at one half, at full precision
    assert segment_micro_ap([right, outcome(NOTHING)]) == pytest.approx(0.5)  # nothing said, nothing lost
    later = outcome(guess(film="b", odds=15.0))
    assert segment_micro_ap([right, later]) == pytest.approx(0.25)  # recall 1/2 comes at a precision of 1/2
    assert segment_micro_ap([outcome(NOTHING)]) == 0
    # 2.5 of 5 seconds overlap: recall and precision are sqrt(1 x 1/2), their product 1/2
    assert segment_micro_ap([outcome(guess(at=12.5))]) == pytest.approx(0.5)


def test_segments_count_the_speed() -> None:
    fast = replace(outcome(replace(guess(), speed=1.04)), speed=1.04)
    assert segment_micro_ap([fast]) == pytest.approx(1)
    slow = replace(outcome(guess()), speed=1.25)  # said 10 to 15, in truth 10 to 16.25
    # precision sqrt(1 x 1), recall sqrt(1 x 5 / 6.25)
    assert segment_micro_ap([slow]) == pytest.approx(np.sqrt(0.8))


def test_confidence_is_told_beside_what_was_right() -> None:
    rows = [outcome(replace(guess(film=film), confidence=0.6)) for film in ("a", "a", "b", "b")]
    rows += [outcome(NOTHING)]
    (row,) = summary(rows)["identifiers"]["ours"]["confidence"]
    assert row == {"answers": 4, "confidence": pytest.approx(0.6), "right": 0.5}


def test_failures_are_phone_clips_that_were_not_right() -> None:
    phone = "phone, easy"
    rows = [
        outcome(guess(), phone),
        outcome(guess(film="b"), phone),
        outcome(guess(accepted=False), phone),
        outcome(NOTHING, phone, known=False),
        outcome(guess(film="c"), phone, known=False),
        outcome(guess(film="d")),  # an edit is not shown
        replace(outcome(guess(film="e"), phone), identifier="other"),
    ]
    missed = failures([asdict(row) for row in rows], "ours")
    assert [(row["guesses"][-1]["film"], row["known"]) for row in missed] == [("b", True), ("a", True), ("c", False)]


def test_table_names_every_condition_and_identifier() -> None:
    rows = [outcome(guess()), outcome(guess(film="b"), "phone, easy"), outcome(guess(), "phone, easy", known=False)]
    rows += [replace(row, identifier="other") for row in rows]
    hits = {"hits_by_probes": dict.fromkeys(("1", "16", "64", "529", "1024"), 0.5), "hits_by_radius": {"0": 0.25}}
    text = table(
        {
            **summary(rows),
            "probes": {"levels": {"easy": hits}},
            "indexing_times_real_time": {"ours": 31.0, "other": 0.0},
        }
    )
    assert "copy: right / wrong, % of clips, by seconds of clip" in text
    assert text.count("ours ") > 1
    assert "100.0 /  0.0" in text
    assert "ours: 1 of 1 unknown clips accepted (95 % interval 20.7 to 100.0 %), 720.0 an hour" in text
    assert "phone, easy: % of frames whose code is found by probes (1: 50," in text
    assert text.splitlines()[-1] == "indexed at, times real time: ours 31.0"
    assert str(inf) not in text
