"""What a camera shows by recognition alone, smoothed."""

import json

import pytest

from pipeline.camera_labels import CameraLabels
from pipeline.code_stream import NS

DOG, BOTH = [("dog", 0.9)], [("dog", 0.8), ("grass", 0.7)]


def seen(*rows: list[tuple[str, float]]) -> CameraLabels:
    """A picture a second, the last one at second len(rows) - 1."""
    labels = CameraLabels()
    for k, row in enumerate(rows):
        labels.add(k * NS, row)
    return labels


def test_one_picture_alone_proves_nothing() -> None:
    assert seen(DOG).now(0) == []
    assert seen([], DOG, []).now(2 * NS) == []  # 0.9 / 3 is less than a half
    assert seen(DOG, DOG, []).now(2 * NS) == [("dog", 0.6)]


def test_the_last_three_pictures_count_most_probable_first() -> None:
    # dog (0.9 + 0.8 + 0.8) / 3 = 0.833, grass 1.4 / 3 = 0.467
    assert seen(DOG, BOTH, BOTH).now(2 * NS) == [("dog", 0.833)]
    assert seen(DOG, BOTH, BOTH, BOTH).now(3 * NS) == [("dog", 0.8), ("grass", 0.7)]
    assert seen(BOTH, BOTH, BOTH, [], []).now(4 * NS) == []


def test_what_was_told_long_ago_says_nothing_of_now() -> None:
    labels = seen(DOG, DOG, DOG)
    assert labels.now(5 * NS) == [("dog", 0.9)]
    assert labels.now(6 * NS) == []  # of the first picture, nothing is known any more, and two are too few


def test_whoever_follows_next_knows_what_was_seen() -> None:
    before = seen(DOG, BOTH, BOTH)
    after = CameraLabels(json.loads(json.dumps(before.state())))
    after.add(3 * NS, BOTH)
    before.add(3 * NS, BOTH)
    assert after.now(3 * NS) == before.now(3 * NS) == [("dog", 0.8), ("grass", 0.7)]
    assert len(after.state()) == 3


@pytest.mark.parametrize("count", [5, 7])
def test_the_best_five_are_told(count: int) -> None:
    row = [(f"thing {k}", 0.6 + k / 100) for k in range(count)]
    assert [label for label, _ in seen(row, row, row).now(2 * NS)] == [f"thing {count - 1 - k}" for k in range(5)]
